"""Which format a client is given, by what it says it accepts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.policy.negotiation import preferred

TEXT, HTML, JSON, PROBLEM = "text/plain", "text/html", "application/json", "application/problem+json"
OFFERS = (TEXT, HTML, JSON, PROBLEM)


@pytest.mark.parametrize(
    ("accept", "format_"),
    [
        pytest.param("", TEXT, id="nothing said"),
        pytest.param("*/*", TEXT, id="curl"),
        pytest.param("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML, id="Firefox"),
        pytest.param(
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
            "application/signed-exchange;v=b3;q=0.7",
            HTML,
            id="Chromium",
        ),
        pytest.param("image/avif,image/webp,*/*;q=0.8", TEXT, id="a browser that wants a picture"),
        pytest.param("application/json, text/plain, */*", JSON, id="axios"),
        pytest.param("application/problem+json, application/json;q=0.9", PROBLEM, id="a client that knows RFC 9457"),
        pytest.param("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", HTML, id="Java"),
    ],
)
def test_real_clients_get_what_they_like(accept, format_):
    assert preferred(accept, OFFERS) == format_


@pytest.mark.parametrize(
    ("accept", "format_"),
    [
        pytest.param("text/html;q=0.5, application/json", JSON, id="more weight"),
        pytest.param("text/html;q=0.5, application/json;q=0.501", JSON, id="three decimals"),
        pytest.param("application/json;q=0.2, */*;q=0.1", JSON, id="named counts by its own weight"),
        pytest.param("application/json;q=0.1, */*;q=0.2", TEXT, id="even where that is less"),
        pytest.param("text/plain;q=0, text/*;q=0.9, */*;q=0.1", HTML, id="0 is never"),
        pytest.param("application/*, text/html;q=0.9", JSON, id="a part of them"),
        pytest.param("*/*, application/*", JSON, id="named closer"),
        pytest.param("application/json, text/html", JSON, id="named first"),
        pytest.param("text/html, application/json", HTML, id="the other way round"),
        pytest.param("text/html;q=0.3, text/html;q=0.9, application/json;q=0.5", JSON, id="the first of two alike"),
        pytest.param("TEXT/HTML;Q=1.000", HTML, id="upper case"),
        pytest.param('text/html;level="1,2";q=0.4, application/json;q=0.3', HTML, id="a comma in quotes"),
        pytest.param("text/html ; charset=utf-8 ; q=0.7 , application/json;q=0.6", HTML, id="blanks"),
        pytest.param(" ,, text/html", HTML, id="empty elements"),
        pytest.param("image/png", TEXT, id="none of ours"),
        pytest.param("*/*;q=0", TEXT, id="nothing at all"),
    ],
)
def test_weights_and_names_decide(accept, format_):
    assert preferred(accept, OFFERS) == format_


@pytest.mark.parametrize(
    "weight", ["2", "1.001", "1.5", "-1", ".5", "0.1234", "0,5", "1e0", "x", "", "\u0661", "0.\u0661"]
)
def test_what_has_no_weight_that_can_be_read_is_passed_over(weight):
    assert preferred(f"text/html;q={weight}, application/json;q=0.001", OFFERS) == JSON


@given(st.text(alphabet='*/texhmlplainq=01.,;" \t', max_size=80))
def test_whatever_a_client_says_it_gets_one_of_ours(accept):
    assert preferred(accept, OFFERS) in OFFERS
