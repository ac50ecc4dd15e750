"""How the parser is loaded: what an interpreter has in memory after it."""

from __future__ import annotations

import subprocess
import sys

import pytest

CHECK = """
import sys
{before}
from spyglass_systemd.backends.wsgi import parser
seen = sorted(name for name in sys.modules if name.split(".")[0] in ("httptools", "typing", "re"))
{after}
print(*seen)
"""


def run(before="", after=""):
    program = CHECK.format(before=before, after=after)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.split()


def test_the_parser_comes_without_what_its_package_imports():
    assert not {"typing", "re"} & set(run())


AFTERWARDS = """
import httptools
import typing
def run_hint(x: int): pass
assert httptools.HttpRequestParser is parser.HttpRequestParser
assert httptools.HttpParserError is parser.HttpParserError
assert httptools.parse_url(b"http://a/b").path == b"/b"
assert typing.Optional[int] and typing.get_type_hints(run_hint) == {"x": int}
assert httptools.__version__ and httptools.parser.HttpResponseParser
"""


@pytest.mark.parametrize("before", ["", "import httptools"])
def test_an_app_that_imports_httptools_gets_the_real_one(before):
    run(before, AFTERWARDS)


def test_a_package_of_another_shape_is_imported_as_its_authors_meant_it():
    run("import os; os.path.isdir = lambda path: False", AFTERWARDS)
