"""What we answer ourselves when a request never reaches the app, or the app fails. Knows no connection."""

from __future__ import annotations

REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class Refusal(Exception):  # noqa: N818  # it is no error of ours
    """A request that is answered with `code` instead of being given to the app; `why` is for the client to read."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(code, why)
        self.code = code
        self.why = why


def answer(code: int, why: str, date: bytes, *, body: bool = True) -> bytes:
    """A whole small response, the last one of its connection; `date` is a Date header line, `body` false for HEAD."""
    text = f"{code} {REASONS[code]}: {why}\n" if why else f"{code} {REASONS[code]}\n"
    head = (
        f"HTTP/1.1 {code} {REASONS[code]}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(text)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n"
    )
    return b"%b%b\r\n%b" % (head.encode("ascii"), date, text.encode("ascii") if body else b"")
