"""From `module:attribute` to a callable, in the process that may be spoilt by it: the Template. Forks nothing."""

from __future__ import annotations

import os
import sys
import time
from _thread import get_native_id

from spyglass_systemd.protocols import kinds
from spyglass_systemd.words.errors import ActivationError, AppError
from spyglass_systemd.words.lines import one_line
from spyglass_systemd.words.listener import Lead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings

_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep
_NOT_THE_APPS = ("<frozen importlib", "<frozen runpy")
_SUMMARY_LIMIT = 500  # bytes


def enter(settings: Settings) -> None:
    """Make this process look as the app expects it: environment, working directory, import path.

    The paths are taken as they are written, symbolic links unresolved: a deploy that swaps `current -> releases/N`
    must load the new release, and a path that was resolved once would name the old one for ever.
    """
    os.environ.update(settings.environment)
    time.tzset()  # or a TZ among them would count for nothing
    try:
        directory = os.path.abspath(settings.chdir)
        os.chdir(directory)
    except OSError as error:
        raise AppError(
            f"the working directory {settings.chdir} cannot be entered: {error.strerror}",
            hint="set chdir= (--chdir) to the directory that the app's module lies in",
        ) from None
    paths = [os.path.normpath(os.path.join(directory, path)) for path in settings.pythonpath]
    sys.path[:0] = [path for path in [directory, *paths] if path not in sys.path]
    sys.path_importer_cache.clear()


def leads(settings: Settings, listeners: tuple[Listener, ...]) -> tuple[Lead, ...]:
    """What each listener leads to: the app of its name in `[listeners.NAME]`, else the one app.

    Raises ActivationError where a listener leads nowhere, or a name has no listener.
    """
    names = {listener.name for listener in listeners}
    for name in settings.listeners:
        if name not in names:
            there = ", ".join(sorted(each or "one without a name" for each in names))
            raise ActivationError(
                f"no listener is called {name!r}; we were handed {there}",
                hint=f"[listeners.{name}] needs FileDescriptorName={name} in the .socket unit, or --listen {name}=ADDR",
            )
    found = []
    for listener in listeners:
        own = settings.listeners.get(listener.name, {})
        spec = own.get("app", settings.app)
        if not spec:
            raise ActivationError(
                f"the listener {listener.label} leads to no app",
                hint=f"set [listeners.{listener.name or 'NAME'}] app=, or app= for all that have none of their own",
            )
        kind = own.get("kind", "auto" if own else settings.kind)
        found.append(Lead(listener, spec, kind, own.get("root_path", settings.root_path)))
    return tuple(found)


def fill(found: tuple[Lead, ...]) -> tuple[str, ...]:
    """Load the app of each lead, each once, and find out its kind; the kinds there are. Raises AppError."""
    loaded: dict[str, Any] = {}
    for lead in found:
        if lead.spec not in loaded:
            loaded[lead.spec] = load(lead.spec)
        lead.app = loaded[lead.spec]
        if lead.kind == "auto":
            lead.kind = kinds.kind_of(lead.app, lead.spec)
    return tuple(dict.fromkeys(lead.kind for lead in found))


def load(spec: str) -> Any:
    """The object that `module:attribute` or `module:factory()` names.

    Raises AppError for whatever goes wrong, `SystemExit` included, with the traceback from the app's first frame on.
    """
    module_name, _, attribute = spec.partition(":")
    try:
        __import__(module_name)
        found: Any = sys.modules[module_name]
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise AppError(
                f"no module named {error.name!r} (looked in {', '.join(path for path in sys.path if path)})",
                hint="set chdir= to the directory it lies in, or run with the Python of the app's virtual environment",
            ) from None
        raise _failed(f"importing {module_name!r}", error) from None
    except BaseException as error:  # noqa: BLE001  # the app may raise what it likes; SystemExit is no way out of here
        raise _failed(f"importing {module_name!r}", error) from None
    path, call = attribute.removesuffix("()"), attribute.endswith("()")
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise _missing(module_name, found, name) from None
        except BaseException as error:  # noqa: BLE001  # a module's own __getattr__, a property
            raise _failed(f"looking up {spec}", error) from None
    if call:
        try:
            found = found()
        except BaseException as error:  # noqa: BLE001
            raise _failed(f"calling {spec}", error) from None
    if not callable(found):
        raise AppError(
            f"{spec} is {type(found).__name__!r}, not an app that can be called",
            hint="name the app object, or the function that makes it with () behind it: module:create_app()",
        )
    return found


def threads() -> tuple[str, ...]:
    """The names of the threads that are alive beside this one: Python's where it has one, else the kernel's."""
    ids = [each for each in os.listdir("/proc/self/task") if each != str(get_native_id())]
    threading: Any = sys.modules.get("threading")
    named = {each.native_id: each.name for each in threading.enumerate()} if ids and threading else {}
    return tuple(named.get(int(each)) or _command(each) for each in ids)


def _command(thread: str) -> str:
    try:
        with open(f"/proc/self/task/{thread}/comm", encoding="utf-8", errors="backslashreplace") as file:
            return file.read().rstrip("\n")
    except OSError:  # it has ended meanwhile
        return f"thread {thread}"


def _missing(module_name: str, found: Any, name: str) -> AppError:
    import difflib  # noqa: PLC0415  # only on this path

    there = [each for each in dir(found) if not each.startswith("_")]
    near = difflib.get_close_matches(name, there, 1)
    near += [each for each in there if len(each) > 2 and (each.startswith(name) or name.startswith(each))]
    hint = f"did you mean {near[0]!r}?" if near else "APP is module:attribute, or module:factory()"
    return AppError(f"{module_name!r} has no attribute {name!r}", hint=hint)


def _failed(doing: str, error: BaseException) -> AppError:
    import traceback  # noqa: PLC0415  # only on this path

    # A SyntaxError has indented lines before its message, and any error may have notes after it.
    what = next(line for line in traceback.format_exception_only(error) if not line.startswith(" ")).strip()
    if isinstance(error, SystemExit):
        what = f"SystemExit({error.code!r})"
    return AppError(f"{doing}: {one_line(what, _SUMMARY_LIMIT)}", trace=trace_of(error))


def trace_of(error: BaseException) -> str:
    """The traceback of `error` from the app's first frame on."""
    import traceback  # noqa: PLC0415  # only on this path

    found = traceback.TracebackException(type(error), error, error.__traceback__)
    links = [found]
    while links:  # each error of the chain: "during the handling of ..."
        link = links.pop()
        link.stack = traceback.StackSummary.from_list([frame for frame in link.stack if _is_the_apps(frame.filename)])
        links += [each for each in (link.__cause__, link.__context__) if each is not None]
    return "".join(found.format())


def _is_the_apps(filename: str) -> bool:
    """Not ours, and not the import system's, which stand between two modules of the app."""
    return not filename.startswith((_OURS, *_NOT_THE_APPS))
