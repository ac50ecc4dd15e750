"""The verbs of `spyglass`, one a line: the front door, help, man page and completions are made from this. Runs none."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from spyglass_systemd.cli.flags import Flag, of_command, of_options

if TYPE_CHECKING:
    from spyglass_systemd.cli.command import Command

SITES, LOOKING, RUNNING, OURSELVES = "Sites", "Looking", "Running an app", "Spyglass"
HEADINGS = (SITES, LOOKING, RUNNING, OURSELVES)


class Verb(NamedTuple):
    """One verb. `argument` is what it takes, `summary` its line in the list of verbs.

    `text` is for a verb that is no click command: its explanation. The command of any other is `command` in
    cli/NAME.py, which is imported when the verb is run or explained.
    """

    name: str
    heading: str
    argument: str
    summary: str
    text: str = ""

    def command(self) -> Command:
        """The click command behind it."""
        found: Command = import_module(f"spyglass_systemd.cli.{self.name}").command
        return found

    def explanation(self) -> str:
        """What it does, in paragraphs."""
        return self.text or self.command().text

    def flags(self) -> list[Flag]:
        """What it can be told, `--help` left out."""
        if not self.text:
            return of_command(self.command())
        return of_options(self.name)

    @property
    def has_options(self) -> bool:
        """Whether it has any flag."""
        return self.name not in {"version", "help"}

    @property
    def names_a_site(self) -> bool:
        """Whether its first argument is the name of a site that is there."""
        return self.argument.strip("[").startswith("NAME") and self.name != "new"

    @property
    def usage(self) -> str:
        """Its line of usage, without the program."""
        needed = [flag.synopsis for flag in self.flags() if flag.needed] if self.has_options else []
        return " ".join(filter(None, (self.name, "[OPTIONS]" if self.has_options else "", *needed, self.argument)))


VERBS = {
    verb.name: verb
    for verb in (
        Verb("new", SITES, "NAME APP", "Write the file of a new site: its app, and every option with its meaning."),
        Verb("edit", SITES, "NAME", "Change the file of a site."),
        Verb("enable", SITES, "NAME", "Check a site, and listen for it, now and from each boot on."),
        Verb("disable", SITES, "NAME", "Listen for a site no more, and take back what enable wrote."),
        Verb("remove", SITES, "NAME", "Disable a site and remove its file."),
        Verb("render", SITES, "NAME", "Write the units of a site so that they stand alone, for hosts without ours."),
        Verb("start", SITES, "NAME", "Listen for a site now, not at each boot."),
        Verb(
            "stop",
            SITES,
            "NAME",
            "Stop listening for a site until it is started or the machine boots, and end its app.",
        ),
        Verb("restart", SITES, "NAME", "End a site's app; who connects meanwhile waits for the next start of it."),
        Verb("check", SITES, "NAME|APP", "Import an app as its Template would, and say how that went."),
        Verb("run", SITES, "NAME [-- COMMAND]", "Run a command, or a shell, in the place of a site's app."),
        Verb("wake", SITES, "NAME", "Wake a site's app before somebody needs it, and say what that took."),
        Verb("reload", SITES, "NAME", "Load a site's new code beside the old, and see it serve: after a deploy."),
        Verb("snippet", LOOKING, "NAME", "Print what nginx or Caddy is to be configured with for a site."),
        Verb("status", LOOKING, "[NAME]", "Show how a site is, or all of them, without waking any."),
        Verb("logs", LOOKING, "NAME", "Show events and output of a site from the journal."),
        Verb(
            "lookout",
            RUNNING,
            "APP",
            "Listen, and run APP only while somebody uses it: for laptops, containers, CI.",
            "Listens. The first connection starts APP; after --idle without activity it is gone again, and the Lookout "
            "listens on. Every option but --listen goes to `spyglass serve`.",
        ),
        Verb(
            "serve",
            RUNNING,
            "APP",
            "Serve APP on the listeners that systemd, or a lookout, passes.",
            "Serves APP on the listeners that systemd or `spyglass lookout` passes, and exits when nobody needs it any "
            "more. This is what the ExecStart= of a .service unit says; it opens no listener by itself.",
        ),
        Verb("version", OURSELVES, "", "Say which version this is.", "Says which version this is."),
        Verb("help", OURSELVES, "[VERB]", "Explain a verb: spyglass help lookout.", "Explains a verb."),
    )
}
