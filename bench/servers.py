"""How each server is started on a listener that it is handed as fd 3. Knows no measurement."""

from __future__ import annotations

from peers import BIN, PYTHON, VENV, site_packages
from places import APPS, STARTERS


class Server:
    """A name for tables, and the command that serves MODULE.app, run in the apps' folder."""

    __slots__ = ("_command", "name")

    def __init__(self, name: str, command: str) -> None:
        self.name = name
        self._command = command

    def command(self, module: str) -> list[str]:
        """The words, with the app's module filled in."""
        places = {"python": PYTHON, "bin": BIN, "venv": VENV, "site": site_packages(), "apps": APPS, "app": module}
        return [word.format(**places, starters=STARTERS) for word in self._command.split()]

    @property
    def installed(self) -> bool:
        """False for a peer that could not be installed here."""
        program = self.command("x")[0]
        return "/" not in program or (BIN / program).exists()

    def __repr__(self) -> str:
        return f"<Server {self.name}>"


FLOOR = Server("floor", "{python} -I -S {starters}/floor.py {apps} {site} {app}")
WAKES = (
    FLOOR,
    # As the Lookout starts it, and a unit: by its file. `python -m` loads runpy first, and the console script that an
    # older pip writes loads `re`; an app that needs what these bring along pays nothing for it.
    Server("spyglass serve, 2 workers", "{python} -P {site}/spyglass_systemd/__main__.py serve --workers 2 {app}:app"),
    Server("spyglass serve, python -m", "{python} -m spyglass_systemd serve --workers 2 {app}:app"),
    Server("spyglass serve, console script", "{bin}/spyglass serve --workers 2 {app}:app"),
    Server(
        "spyglass serve, with a file",
        "{python} -P {site}/spyglass_systemd/__main__.py serve --config plain.toml {app}:app",
    ),
    Server(
        "spyglass serve, with a screen",
        "{python} -P {site}/spyglass_systemd/__main__.py serve --config screened.toml {app}:app",
    ),
    Server("gunicorn sync, 1 worker", "{bin}/gunicorn -w 1 -k sync {app}:app"),
    Server("gunicorn sync --preload, 2 workers", "{bin}/gunicorn -w 2 -k sync --preload {app}:app"),
    Server("waitress, in one process", "{python} {starters}/waitress_fd.py {app}"),
    Server(
        "uWSGI, master and 2 workers",
        "{bin}/uwsgi --http-socket fd://3 --master --processes 2 -H {venv} --module {app}:app --pythonpath {apps} "
        "--need-app --die-on-term",
    ),
)
DOZES = Server(
    "spyglass serve, dozing",
    "{python} -P {site}/spyglass_systemd/__main__.py serve --workers 2 --doze 0.1 --idle 1h {app}:app",
)
OURS = Server("spyglass serve", "{python} -m spyglass_systemd serve --workers 1 {app}:app")
BASE = Server("gunicorn sync", "{bin}/gunicorn -w 1 -k sync {app}:app")
STEADY = (BASE, OURS)
