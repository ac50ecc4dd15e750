"""What a person gets for the tabulator key, from the real bash, zsh and fish."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest
from harness import LIMIT

COMPLETIONS = Path(__file__).parents[2] / "packaging" / "completions"
# Every word of a line is there but the last, of which the beginning is; what must be offered for it, and what must not.
LINES = {
    "a verb": ("spyglass sta", {"start", "status"}, {"stop"}),
    "a site": ("spyglass status ", {"blog", "shop"}, {"--user"}),
    "a flag": ("spyglass status --", {"--json", "--user"}, {"--idle"}),
    "a switch that is turned off": ("spyglass serve --no-pre", {"--no-preload"}, {"--idle"}),
    "the value of a flag": ("spyglass serve --log-level ", {"debug", "info", "warning", "error"}, {"blog"}),
    "the value of a flag behind its =": ("spyglass serve --kind=", {"wsgi", "asgi", "raw", "auto"}, {"blog"}),
    "a verb to be explained": ("spyglass help wa", {"wake"}, {"blog"}),
    "a command": ("spyglass run blog -- spyglass-test-", {"spyglass-test-one", "spyglass-test-two"}, {"shop"}),
    "a file for a command": ("spyglass run blog -- cat HOME/not", {"notes-one", "notes-two"}, {"shop"}),
}
BASH = (
    "source /usr/share/bash-completion/bash_completion; source {completions}/spyglass.bash; "
    "bind 'set page-completions off' 'set completion-query-items 0'; PS1=rea''dy:\n"
)
ZSH = (
    "fpath=({completions} $fpath); autoload -Uz compinit; compinit -u -d {home}/dump; "
    "setopt nobeep interactivecomments; unsetopt automenu; LISTMAX=1000; PS1=rea''dy:\n"
)


@pytest.fixture
def home(tmp_path):
    """A place with two sites, two commands and two files."""
    (tmp_path / "spyglass").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("spyglass/blog.toml", "spyglass/shop.toml", "notes-one", "notes-two"):
        (tmp_path / name).touch()
    for name in ("spyglass-test-one", "spyglass-test-two"):
        (tmp_path / "bin" / name).touch(0o755)
    return tmp_path


def surroundings(home):
    path = f"{home}/bin:/usr/bin:/bin"
    return {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "PATH": path, "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def bash(line, home):
    return _typed(["bash", "--norc", "--noprofile", "-i"], BASH, line, home)


def zsh(line, home):
    return _typed(["zsh", "-f", "-i"], ZSH, line, home)


def fish(line, home):
    """fish can be asked."""
    script = f"source {COMPLETIONS}/spyglass.fish; complete -C $argv[1]"
    return subprocess.check_output(
        ["fish", "--no-config", "-c", script, line],
        env=surroundings(home),
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        cwd=home,
    )


def _typed(shell, first, line, home):
    """The others complete for a terminal only: we type, and read what is shown."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(home)
        os.execvpe(shell[0], shell, surroundings(home))
    try:
        termios.tcsetwinsize(terminal, (99, 300))
        os.write(terminal, first.format(completions=COMPLETIONS, home=home).encode())
        _shown(terminal, "ready:")
        # What is typed at the beginning of the line makes a comment of it, and says when all was shown.
        os.write(terminal, f"{line}\t\t\t\x01echo do''ne #\n".encode())
        return _shown(terminal, r"\ndone\r")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def _shown(terminal, until):
    shown, end = "", time.monotonic() + LIMIT
    while not re.search(until, shown, re.DOTALL):
        assert select.select([terminal], [], [], max(0.0, end - time.monotonic()))[0], shown
        with contextlib.suppress(OSError):
            shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


@pytest.mark.parametrize("shell", [bash, zsh, fish], ids=lambda shell: shell.__name__)
@pytest.mark.parametrize("line", LINES)
def test_a_shell_offers_what_may_come_next(shell, line, home):
    typed, offered, others = LINES[line]
    answer = shell(typed.replace("HOME", str(home)), home)
    words = {re.split(r"[/=]", word)[-1] for word in answer.split()}
    assert offered <= words, answer
    assert not others & words, answer
