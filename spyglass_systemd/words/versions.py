"""Which versions of this program are made for each other, told by their numbers. Knows no other of its own."""

from __future__ import annotations

UNITS = "SPYGLASS_UNITS"  # the variable by which a unit says of which versions it is

# ### Who may differ from whom?
# An app in a virtual environment has a runtime of its own, and its units come with the host's package. Options and
# units change with the number that semantic versioning has for that: the second one until 1.0, then the first one.
#
# ### Why does a unit say so by a variable?
# Because an upgrade of the package reaches all apps by it, whatever their drop-ins say. A flag would stand in the
# drop-ins, and be that of the day on which an app was enabled; and a runtime that is too old to know the flag would not
# start at all, where one that is too old to know the variable does what it can.
#
# ### And why does it serve all the same?
# Because most of what differs does not matter to an app, and an `apt upgrade` would make ports say 503. What does
# matter, an option that it does not know, it says by itself. So it is a warning in the journal and in the status.


def family(version: str) -> str:
    """The part of a version that says what goes together: `0.3` of 0.3.1, `2` of 2.4.0."""
    first, _, rest = version.partition("+")[0].partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first == "0" else first


def difference(units: str, runtime: str) -> str:
    """What is wrong between units of the family `units` ("" for none that say) and this runtime; "" for nothing."""
    if units in {"", family(runtime)}:
        return ""
    return f"units of spyglass-systemd {units}, and the app's Python has {runtime}"
