"""Which of several formats a client likes best, by its Accept field (RFC 9110 section 12.5.1). Knows no format."""

from __future__ import annotations

from spyglass_systemd.words.quoted import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGITS = frozenset("0123456789")

# ### And if it likes two alike?
# `*/*` says nothing, so what is named counts more than what is only meant, and what is named first more than what comes
# later: `application/json, text/plain, */*` is a program that wants JSON. Where even that says nothing, the first of
# ours is taken. So it is where a client likes none of them: an answer that it did not want is better than none (the
# standard leaves that to us), and its status line says what matters.
#
# A parameter other than the weight narrows a type (`text/html;level=1`). Ours have none, and who can read the narrow
# one can read ours.


def preferred(accept: str, offers: Sequence[str]) -> str:
    """The one of `offers`, media types in lower case, that a client with this Accept field is to have."""
    ranges = _ranges(accept)
    best, best_score = offers[0], (0.0, 0, 0)
    for offer in offers:
        score = _score(offer, ranges)
        if score[0] and score > best_score:
            best, best_score = offer, score
    return best


def _score(offer: str, ranges: list[tuple[str, float]]) -> tuple[float, int, int]:
    """The weight of `offer`, how closely it is named, and where: less than 0, so that earlier is more."""
    names = ("*/*", f"{offer.partition('/')[0]}/*", offer)
    for closeness in (2, 1, 0):
        for at, (name, weight) in enumerate(ranges):
            if name == names[closeness]:
                return weight, closeness, -at
    return 0.0, 0, 0


def _ranges(accept: str) -> list[tuple[str, float]]:
    """Each media range and its weight, as they come; one with a weight that is none is left out."""
    found = []
    for element in split(accept, ","):
        name, *parameters = split(element, ";")
        weight = _weight(parameters)
        if weight is not None:
            found.append((name.strip(" \t").lower(), weight))
    return found


def _weight(parameters: list[str]) -> float | None:
    """RFC 9110 section 12.4.2: 0 to 1 with at most three decimals, 1 where it is not said."""
    for parameter in parameters:
        name, _, value = parameter.strip(" \t").partition("=")
        if name in ("q", "Q"):
            whole, _, decimals = value.partition(".")
            if whole not in ("0", "1") or len(decimals) > 3 or not _DIGITS.issuperset(decimals):
                return None
            weight = float(f"{whole}.{decimals}")
            return weight if weight <= 1 else None
    return 1.0
