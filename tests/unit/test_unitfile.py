from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.protocols import unitfile

LINES = [("Unit", "Description", "one"), ("Socket", "ListenStream", ""), ("Socket", "ListenStream", "127.0.0.1:80")]
TEXT = "# who\n#\n# why\n\n[Unit]\nDescription=one\n\n[Socket]\nListenStream=\nListenStream=127.0.0.1:80\n"


def test_lines_stand_below_their_sections_and_a_comment():
    assert unitfile.write(LINES, "who\n\nwhy") == TEXT
    assert unitfile.write(LINES[:1]) == "[Unit]\nDescription=one\n"


def test_what_is_written_is_read_back():
    assert unitfile.parse(TEXT) == tuple(LINES)


def test_a_continued_line_is_one_and_comments_in_it_are_none_of_it():
    text = "; a comment\n[Service]\nExecStart=/bin/echo \\\n# between\n   two\n\n"
    assert unitfile.parse(text) == (("Service", "ExecStart", "/bin/echo  two"),)


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\u00a0"])
def test_a_line_ends_where_systemd_ends_it_and_no_sooner(end):
    lines = (("Unit", "Description", f"one{end}A=b"), ("Unit", "Documentation", f"two{end}"))
    assert unitfile.parse(unitfile.write(lines)) == lines


def test_a_value_that_would_go_on_in_the_next_line_is_refused():
    with pytest.raises(ValueError, match="ends in a backslash"):
        unitfile.write([("Unit", "Description", "C:\\"), ("Unit", "Wants", "x")])
    assert unitfile.word("C:\\") == '"C:\\\\"'


@pytest.mark.parametrize("text", ["[Unit]\nnonsense\n", "A=1\n"])
def test_what_is_no_line_is_refused_by_its_number(text):
    with pytest.raises(ValueError, match=r"line \d: '.*' is neither"):
        unitfile.parse(text)


@pytest.mark.parametrize("bad", ["a\nb", "a\0", "\x7f"])
def test_a_control_character_is_refused(bad):
    for refuses in (unitfile.literal, unitfile.word, lambda value: unitfile.write([("A", "b", value)])):
        with pytest.raises(ValueError, match="control character"):
            refuses(bad)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("/srv/blog", "/srv/blog"),
        ("50%", "50%%"),
        ("", '""'),
        ("two words", '"two words"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("é", '"é"'),
        (";", '";"'),
        ("'", '"\'"'),
    ],
)
def test_a_word_is_quoted_where_it_has_to_be(text, written):
    assert unitfile.word(text) == written


def test_a_command_puts_no_variable_in():
    assert unitfile.command("/bin/echo", "$HOME", "100%", "a b") == '/bin/echo "$$HOME" 100%% "a b"'


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))))
def test_any_text_fits_on_one_line(text):
    assert unitfile.parse(unitfile.write([("Service", "Environment", unitfile.word(text))]))


def test_an_argument_is_one_word_whatever_is_in_it():
    assert unitfile.argument('a "b" \\ 5% $HOME') == '"a \\"b\\" \\\\ 5%% $HOME"'
    assert unitfile.argument("two\nlines\x7f é \udcff") == '"two\\x0alines\\x7f é \\xff"'
