from __future__ import annotations

from spyglass_systemd.tools import runtime


def test_the_runtime_of_an_environment_is_named_by_its_file(tmp_path):
    main = tmp_path / "lib/python3.11/site-packages/spyglass_systemd/__main__.py"
    main.parent.mkdir(parents=True)
    main.touch()
    assert runtime.program(f"{tmp_path}/bin/python") == ("-P", str(main))


def test_elsewhere_its_name_has_to_do(tmp_path):
    assert runtime.program(f"{tmp_path}/bin/python") == ("-P", "-m", "spyglass_systemd")


def test_the_environment_is_where_the_link_is_not_where_it_leads(tmp_path):
    main = tmp_path / "venv/lib/python3.13/site-packages/spyglass_systemd/__main__.py"
    main.parent.mkdir(parents=True)
    main.touch()
    (tmp_path / "venv/bin").mkdir()
    (tmp_path / "venv/bin/python").symlink_to("/usr/bin/python3")
    assert runtime.installed(f"{tmp_path}/venv/bin/python") == main
