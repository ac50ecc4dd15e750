"""`spyglass edit`: what follows a change of a site's file."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from spyglass_systemd.cli import edit
from spyglass_systemd.cli.main import main


@pytest.fixture
def edited(monkeypatch, site, capsys):
    """What is said when the file of a site that is enabled becomes `text`, and questions are answered with `answer`."""
    enabled = []
    monkeypatch.setattr("spyglass_systemd.cli.command.places_of", lambda **_: site.places)
    manager = SimpleNamespace(is_enabled=lambda _: True, is_active=lambda _: False)
    monkeypatch.setattr(edit, "manager_of", lambda _: manager)
    enabling = SimpleNamespace(is_done=False, addresses=["127.0.0.1:8000"], run=lambda: enabled.append(True))
    monkeypatch.setattr(edit, "Enabling", lambda _: enabling)

    def edited(answer, text='app = "blog:app"\nlisten = "8000"\n'):
        def edit_file(*, filename):
            Path(filename).write_text(text)

        monkeypatch.setattr(click, "edit", edit_file)
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        code = main(["edit", "blog", "--user"])
        return code, bool(enabled), capsys.readouterr()

    return edited


def test_units_that_change_are_enabled_again_where_that_is_wanted(edited):
    code, enabled, said = edited("y\n")
    assert (code, enabled) == (0, True)
    assert said.out.endswith("blog listens on 127.0.0.1:8000\n")


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_who_does_not_want_that_or_is_not_there_is_told_what_comes_next(edited, answer):
    code, enabled, said = edited(answer)
    assert (code, enabled) == (0, False)
    assert "now? [Y/n]: " in said.out
    assert said.out.endswith("Next: spyglass enable blog --user\n")
    assert ("now? [Y/n]: \nNext" in said.out) is (not answer)


def test_a_file_that_makes_no_sense_is_not_kept_where_nobody_is_there_to_mend_it(edited, site):
    before = site.config.read_text()
    code, _, said = edited("", "idle = \n")
    assert code == 64
    assert f"spyglass: {site.config} is left as it was\n" in said.err
    assert site.config.read_text() == before
