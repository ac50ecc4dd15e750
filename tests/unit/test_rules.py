"""The rules of a screen: what an operator may write, what is said of what he may not, and which requests they cover."""

from __future__ import annotations

import pytest

from spyglass_systemd.words.rules import Rule, find, parse


def test_a_rule_says_what_it_needs_and_the_rest_is_as_usual():
    (rule,) = parse([{"path": "/healthz"}])
    assert (rule.paths, rule.methods, rule.status, rule.text, rule.close) == (
        ("/healthz",),
        ("GET", "HEAD"),
        200,
        "",
        False,
    )
    table = {"path": ["/wp-*", "*.php"], "methods": ["GET", "POST"], "close": True}
    assert repr(parse([table])[0]) == "<Rule GET POST /wp-* *.php close>"
    assert repr(parse([{"path": "/x", "methods": "GET", "status": 404, "text": "gone"}])[0]) == "<Rule GET /x 404>"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "list of tables"),
        (["x"], "list of tables"),
        ([{"path": "/a"}, {}], r"rule 2 has no path, as in"),
        ([{"path": []}], "no path"),
        ([{"path": "/a", "txt": "ok"}], "rule 1: 'txt' is not one of path, methods, status, text, close"),
        ([{"path": 1}], "rule 1: path is text"),
        ([{"path": "a"}], "begins with /"),
        ([{"path": "/a*b*"}], r"one \*"),
        ([{"path": "/ä"}], "begins with /"),
        ([{"path": "/*"}], "never wake"),
        ([{"path": "*"}], "never wake"),
        ([{"path": "/a?b"}], "no query"),
        ([{"path": "/a b"}], "no query"),
        ([{"path": "/a", "methods": ["TRACE"]}], "'TRACE' is not one of GET"),
        ([{"path": "/a", "methods": 1}], "methods is text"),
        ([{"path": "/a", "status": 302}], "status is a number"),
        ([{"path": "/a", "status": True}], "status is a number"),
        ([{"path": "/a", "status": "200"}], "status is a number"),
        ([{"path": "/a", "text": 1}], "text is the body"),
        ([{"path": "/a", "status": 204, "text": "x"}], "204 does not have"),
        ([{"path": "/a", "close": "yes"}], "true or false"),
        ([{"path": "/a", "close": True, "status": 404}], "do not go with it"),
        ([{"path": "/a", "close": True, "text": ""}], "do not go with it"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_what_is_wrong(value, message):
    with pytest.raises(ValueError, match=message):
        parse(value)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz?deep", 200),
        ("POST", "/healthz", None),
        ("GET", "/healthz/", None),
        ("GET", "/Healthz", None),
        ("GET", "/%68ealthz", None),
        ("GET", "/wp-", 404),
        ("GET", "/wp-admin/a.css", 404),
        ("GET", "/wp", None),
        ("GET", "/a/b.php", 404),
        ("GET", "/a.php/", None),
        ("GET", "/api/x/status", 403),
        ("GET", "/api/status", None),  # the star stands for something between two slashes
        ("GET", "/", None),
    ],
)
def test_the_first_rule_that_covers_a_request_is_found(method, target, status):
    rules = (
        Rule(("/healthz",)),
        Rule(("/wp-*", "*.php"), status=404),
        Rule(("/api/*/status",), status=403),
        Rule(("/wp-*",), status=500),
    )
    found = find(rules, method, target)
    assert (found.status if found else None) == status
