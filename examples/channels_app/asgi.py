"""Django Channels: a request of Django's, and a WebSocket consumer beside it."""

from __future__ import annotations

import os

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path

ALLOWED_HOSTS = ["*"]
DEBUG = False
ROOT_URLCONF = __name__
SECRET_KEY = "an example has nothing to sign"  # noqa: S105  # it is an example


async def index(_request):
    return HttpResponse("Hello from Channels!\n", content_type="text/plain")


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data, bytes_data)


urlpatterns = [path("", index)]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", __name__)  # settings, views and URLs in one module
application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter([path("ws", Echo.as_asgi())])})
