"""`spyglass start`: what its units do not say, a site does not get."""

from __future__ import annotations

import pytest

from spyglass_systemd.cli.main import main
from spyglass_systemd.tools import switch
from spyglass_systemd.tools.sites import due
from spyglass_systemd.tools.wanted import read


@pytest.fixture
def started(monkeypatch, site):
    """The sites that were started, by name."""
    started = []
    monkeypatch.setattr("spyglass_systemd.cli.command.places_of", lambda **_: site.places)
    monkeypatch.setattr(switch, "start", lambda site: started.append(site.name))
    return started


@pytest.mark.parametrize("line", ['listen = "8000"', 'listen = ["one=8000", "two=8001"]', 'user = "ada"'])
def test_a_site_whose_units_are_not_as_its_file_has_them_is_not_started(site, started, capsys, line):
    site.config.write_text(f'app = "blog:app"\n{line}\n')
    assert main(["start", "blog", "--user"]) == 78
    said = (
        f"spyglass: the units of blog are not as {site.config} has them\n  `spyglass enable blog --user` makes them\n"
    )
    assert (started, capsys.readouterr().err) == ([], said)
    due(read(site)).apply()
    assert main(["start", "blog", "--user"]) == 0
    assert started == ["blog"]


def test_a_site_that_asks_for_nothing_of_its_units_is_started(started):
    assert main(["start", "blog", "--user"]) == 0
    assert started == ["blog"]


def test_drop_ins_that_the_file_no_longer_asks_for_are_in_the_way(site, started):
    plain = site.config.read_text()
    site.config.write_text(plain + 'listen = "8000"\n')
    due(read(site)).apply()
    site.config.write_text(plain)
    assert (main(["start", "blog", "--user"]), started) == (78, [])
