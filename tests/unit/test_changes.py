from __future__ import annotations

import pytest

from spyglass_systemd.tools.changes import Change, write
from spyglass_systemd.words.errors import WriteError


@pytest.fixture
def there(tmp_path):
    (tmp_path / "a.d").mkdir()
    (tmp_path / "a.d" / "one").write_text("old\n")
    (tmp_path / "a.d" / "gone").write_text("gone\n")
    (tmp_path / "a.d" / "same").write_text("same\n")
    return tmp_path


def tree(root):
    return {str(path.relative_to(root)): path.read_text() if path.is_file() else None for path in root.rglob("*")}


def texts(root):
    names = {"a.d/one": "new\n", "a.d/gone": None, "a.d/same": "same\n", "b.d/two": "two\n", "c.d/never": None}
    return {root / name: text for name, text in names.items()}


def test_files_become_what_they_should_and_become_again_what_they_were(there):
    before = tree(there)
    change = Change(texts(there))
    assert sorted(path.name for path in change.texts) == ["gone", "one", "two"]
    change.apply()
    assert tree(there) == {"a.d": None, "a.d/one": "new\n", "a.d/same": "same\n", "b.d": None, "b.d/two": "two\n"}
    assert not Change(texts(there))
    change.undo()
    assert tree(there) == before


def test_it_is_shown_as_a_diff(there):
    assert Change(texts(there)).diff().replace(str(there), "") == (
        "--- /a.d/one\n+++ /a.d/one\n@@ -1 +1 @@\n-old\n+new\n"
        "--- /a.d/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n"
        "--- /dev/null\n+++ /b.d/two\n@@ -0,0 +1 @@\n+two\n"
    )


def test_where_one_cannot_be_written_none_is_changed(there):
    (there / "b.d").write_text("no directory")
    before = tree(there)
    with pytest.raises(WriteError, match=r"b\.d/two cannot be written: File exists"):
        Change(texts(there)).apply()
    assert tree(there) == before


def test_a_directory_with_somebody_elses_file_stays(there):
    Change({there / "a.d" / name: None for name in ("one", "gone")}).apply()
    assert tree(there) == {"a.d": None, "a.d/same": "same\n"}


def test_a_file_that_is_there_is_not_written_over_unless_that_is_meant(there):
    with pytest.raises(FileExistsError):
        write(there / "a.d" / "one", "new\n", over=False)
    write(there / "new", "new\n", over=False)
    assert tree(there)["a.d/one"] == "old\n"
    assert (there / "new").stat().st_mode & 0o777 == 0o644
    assert not list(there.rglob(".*"))
