from __future__ import annotations

import ctypes
import errno
import io
import os
import sys
import types
from pathlib import Path

import pytest

import spyglass_systemd
from spyglass_systemd import processes
from spyglass_systemd.cli import help as pages
from spyglass_systemd.cli import lookout, streams
from spyglass_systemd.cli.flags import default_of
from spyglass_systemd.cli.main import main
from spyglass_systemd.cli.screen import console, line
from spyglass_systemd.cli.verbs import HEADINGS, VERBS
from spyglass_systemd.words.errors import AppError, ConfigError, OutputError, UsageError
from spyglass_systemd.words.options import parse_flags
from spyglass_systemd.words.table import LOOKOUT, OPTIONS, SERVE


@pytest.fixture
def serve(monkeypatch):
    """Stands in for `processes.serve`: `run` is ours to set."""
    stub = types.ModuleType("spyglass_systemd.processes.serve")
    monkeypatch.setitem(sys.modules, stub.__name__, stub)
    monkeypatch.setattr(processes, "serve", stub, raising=False)
    return stub


def fails(error):
    def run(_):
        raise error

    return run


# Verbs


def test_serve_passes_through_with_its_arguments_untouched(serve):
    seen = []
    serve.run = lambda argv: seen.append(argv) or 7
    assert main(["serve", "--idle", "nonsense", "--", "--help", "-h"]) == 7
    assert seen == [["--idle", "nonsense", "--", "--help", "-h"]]


def test_without_arguments_those_of_the_process_are_taken(serve, monkeypatch):
    serve.run = len
    monkeypatch.setattr(sys, "argv", ["spyglass", "serve", "a:b"])
    assert main() == 1


@pytest.mark.parametrize("verb", ["version", "--version", "-V"])
def test_version_says_the_version(verb, capsys):
    assert main([verb]) == 0
    assert capsys.readouterr().out == f"spyglass-systemd {spyglass_systemd.__version__}\n"


@pytest.mark.parametrize("argv", [["help"], ["--help"], ["-h"]])
def test_help_names_every_verb(argv, capsys):
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {verb} " in out for verb in VERBS)


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if verb.has_options])
def test_help_of_a_verb_can_be_asked_for_in_three_ways(verb, capsys):
    texts = set()
    for argv in ([verb, "--help"], [verb, "x", "-h"], ["help", verb]):
        assert main(argv) == 0
        texts.add(capsys.readouterr().out)
    assert len(texts) == 1
    assert texts.pop().startswith(f"Usage: spyglass {verb} ")


# Errors


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "spyglass: there is no verb\n  see spyglass --help\n"),
        (["srve"], "spyglass: there is no verb 'srve'\n  did you mean serve?\n"),
        (["help", "frob"], "spyglass: there is no verb 'frob'\n  see spyglass --help\n"),
        (["help", "srve"], "spyglass: there is no verb 'srve'\n  did you mean serve?\n"),
        (["zzz"], "spyglass: there is no verb 'zzz'\n  see spyglass --help\n"),
    ],
)
def test_a_wrong_verb_is_a_usage_error(argv, says, capsys):
    assert main(argv) == 64
    assert capsys.readouterr() == ("", says)


@pytest.mark.parametrize(("error", "code"), [(UsageError, 64), (AppError, 69), (ConfigError, 78)])
def test_an_error_is_one_message_with_its_exit_code_and_no_traceback(serve, capsys, error, code):
    serve.run = fails(error("it broke", hint="mend it"))
    assert main(["serve"]) == code
    assert capsys.readouterr() == ("", "spyglass: it broke\n  mend it\n")


def test_an_error_of_the_app_comes_with_the_apps_own_traceback(serve, capsys):
    serve.run = fails(AppError("it broke", trace="Traceback: line 1\n"))
    assert main(["serve"]) == 69
    assert capsys.readouterr().err == "Traceback: line 1\nspyglass: it broke\n"


def test_a_bug_keeps_its_traceback(serve, capsys):
    serve.run = fails(KeyError("our fault"))
    assert main(["serve"]) == 70
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert "KeyError: 'our fault'\nspyglass: this is a bug" in err


def test_an_interrupt_is_no_bug(serve, capsys):
    serve.run = fails(KeyboardInterrupt())
    assert main(["serve"]) == 130
    assert capsys.readouterr() == ("", "")


def test_who_reads_no_more_has_seen_enough(serve, capfd):
    serve.run = fails(BrokenPipeError())
    kept = os.dup(1)
    try:
        assert main(["serve"]) == 141
        assert Path("/proc/self/fd/1").readlink() == Path("/dev/null")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("fault", ["write", "flush"])
def test_what_shows_something_meets_an_output_that_is_full_as_an_error_of_ours(monkeypatch, fault):
    class Full(io.StringIO):
        pass

    def fails(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    setattr(Full, fault, fails)
    silenced = []
    monkeypatch.setattr(streams, "silence", lambda: silenced.append(True))
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OutputError, match="standard output cannot be written: No space left"), streams.mended():
        line(console(), ("asleep", "blue"))
    assert silenced
    assert isinstance(sys.stdout, Full)


# Help


def test_every_verb_has_its_place_and_says_what_it_does():
    assert {verb.heading for verb in VERBS.values()} <= set(HEADINGS)
    for verb in VERBS.values():
        assert verb.summary.endswith(".")
        assert verb.explanation()
        assert all(flag.help.endswith(".") for flag in verb.flags()), verb.name


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["start"], "spyglass: missing argument 'NAME'\n  see spyglass start --help\n"),
        (["start", "--usr"], "spyglass: there is no option --usr\n  did you mean --user?\n"),
        (["start", "--zzz"], "spyglass: there is no option --zzz\n  see spyglass start --help\n"),
        (["start", "Blog"], "spyglass: 'Blog' is not a name for a site"),
    ],
)
def test_wrong_words_after_a_verb_are_a_usage_error(argv, says, capsys):
    assert main(argv) == 64
    assert capsys.readouterr().err.startswith(says)


@pytest.mark.parametrize("command", [SERVE, LOOKOUT])
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_help_shows_every_option_of_the_verb_and_no_other(command, columns):
    words = pages.page(command, columns).split()
    shown = {word.replace("[no-]", "") for word in words if word.startswith("--") and len(word) > 2}
    assert shown - {"--listen"} == {
        option.flag for option in OPTIONS.values() if command in option.places and option.help
    } - {"--listen"}


def test_help_shows_a_short_spelling_beside_the_long_one():
    assert "  -n, --lines N  " in pages.page("logs", 80)


def test_help_says_what_a_value_may_be_and_how_often():
    said = " ".join(pages.page(SERVE, 80).split())
    assert "Log from here on. One of debug, info, warning, error (default info)." in said
    assert "Import from this directory, too, relative to chdir. May be given several times." in said


def test_help_shows_a_flag_that_is_needed_in_the_usage():
    assert pages.page("render", 80).startswith("Usage: spyglass render [OPTIONS] --to DIR NAME\n")


@pytest.mark.parametrize(("verb", "has_file"), [("serve", True), ("check", True), ("new", False)])
def test_help_names_the_file_of_a_flag_where_there_is_the_flag(verb, has_file):
    assert ("the file of --config" in " ".join(pages.page(verb, 80).split())) is has_file


def test_a_site_listens_on_a_socket_of_its_own_by_default_and_a_lookout_on_a_port():
    assert "(default unix:/run/spyglass/NAME.sock)" in " ".join(pages.page("new", 80).split())
    assert "(default 127.0.0.1:8000)" in " ".join(pages.page(LOOKOUT, 80).split())


def test_help_is_no_wider_than_asked_for():
    assert max(len(line) for line in pages.page(SERVE, 80).splitlines()) <= 80
    assert max(len(line) for line in pages.overview().splitlines()) <= 100


def test_defaults_are_written_as_a_person_writes_them():
    written = {key: default_of(option) for key, option in OPTIONS.items()}
    assert written["idle"] == "5min"
    assert written["doze"] == "off"
    assert written["preload"] == "true"
    assert written["spool"] == "1MiB"
    assert written["line_limit"] == "8KiB"
    assert written["max_requests"] == "0"
    assert written["listen"] == "127.0.0.1:8000"
    assert written["environment"] == written["pythonpath"] == written["app"] == ""


def test_defaults_as_written_are_read_back():
    for option in OPTIONS.values():
        if written := default_of(option):
            assert option.parse(written) == option.default


# Lookout


def halves(argv):
    command = lookout.lookout_command(argv, 4711)
    assert command[:2] == [sys.executable, "-P"]
    cut = command.index("--")
    return command[2:cut], command[cut + 1 :]


def test_a_lookout_is_told_name_and_addresses_and_how_to_run_the_master():
    own, master = halves(
        ["--listen", "http=8000", "--idle=2", "--listen", "unix:/run/x", "--no-preload", "blog.wsgi:app"]
    )
    assert own[0].endswith("/spyglass_systemd/processes/lookout.py")
    assert own[1:] == ["--name", "blog", "--log-level", "info", "http=127.0.0.1:8000", "unix:/run/x"]
    assert master[:2] == [sys.executable, "-P"]
    assert master[2].endswith("/spyglass_systemd/__main__.py")
    assert master[3:] == ["serve", "--lookout-pid", "4711", "--idle=2", "--no-preload", "blog.wsgi:app"]


def test_what_a_lookout_runs_are_files_that_exist():
    own, master = halves(["a:b"])
    assert Path(master[2]).is_file()
    assert Path(own[0]).is_file()


def test_the_command_of_the_master_is_one_that_serve_understands():
    argv = ["--chdir", ".", "--environment", "A=1", "--workers", "3", "--listen", "0", "a:b"]
    _, master = halves(argv)
    flags, _ = parse_flags(master[4:], SERVE)
    expected, _ = parse_flags(argv, LOOKOUT)
    del expected["listen"]
    assert flags == expected | {"lookout_pid": 4711}


def test_port_8000_of_this_machine_is_the_default():
    own, _ = halves(["a:b"])
    assert own[5:] == ["127.0.0.1:8000"]


def test_app_and_listeners_may_come_from_the_file(tmp_path):
    (tmp_path / "blog.toml").write_text(f'app = "blog:app"\nlisten = ["8001"]\nchdir = "{tmp_path}"\n')
    own, master = halves(["--config", str(tmp_path / "blog.toml")])
    assert own[1:] == ["--name", "blog", "--log-level", "info", "127.0.0.1:8001"]
    assert master[4:] == ["--lookout-pid", "4711", "--config", str(tmp_path / "blog.toml")]


@pytest.mark.parametrize(
    ("flag", "key", "says"),
    [
        (["--listen", "nonsense"], 'listen = "nonsense"', "'nonsense' is not an address"),
        (["--chdir", "/no/where"], 'chdir = "/no/where"', "/no/where: there is no such directory"),
    ],
)
def test_a_mistake_is_found_before_anything_listens(flag, key, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        lookout.lookout_command([*flag, "a:b"], 1)
    (tmp_path / "blog.toml").write_text(key)
    with pytest.raises(ConfigError, match=f"blog.toml: .*{says}"):
        lookout.lookout_command(["--config", str(tmp_path / "blog.toml"), "a:b"], 1)


def test_the_process_becomes_a_subreaper_and_then_the_lookout(monkeypatch):
    did = []
    monkeypatch.setattr(lookout, "_become_subreaper", lambda: did.append("subreaper"))
    monkeypatch.setattr(os, "execv", lambda program, argv: did.append((program, argv)) or sys.exit(0))
    with pytest.raises(SystemExit):
        main(["lookout", "--listen", "0", "a:b"])
    command = lookout.lookout_command(["--listen", "0", "a:b"], os.getpid())
    assert did == ["subreaper", (sys.executable, command)]


def test_without_the_right_to_reap_orphans_it_goes_on_and_says_so(monkeypatch, capsys):
    class Refusing:
        def prctl(self, *_):
            ctypes.set_errno(22)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Refusing())
    lookout._become_subreaper()
    assert "will not be reaped here: Invalid argument" in capsys.readouterr().err
