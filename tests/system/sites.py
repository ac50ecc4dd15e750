"""An app behind its units, as an operator puts it there: a TOML file, drop-ins, systemctl. And its clients.

The app is tests/apps/knife.py, which does what a client posts, unless a test brings the source of another.
"""

from __future__ import annotations

import json

from harness import APPS, Connection, said
from machine import eventually

# Short times, so that something happens while a test looks.
QUICK = {"idle": "0.3s", "min_awake": "0s", "watch": "0.3s"}
NEVER = {"idle": "1h"}  # awake until it is stopped
DEBIAN, VENV = "debian", "venv"
_VENV = "/opt/venv"
_OF_A_SITE = ("/etc/spyglass/{0}.toml", "/srv/{0}", "/etc/systemd/system/spyglass@{0}.{1}.d")


class Site:
    """One app, configured and listened for. Its options are those of its file."""

    def __init__(self, machine, name, *, source=None, python=DEBIAN, socket="", service="", **options):
        self.machine = machine
        self.name = name
        self.socket = f"spyglass@{name}.socket"
        self.service = f"spyglass@{name}.service"
        self.path = f"/run/spyglass/{name}.sock"
        self.app = f"/srv/{name}/{name}.py"
        self.write((APPS / "knife.py").read_text() if source is None else source)
        self.configure(**{"app": f"{name}:app", "chdir": f"/srv/{name}", **(options or QUICK)})
        if python == VENV:
            program = f"{_VENV}/bin/python -P -m spyglass_systemd"
            command = f"{program} serve --config /etc/spyglass/%i.toml --name %i"
            self.drop_in("service", f"[Service]\nExecStart=\nExecStart={command}\n", "venv")
        for kind, text in (("socket", socket), ("service", service)):
            if text:
                self.drop_in(kind, text)
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", self.socket)

    def write(self, source):
        """The app's source. Its byte code goes: a change of the same size in the same second would not be seen."""
        self.machine.run("rm", "-rf", f"/srv/{self.name}/__pycache__")
        self.machine.put(self.app, source)

    def configure(self, **options):
        """The app's file."""
        lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
        self.machine.put(f"/etc/spyglass/{self.name}.toml", "\n".join(lines) + "\n")

    def drop_in(self, kind, text, name="test"):
        """A drop-in for the socket or the service; it counts after a daemon-reload."""
        self.machine.put(f"/etc/systemd/system/spyglass@{self.name}.{kind}.d/{name}.conf", text)

    def kept(self, name):
        """A file in the app's state directory, by a name that the app and root agree on."""
        return f"/var/lib/private/spyglass/{self.name}/{name}"

    def remove(self):
        """As if it had never been there, but for the journal and what it kept."""
        self.machine.run("systemctl", "disable", "--now", "--quiet", self.socket, check=False)
        self.machine.run("systemctl", "stop", self.service, check=False)
        self.machine.run("systemctl", "reset-failed", self.socket, self.service, check=False)
        for kind in ("socket", "service"):
            self.machine.run("rm", "-rf", *[path.format(self.name, kind) for path in _OF_A_SITE])
        self.machine.run("systemctl", "daemon-reload")

    # ### Clients

    def connect(self):
        """A connection from outside the machine, as root."""
        return Connection(str(self.machine.inside(self.path)))

    def request(self, source=""):
        """The answer to one request."""
        with self.connect().ask(source) as connection:
            return connection.read()

    def ask(self, source):
        """Have the app run `source`; the one thing that it says."""
        (thing,) = said(self.request(source))
        return thing

    def curl(self, *arguments, user="root", check=True):
        """curl in the machine, over the Unix socket unless an URL says otherwise."""
        target = arguments or ("--unix-socket", self.path, "http://localhost/")
        words = ["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}", *target]
        return self.machine.run("runuser", "-u", user, "--", "curl", *words, check=check)

    # ### What systemd and the journal say

    def show(self, *properties):
        """Properties of the service."""
        return self.machine.show(self.service, *properties)

    @property
    def command(self):
        """What the service runs."""
        lines = self.machine.run("systemctl", "cat", self.service).out.splitlines()
        return [line.partition("=")[2] for line in lines if line.startswith("ExecStart=")][-1]

    @property
    def pid(self):
        """The Master, as the machine numbers it; 0 for none."""
        return int(self.show("MainPID"))

    @property
    def listens(self):
        return self.machine.state(self.socket) == "active"

    @property
    def processes(self):
        """How many there are of this app."""
        cgroup = self.show("ControlGroup")
        found = self.machine.run("systemd-cgls", "--no-pager", "--full", cgroup, check=False).out if cgroup else ""
        return sum("python" in line for line in found.splitlines())

    def until(self, state):
        """Wait for the service to be active, inactive, failed."""
        return self.machine.until(self.service, state)

    def until_status(self, text):
        """Wait for what `systemctl status` shows as its status."""
        return eventually(lambda: text in self.show("StatusText"), f"{text} in the status of {self.name}")

    def log(self, *arguments):
        """Its part of the journal."""
        return self.machine.journal("--unit", self.service, "--output=cat", *arguments)

    def events(self):
        """The entries that carry an event, oldest first."""
        matches = [f"SPYGLASS_APP={self.name}", f"_SYSTEMD_UNIT={self.service}"]
        lines = self.machine.journal("--output=json", *matches).splitlines()
        return [json.loads(line) for line in lines]
