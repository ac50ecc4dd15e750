"""Apps as people have them: with PostgreSQL on a Unix socket, and Django with migrations and uploads."""

from __future__ import annotations

import pytest
from machine import eventually
from sites import DEBIAN

pytestmark = pytest.mark.long

ALONE = "[Service]\nPrivateNetwork=yes\nRestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX\n"
POSTGRESQL = """
import psycopg2

def app(environ, start_response):
    with psycopg2.connect(dbname="blog", host="/run/postgresql") as connection, connection.cursor() as cursor:
        cursor.execute("select session_user")
        (name,) = cursor.fetchone()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [name.encode()]
"""
DJANGO = """
import os
import django
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

STATE = os.environ["STATE_DIRECTORY"]

def visits(request):
    from django.contrib.sessions.models import Session
    request.session["seen"] = True
    request.session.save()
    if request.method == "POST":
        default_storage.save("upload", ContentFile(request.body))
    uploads = [default_storage.open(name).read().decode() for name in default_storage.listdir("")[1]]
    return HttpResponse(f"{Session.objects.count()} {uploads}")

settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MEDIA_ROOT=STATE + "/media", USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField", INSTALLED_APPS=["django.contrib.sessions"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": STATE + "/db.sqlite3"}},
)
os.makedirs(STATE + "/media", exist_ok=True)
urlpatterns = [path("", visits)]
app = get_wsgi_application()
call_command("migrate", verbosity=0)
"""


def test_an_app_without_a_network_reaches_postgresql_as_its_own_user(site):
    app = site(source=POSTGRESQL, service=ALONE, idle="0.3s", min_awake="0s")
    user = f"spyglass-{app.name}"
    app.machine.run("systemctl", "start", "postgresql.service")
    as_postgres = ("runuser", "-u", "postgres", "--")
    eventually(lambda: app.machine.run(*as_postgres, "psql", "-c", "", check=False).code == 0, "PostgreSQL")
    try:
        app.machine.run(*as_postgres, "createuser", user)
        app.machine.run(*as_postgres, "createdb", "--owner", user, "blog")
        for _ in range(2):
            assert app.curl().out == f"{user}\n200"
            app.until("inactive")
    finally:
        app.machine.run(*as_postgres, "dropdb", "--if-exists", "--force", "blog")
        app.machine.run(*as_postgres, "dropuser", "--if-exists", user)
        app.machine.run("systemctl", "stop", "postgresql.service")


@pytest.mark.parametrize("python", [DEBIAN])
def test_a_django_app_keeps_its_database_and_its_uploads(site, python):
    app = site(source=DJANGO, python=python, idle="0.3s", min_awake="0s")
    unix = ("--unix-socket", app.path, "http://localhost/")
    assert app.curl("--data-binary", "a picture", *unix).out == "1 ['a picture']\n200"
    app.until("inactive")
    assert app.curl(*unix).out == "2 ['a picture']\n200"
