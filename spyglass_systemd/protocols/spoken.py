"""Which kind of app each listener led to when it last worked, kept where no sleep ends it. Raises nothing.

For a day on which the app cannot be loaded: a client of a raw app would not understand a 503.
"""

from __future__ import annotations

from spyglass_systemd.protocols import kept
from spyglass_systemd.words.lines import one_line
from spyglass_systemd.words.values import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = "kinds"
_LABEL_LIMIT = 200  # bytes of a listener's name, or of its address

# Where there is no place to keep it, a 503 is for what looks like a request, and the rest is closed: which is right for
# all but a raw app whose clients wait to be spoken to.


def recall(environ: Mapping[str, str]) -> dict[str, str]:
    """The kinds by their listeners' keys, as they were kept; none where there is nothing to be read."""
    text = kept.recall(environ, _NAME).decode("utf-8", "replace")
    lines = (line.partition(" ") for line in text.split("\n"))
    return {key: kind for kind, _, key in lines if kind in KINDS and key}


def keep(environ: Mapping[str, str], kinds: Mapping[str, str]) -> None:
    """Keep the kinds by their listeners' keys. Writes only what is new."""
    if recall(environ) != kinds:
        kept.keep(environ, _NAME, "".join(f"{kind} {key}\n" for key, kind in kinds.items()).encode())


def key(label: str) -> str:
    """Under what is kept what a listener of this label leads to."""
    return one_line(label, _LABEL_LIMIT)
