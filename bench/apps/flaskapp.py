"""Flask's hello, the smallest app that is one: its import is most of a wake."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    return "Hello, world!\n"
