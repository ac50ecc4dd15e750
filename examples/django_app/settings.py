"""A Django project in one module: settings, views, URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOWED_HOSTS = ["*"]
DEBUG = False
ROOT_URLCONF = __name__
SECRET_KEY = "an example has nothing to sign"  # noqa: S105  # it is an example


def index(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello from Django!\n", content_type="text/plain")


def count(request: HttpRequest) -> JsonResponse:
    """How many bytes were uploaded, read piece by piece."""
    size = 0
    while piece := request.read(64 * 1024):
        size += len(piece)
    return JsonResponse({"bytes": size})


def stream(_request: HttpRequest, megabytes: int) -> StreamingHttpResponse:
    """So many megabytes, made as they are sent."""

    def pieces() -> Iterator[bytes]:
        for _ in range(megabytes * 16):
            yield b"x" * (64 * 1024)

    return StreamingHttpResponse(pieces(), content_type="application/octet-stream")


urlpatterns = [path("", index), path("count", count), path("stream/<int:megabytes>", stream)]
