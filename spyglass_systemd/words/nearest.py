"""The known word that a mistyped one is nearest to. Loaded only for an error: difflib is 15 ms."""

from __future__ import annotations

import difflib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of `known` that looks most like `word`, "" where none does."""
    return next(iter(difflib.get_close_matches(word, list(known), 1)), "")
