"""`spyglass reload`: new code beside the old, until it serves."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.cli.screen import progress
from spyglass_systemd.tools.reload import reload
from spyglass_systemd.words.errors import AppError

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


@_command
@of_a_site(changes=True)
def command(site: Site) -> None:
    """Has a site's app take its new code, and waits until that serves: what a deploy ends with.

    The new code is loaded beside the old, which answers until the new one does; nobody waits, and nobody is refused.
    Code that does not start is thrown away: the old one serves on, the exit code is 69, and the error is shown. An app
    that is asleep loads the new code when it wakes, which is a success.

    What the app is run by is not loaded anew: for another Python, another environment or another version of
    spyglass-systemd there is `spyglass restart`, and this says so.
    """
    with progress(f"{site.name}: new code") as tell:
        outcome = reload(site, tell)
    for line in outcome.advice:
        sys.stderr.write(f"spyglass: {line}\n  `spyglass restart {site.typed}` does\n")
    if outcome.error:
        first, *trace = outcome.error
        raise AppError(
            f"{site.name} does not start with the new code: {first}", hint=outcome.said, trace="\n".join(trace)
        )
    sys.stdout.write(f"{site.name}: {outcome.said}\n")
