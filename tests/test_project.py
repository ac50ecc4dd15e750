"""The project's own rules: what ruff, mypy and import-linter do not know to ask."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from spyglass_systemd.tools.places import of_system
from spyglass_systemd.tools.wanted import read

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "spyglass_systemd"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 260  # lines; beyond it a second noun is hiding

# What is imported before the Template is forked, and in it before the app: beside our own modules, and what the
# interpreter starts with. A name here is a decision, paid at each wake. Whatever is not here is imported where it is
# needed, or after the first answer.
WAKE_PATH_MAY_IMPORT = {
    "__future__",
    "_errno",
    "_signal",
    "_socket",
    "cysystemd",
    "cysystemd._daemon",
    "errno",
    "faulthandler",
    "gc",
    "mmap",
    "select",
    "systemd",
    "systemd._daemon",
}
# The costly ones by name, so that a failure says which rule it broke (milliseconds at each wake).
NEVER_AT_A_WAKE = {
    "argparse": 8,
    "asyncio": 35,
    "click": 24,
    "collections": 3,
    "contextlib": 5,
    "ctypes": 3,
    "dataclasses": 12,
    "email": 10,
    "enum": 3,
    "functools": 3,
    "http": 10,
    "importlib.metadata": 31,
    "inspect": 8,
    "json": 7,
    "logging": 13,
    "pathlib": 12,
    "random": 5,
    "re": 7,
    "rich": 20,
    "shutil": 8,
    "signal": 4,
    "socket": 7,
    "struct": 1,
    "subprocess": 10,
    "tempfile": 8,
    "threading": 5,
    "tomllib": 12,
    "traceback": 4,
    "typing": 7,
    "urllib.parse": 4,
}

tracked = subprocess.run(
    ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT,
    capture_output=True,
    check=True,
    text=True,
).stdout.split("\0")
FILES = sorted(ROOT / name for name in tracked if name and (ROOT / name).is_file())
TEXTS = [path for path in FILES if b"\0" not in path.read_bytes()[:4096]]
DOCUMENTS = [path for path in FILES if path.suffix == ".md"]
TEST_FILES = sorted((ROOT / "tests").rglob("test_*.py"))
TESTS = {name for path in TEST_FILES for name in re.findall(r"def (test_\w+)", path.read_text())}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported_by(statement: str) -> set[str]:
    """What a fresh interpreter of our environment has in `sys.modules` after `statement` that it had not before."""
    program = f"import sys; before = set(sys.modules)\n{statement}\nprint(' '.join(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, cwd=ROOT)
    return set(run.stdout.split())


@pytest.mark.parametrize("role", ["serve", "template", "worker", "lobby"])
def test_a_wake_imports_only_what_the_first_answer_needs(role):
    imported = imported_by(f"import spyglass_systemd.processes.{role}")
    costly = {module: f"{ms} ms" for module, ms in NEVER_AT_A_WAKE.items() if module in imported}
    assert costly == {}
    foreign = {module for module in imported if module.partition(".")[0] != "spyglass_systemd"}
    assert foreign <= WAKE_PATH_MAY_IMPORT


def test_nothing_inside_is_loaded_with_the_root():
    assert imported_by("import spyglass_systemd") == {"spyglass_systemd", "__future__"}


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__init__.py"], ids=name)
def test_a_module_says_its_job_in_its_first_line(path):
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    first = docstring.partition("\n")[0]
    assert len(first) > 20, f"{name(path)} begins with {first!r}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_holds_one_noun(path):
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", [path for path in MODULES if path.read_text().strip()], ids=name)
def test_annotations_are_never_evaluated(path):
    tree = ast.parse(path.read_text())
    if any(isinstance(node, ast.AnnAssign | ast.arg) and node.annotation for node in ast.walk(tree)):
        assert "from __future__ import annotations" in path.read_text()


def test_the_version_stands_in_one_place_and_the_changelog_knows_it():
    version = re.search(r'^__version__ = "(\d+\.\d+\.\d+)"$', (PACKAGE / "__init__.py").read_text(), re.MULTILINE)
    assert version, "__init__ holds __version__ as a literal"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert not released or released[0] == version[1]


def test_the_changelog_keeps_its_form():
    """Keep a Changelog 1.1.0: `Unreleased` at the top, then dated versions, newest first; kinds of change below."""
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    assert lines[0] == "# Changelog"
    headings = [line for line in lines if line.startswith("## ")]
    assert headings[0] == "## [Unreleased]"
    dates = []
    for heading in headings[1:]:
        parsed = re.fullmatch(r"## \[\d+\.\d+\.\d+\] - (\d{4}-\d\d-\d\d)", heading)
        assert parsed, heading
        dates.append(parsed[1])
    assert dates == sorted(dates, reverse=True)
    kinds = {line[4:] for line in lines if line.startswith("### ")}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_a_document_links_only_to_what_is_there(path):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text())
    missing = [t for t in targets if not re.match(r"[a-z]+:", t) and not (path.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_a_document_names_only_files_that_are_there(path):
    """Whatever stands in backticks and begins with a folder of ours, or is run by ./."""
    folders = {p.relative_to(ROOT).parts[0] for p in FILES if len(p.relative_to(ROOT).parts) > 1}
    words = re.findall(r"`([^`\s]+)`", path.read_text())
    claimed = [w.removeprefix("./") for w in words if w.partition("/")[0] in folders or w.startswith("./")]
    missing = [c for c in claimed if not any(ROOT.glob(c.rstrip("/"))) and not {"*", "N", "X"} & set(c)]
    assert missing == []


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if "```toml" in path.read_text()], ids=name)
def test_what_a_document_prints_for_a_sites_file_is_taken_as_it_stands(path, tmp_path):
    site = replace(of_system(), config=tmp_path).site("blog")
    for block in re.findall(r"^```toml\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
        site.config.write_text(block if block.startswith("app =") else f'app = "blog:app"\n{block}')
        assert read(site)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_a_document_names_only_tests_that_are_there(path):
    named = set(re.findall(r"\btest_\w+", path.read_text()))
    assert named - TESTS - {file.stem for file in TEST_FILES} == set()


def test_everything_that_the_page_on_security_says_is_held_by_a_test():
    text = (ROOT / "docs" / "reference" / "security.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and line.count("|") == 4][1:]
    assert rows
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named or row.startswith("| what "), f"no test holds this: {row}"


def test_the_architecture_names_every_module():
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    named = {
        f"{layer}/{module}"
        for layer, modules in re.findall(r"^\| `([\w/]+)` \|[^|]*\|([^|]*)\|$", text, re.MULTILINE)
        for module in re.findall(r"`(\w+)`", modules)
    }
    there = {str(path.relative_to(PACKAGE).with_suffix("")) for path in MODULES if path.parent != PACKAGE}
    assert named == {module for module in there if not module.endswith("__init__")}


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "adr").glob("*.md")), ids=name)
def test_a_decision_fits_on_a_page(path):
    text = path.read_text()
    number = re.match(r"(\d{4})-[a-z0-9-]+\.md$", path.name)[1]
    assert text.startswith(f"# {int(number)}. ")
    assert list(path.parent.glob(f"{number}-*")) == [path]
    assert len(text.splitlines()) <= 60
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Context",
        "## Decision",
        "## What we gave up",
    ]


# Written so that this file does not match itself.
OF_A_WORKPLACE = re.compile(
    r"(?<![\w.~-])/(?:work|farm)/|/root/[.]|/tmp/[b]ash_jobs|\.\./[s]hared|\.[l]ibrary\b"  # where it was written
    r"|\bissue [#]?\d|\bsession [#]?\d"  # who asked for it
    r"|\bpy[p]i\.\w|python[h]osted|deb\.[d]ebian\.|registry\.[n]pm|npm[j]s\.",  # where its parts came from
    re.IGNORECASE,
)


def test_no_file_says_anything_of_the_place_where_it_was_written():
    found = [
        f"{name(path)}:{number}: {line.strip()[:100]}"
        for path in TEXTS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if OF_A_WORKPLACE.search(line)
    ]
    assert found == []


def test_a_type_is_promised_to_users():
    assert (PACKAGE / "py.typed").is_file()


def test_every_verb_explains_itself():
    listed = subprocess.run(["./dev"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for verb in sorted((ROOT / "scripts" / "verbs").glob("*.sh")):
        assert re.search(rf"^  {verb.stem} +\w", listed, re.MULTILINE), verb.stem
        explained = subprocess.run(["./dev", verb.stem, "--help"], cwd=ROOT, capture_output=True, check=True, text=True)
        assert f"Usage: ./dev {verb.stem}" in explained.stdout


def test_an_unknown_verb_is_refused():
    run = subprocess.run(["./dev", "dance"], cwd=ROOT, capture_output=True, check=False, text=True)
    assert run.returncode == 64
    assert 'no verb "dance"' in run.stderr


def test_a_manual_page_has_every_key_of_a_file_and_of_the_tables_in_it():
    page = (ROOT / "packaging/man/spyglass.toml.5.md").read_text()
    _, _, rules = page.partition("### [[screen]]")
    rules, _, listeners = rules.partition("### [listeners.")
    for text, keys in (
        (rules, ("path", "methods", "status", "text", "close")),
        (listeners, ("app", "kind", "root_path")),
    ):
        assert [key for key in keys if not re.search(rf"^{key} = .* :: ", text, re.MULTILINE)] == []
