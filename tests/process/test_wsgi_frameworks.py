"""Flask and Django, with the validator of the standard library around them."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from wsgiref.validate import validator

import pytest
from wsgi_worker import serving


@pytest.fixture(params=[1, 4], ids=["inline", "pool"])
def threads(request):
    return request.param


def flask_app():
    import flask

    app = flask.Flask("blog")

    @app.route("/", methods=["GET", "POST"])
    def root():
        return {"form": flask.request.form, "args": flask.request.args, "path": flask.request.full_path}

    @app.post("/upload")
    def upload():
        return {name: [file.filename, len(file.read())] for name, file in flask.request.files.items()}

    @app.get("/stream/<int:count>")
    def stream(count):
        def pieces():
            for _ in range(count):
                yield flask.request.path.encode() + b"x" * 65536

        return flask.Response(flask.stream_with_context(pieces()))

    @app.get("/file")
    def file():
        return flask.send_file(os.environ["A_FILE"])

    @app.get("/bad")
    def bad():
        raise ZeroDivisionError

    return app


def django_app():
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import FileResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path

    settings.configure(
        DEBUG=False,
        SECRET_KEY="x",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.http.ConditionalGetMiddleware"],
        USE_TZ=True,
    )
    django.setup()

    def root(request):
        return JsonResponse({"form": request.POST.dict(), "args": request.GET.dict(), "path": request.get_full_path()})

    def upload(request):
        return JsonResponse({name: [file.name, len(file.read())] for name, file in request.FILES.items()})

    def stream(request, count):
        return StreamingHttpResponse(request.path.encode() + b"x" * 65536 for _ in range(count))

    def file(_request):
        return FileResponse(Path(os.environ["A_FILE"]).open("rb"))

    def bad(_request):
        raise ZeroDivisionError

    global urlpatterns
    urlpatterns = [
        path("", root),
        path("upload", upload),
        path("stream/<int:count>", stream),
        path("file", file),
        path("bad", bad),
    ]
    return WSGIHandler()


urlpatterns = []


@pytest.fixture(params=[flask_app, django_app], ids=["flask", "django"])
def worker(request, threads, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 1000)
    monkeypatch.setenv("A_FILE", str(tmp_path / "file"))
    made = []

    def app(environ, start_response):  # made in the worker's process, so that none sees another's settings
        return made[0](environ, start_response)

    with serving(app, threads=threads, prepare=lambda: made.append(validated(request.param()))) as worker:
        yield worker


def validated(app):
    def within(environ, start_response):
        # The validator's iterator is no file_wrapper, and it forbids the read() without a size by which Flask reads a
        # form where the server says wsgi.input_terminated.
        if environ["PATH_INFO"] == "/file" or (environ["PATH_INFO"], environ["REQUEST_METHOD"]) == ("/", "POST"):
            return app(environ, start_response)
        return validator(app)(environ, start_response)

    return within


def test_a_form(worker):
    body = b"a=1&b=%C3%A9"
    response = worker.ask(
        b"POST /?c=2 HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)
    )
    assert json.loads(response.body) == {"form": {"a": "1", "b": "\u00e9"}, "args": {"c": "2"}, "path": "/?c=2"}


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload(worker, chunked):
    part = b'--x\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\n' + bytes(3 << 20) + b"\r\n--x--\r\n"
    head = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    with worker.connect() as client:
        if chunked:
            client.send(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(part), part))
        else:
            client.send(head + b"Content-Length: %d\r\n\r\n%b" % (len(part), part))
        response = client.response()
    assert response.body.replace(b" ", b"").strip() == b'{"f":["n",%d]}' % (3 << 20)


def test_streams_side_by_side(worker):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(worker.connect(small=True)) for _ in range(3)]
        for n, client in enumerate(clients, 50):
            client.get(f"/stream/{n}")
        for n, client in enumerate(clients, 50):
            assert client.response().body == (b"/stream/%d" % n + b"x" * 65536) * n
    assert worker.said == ""


def test_a_file(worker):
    with worker.connect() as client:
        for method in ("GET", "HEAD", "GET"):
            client.send(f"{method} /file HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            response = client.response(method)
            assert response.header("Content-Length") == "256000"
            assert response.body == (bytes(range(256)) * 1000 if method == "GET" else b"")


def test_errors_are_the_frameworks_and_the_connection_stays(worker):
    with worker.connect() as client:
        for path, code in (("/bad", 500), ("/none", 404), ("/", 200)):
            client.get(path)
            assert client.response().code == code
