"""The errors a person sees: what happened, what to try, and the exit code that goes with it. Prints nothing."""

from __future__ import annotations


class SpyglassError(Exception):
    """Something that a person can mend; `hint` says how. `exit_code` follows sysexits(3)."""

    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def summary(self) -> str:
        """Message and hint on one line."""
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(SpyglassError):
    """The command line is wrong (EX_USAGE)."""

    exit_code = 64


class AppError(SpyglassError):
    """The app could not be loaded or does not start (EX_UNAVAILABLE); `trace` is its own traceback, ours cut off."""

    exit_code = 69

    def __init__(self, message: str, *, hint: str = "", trace: str = "") -> None:
        super().__init__(message, hint=hint)
        self.trace = trace


class ConfigError(SpyglassError):
    """The configuration file is wrong (EX_CONFIG)."""

    exit_code = 78


class ActivationError(SpyglassError):
    """No listener, or one that we cannot serve on (EX_CONFIG)."""

    exit_code = 78


class ManagerError(SpyglassError):
    """systemd refused what it was asked, or is not there (EX_UNAVAILABLE)."""

    exit_code = 69


class WriteError(SpyglassError):
    """A file could not be written (EX_CANTCREAT)."""

    exit_code = 73


class OutputError(SpyglassError):
    """What a verb has to say could not be written to standard output (EX_IOERR)."""

    exit_code = 74


class PrivilegeError(SpyglassError):
    """This user may not do that (EX_NOPERM)."""

    exit_code = 77
