from __future__ import annotations

import re
from dataclasses import replace

import pytest

from spyglass_systemd.protocols import config
from spyglass_systemd.tools.drafts import draft
from spyglass_systemd.tools.places import of_system
from spyglass_systemd.words.table import FILE, OPTIONS

APP = {"app": "blog:app"}
GIVEN = APP | {
    "chdir": "/srv/blög",
    "idle": None,
    "min_awake": 0.5,
    "workers": 4,
    "spool": 2**20,
    "min_rate": 700,
    "preload": False,
    "listen": ("http=8000", "admin=unix:/run/a b.sock"),
    "trusted_proxies": ("unix",),
    "user": "ada",
    "python": "/srv/blog/venv/bin/python",
    "environment": {"A": 'x"y', "B C": "%"},
}
TABLES = {"environment", "credentials", "listeners", "screen"}
KEYS = [key for key, option in OPTIONS.items() if FILE in option.places and key != "name"]


@pytest.fixture
def site(tmp_path):
    return replace(of_system(), config=tmp_path).site("blog")


def read(site, text):
    site.config.write_text(text)
    return config.read(str(site.config))


@pytest.mark.parametrize("given", [APP, GIVEN], ids=["app", "many"])
def test_what_was_asked_for_is_what_the_file_says_and_nothing_else(site, given):
    assert read(site, draft(site, given)) == given


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_there_once_with_its_meaning(site, key):
    keys, tables = draft(site, APP).split("# ### Tables")
    lines = (tables if key in TABLES else keys).splitlines()
    (at,) = [n for n, line in enumerate(lines) if re.match(rf"#?(\[+{key}[.\]]|{key} =)", line)]
    meaning = " ".join(line.removeprefix("# ") for line in lines[:at][-3:] if line.startswith("# "))
    assert OPTIONS[key].help in meaning


@pytest.mark.parametrize("key", [key for key in KEYS if key not in TABLES | {"app"}])
def test_a_line_without_its_mark_says_the_default(site, key):
    text = re.sub(rf"^#({key} =)", r"\1", draft(site, APP), count=1, flags=re.MULTILINE)
    default = OPTIONS[key].default if key != "listen" else ("unix:/run/spyglass/blog.sock",)
    assert read(site, text) == APP | {key: default}


def test_the_tables_end_the_file_and_show_how_they_are_written(site):
    text = draft(site, APP)
    tables = text[text.index("# ### Tables") :]
    values = read(site, text + re.sub(r"^#(?! )", "", tables, flags=re.MULTILINE))
    assert values["environment"] == {"NAME": "value"}
    (rule,) = values["screen"]
    assert (rule.paths, rule.status, rule.text) == (("/healthz", "/wp-*"), 404, "Not here.")
    assert values["listeners"] == {"admin": {"app": "blog.admin:app", "kind": "auto", "root_path": ""}}


def test_no_line_is_longer_than_a_terminal_is_wide_and_the_commands_fit_the_user(site):
    text = draft(replace(site, places=replace(site.places, user=True)), APP)
    assert max(map(len, text.splitlines())) <= 120
    assert "spyglass enable blog --user " in text
