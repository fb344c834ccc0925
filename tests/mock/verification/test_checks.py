"""Tests of the table of checks: it refers to statements and steps that exist, and every check can fail."""

from collections import Counter

import pytest

from odyssey_client.models import JSON
from odyssey_mock.verification.checks import Check, checks, verified_statements
from odyssey_mock.verification.expectations import Absent, Seen, between, equals, field_of, matches, one_of
from odyssey_mock.verification.statements import statements
from odyssey_mock.verification.steps import INVALID_JOBS, STEPS

VALUES: tuple[JSON, ...] = (None, True, False, 0, -1, 418, 1e6, "", "odyssey", [], ["odyssey"], {}, {"odyssey": 1})


def test_each_statement_is_tested_by_one_check() -> None:
    tested = Counter(check.statement for check in checks())
    assert {name: count for name, count in tested.items() if count > 1} == {}
    assert verified_statements() - set(statements()) == set()
    assert set(INVALID_JOBS) <= verified_statements()


def test_each_check_names_a_step() -> None:
    assert {check.step for check in checks()} == set(STEPS)


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.statement)
def test_expectation_can_fail(check: Check) -> None:
    assert check.expected.text
    assert [value for value in VALUES if not check.expected.holds(value)] != []


def test_values_are_compared_with_their_json_types() -> None:
    assert equals(1).holds(1)
    assert not equals(1).holds(True)
    assert not equals(200).holds("200")
    assert one_of("a", "b").holds("b")
    assert not one_of("a", "b").holds("c")
    assert between(1, 2, "s").holds(1.5)
    assert between(1, 2, "s").text == "1 to 2 s"
    assert [value for value in (0.9, 2.1, float("nan"), True, "1.5", None) if between(1, 2).holds(value)] == []
    assert matches("a+", "letters").holds("aa")
    assert not matches("a+", "letters").holds("aab")


def test_fields_are_found_with_their_paths() -> None:
    body: JSON = {"regions": [{"id": "a"}, {"name": "b"}], "count": 2}
    assert field_of(body, "count") == [("$.count", 2)]
    assert field_of(body, "regions[].id") == [("$.regions[].id", "a"), ("$.regions[].id", Absent(("name",)))]
    assert field_of(body, "other.field") == [("$.other", Absent(("regions", "count")))]
    assert field_of(["a list"], "id") == [("$.id", Absent())]


def test_seen_values_are_short_text() -> None:
    assert Seen(Absent(("a", "b")), "here").text == "the fields a, b"
    assert Seen(Absent(()), "here").text == "the fields (none)"
    assert Seen(Absent(), "here").text == "no JSON object"
    assert Seen("x" * 500, "here").text == f'"{"x" * 158}…'
    assert Seen("status 404", "here", expected="a successful response").text == "status 404"
