"""Django by its asgi.py: a request, and server-sent events from an async view."""

from __future__ import annotations

import asyncio
import os

from django.core.asgi import get_asgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

ALLOWED_HOSTS = ["*"]
DEBUG = False
ROOT_URLCONF = __name__
SECRET_KEY = "an example has nothing to sign"  # noqa: S105  # it is an example


async def index(_request):
    return HttpResponse("Hello from Django, by ASGI!\n", content_type="text/plain")


async def events(_request):
    async def three():
        for number in range(3):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.01)

    return StreamingHttpResponse(three(), content_type="text/event-stream")


urlpatterns = [path("", index), path("events", events)]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", __name__)  # settings, views and URLs in one module
application = get_asgi_application()
