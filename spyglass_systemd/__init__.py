"""What an app may use: `keep_awake`. Loaded when it is asked for, so that `import spyglass_systemd` costs nothing."""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["keep_awake"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.protocols.leases import Lease as keep_awake  # noqa: N813  # it reads as what it does


def __getattr__(name: str) -> object:
    """PEP 562."""
    if name == "keep_awake":
        from spyglass_systemd.protocols.leases import Lease  # noqa: PLC0415

        globals()[name] = Lease
        return Lease
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
