"""Tests of `broken_scripts`: each script breaks one rule, and client and mock report only this violation."""

import re
from functools import cache
from typing import Any, cast

import pytest
from hypothesis import given

from odyssey_client import Script, ScriptError
from odyssey_client.scripts import rules as client_rules
from odyssey_client.scripts.request import script_fields
from odyssey_mock.http.errors import answer_to
from odyssey_mock.settings import Settings
from odyssey_mock.simulations.request import InvalidRequestError, read_request
from odyssey_mock.simulations.timelines import planned
from odyssey_mock.testing.strategies import SCRIPT_RULES, BrokenScript, broken_scripts
from tests.support.drawing import FEW, any_of, drawn, smallest
from tests.support.scripts import broken_scripts as broken_anyhow

RULES = list(SCRIPT_RULES)


@cache
def of(rule: str) -> list[BrokenScript]:
    """Return 15 scripts that break `rule`. The caller must not modify the scripts, because they are cached."""
    return drawn(broken_scripts([rule]), 15)


def refused_by_the_client(script: Any) -> ScriptError:  # Any: decoded JSON of any form
    with pytest.raises(ScriptError) as refused:
        Script.of(script)
    return refused.value


@pytest.mark.parametrize("rule", RULES)
def test_client_reports_exactly_broken_rule(rule: str) -> None:
    for broken in of(rule):
        (fault,) = refused_by_the_client(broken.script).faults
        assert fault.path == broken.path, f"expected an error at {broken.path}, got {fault.path} for {broken}"
        assert broken.says in fault.expected, f"expected {broken.says!r} in the error, got {fault} for {broken}"


@FEW
@given(broken_scripts())
def test_client_rejects_broken_script_before_sending(broken: BrokenScript) -> None:
    with pytest.raises(ScriptError) as refused:
        script_fields(script=broken.script, scripts=None, script_url=None, portrait=True)
    assert [fault.path for fault in refused.value.faults] == [broken.path]


@pytest.mark.parametrize("rule", [rule for rule in RULES if SCRIPT_RULES[rule].type is not None])
def test_mock_reports_exactly_broken_rule(rule: str) -> None:
    for broken in of(rule):
        with pytest.raises(InvalidRequestError) as refused:
            read_request({"script": broken.script})
        answer = answer_to(refused.value)
        assert answer.status == 422
        assert isinstance(answer.detail, list)
        (fault,) = answer.detail
        assert (fault["loc"], fault["type"]) == (broken.loc, broken.type), (
            f"expected an error of type {broken.type} at {broken.loc}, got {fault} for {broken}"
        )


@pytest.mark.parametrize("rule", [rule for rule in RULES if SCRIPT_RULES[rule].type is None])
def test_unreadable_image_fails_when_job_runs(rule: str) -> None:
    for broken in of(rule):
        request = read_request({"script": broken.script})
        assert request.scripts is not None
        plan = planned(request.scripts[0], Settings(), tag=1, portrait=True, bypass=True)
        assert plan.error is not None
        assert "image" in plan.error


def test_mock_accepts_only_jobs_with_unreadable_images() -> None:
    assert [rule for rule in RULES if SCRIPT_RULES[rule].type is None] == ["image_readable"]


def test_all_rules_are_distinct() -> None:
    """All rules except one pair differ in the client's message, the mock's error type, or the path of the error."""
    told = {(rule.says, rule.type, broken.place[1:]) for name, rule in SCRIPT_RULES.items() for broken in of(name)[:1]}
    # The pair: an entry without an action and an entry with two actions cause the same errors.
    assert len(told) == len(RULES) - 1


# The rules are complete: every error that client and mock report for a script belongs to one of them.

TIME = "a whole number of milliseconds from 0 to 9007199254740991"
DATA_URL = "a data: URL of an image in base64 (data:image/png;base64,...)"
CLIENT_EXPECTS = {
    "array": {"an array of entries", "an array of entries (Script.load reads a file, Script.from_json reads text)"},
    "not_empty": {"an array of entries, from a start to an end"},
    "entry": {"an object with timestamp_ms and one of start, interact, end"},
    "an_action": {"exactly one of start, interact, end"},
    "one_action": {"exactly one of start, interact, end"},
    "known_keys": {"no keys except timestamp_ms, start, interact, end"},
    "fields": {"an object with a prompt", "an empty object"},
    "known_fields": {"no keys except prompt, image", "no keys except prompt", "no keys"},
    "prompt": {"text"},
    "prompt_text": {"text"},
    "prompt_utf8": {"text that UTF-8 can encode"},
    "image_text": {"an image that can be sent"},
    "image_inline": {"an image that can be sent"},
    "image_url": {DATA_URL},
    "image_base64": {DATA_URL},
    "image_readable": {"an image that can be sent"},
    "time": {TIME},
    "time_number": {TIME},
    "time_whole": {TIME},
    "time_not_negative": {TIME},
    "time_in_bounds": {TIME},
    "first_at_0": {"0, the time of the first entry"},
    "times_in_order": {"LATEST or more: times must not decrease"},
    "some_length": {"more than 0, as the time of the end: a video has at least one frame"},
    "start_first": {"a start, as the first entry"},
    "one_start": {"no start after the first entry: a script describes one stream"},
    "no_early_end": {"no end before the last entry"},
    "end_last": {"an end, as the last entry"},
}

MOCK_TIME = "a whole number of milliseconds from 0 to 9007199254740991"
MOCK_TEXT = "text that UTF-8 can encode"
MOCK_EXPECTS = {
    "array": {("list_type", "an array of entries")},
    "not_empty": {("too_short", "at least a start and an end")},
    "entry": {("dict_type", "an object with timestamp_ms and one action")},
    "an_action": {("value_error", "exactly one of start, interact, end")},
    "one_action": {("value_error", "exactly one of start, interact, end")},
    "known_keys": {("extra_forbidden", "timestamp_ms and one of start, interact, end")},
    "fields": {
        ("dict_type", "an object with prompt and image in it"),
        ("dict_type", "an object with prompt in it"),
        ("dict_type", "an object with no keys in it"),
    },
    "known_fields": {
        ("extra_forbidden", "prompt and image"),
        ("extra_forbidden", "prompt"),
        ("extra_forbidden", "no keys"),
    },
    "prompt": {("missing", MOCK_TEXT)},
    "prompt_text": {("string_type", MOCK_TEXT)},
    "prompt_utf8": {("string_unicode", MOCK_TEXT)},
    "image_text": {("string_type", DATA_URL)},
    "image_inline": {("string_pattern_mismatch", DATA_URL)},
    "image_url": {("string_pattern_mismatch", DATA_URL)},
    "image_base64": {("value_error", DATA_URL)},
    "image_readable": set(),
    "time": {("missing", MOCK_TIME)},
    "time_number": {("int_type", MOCK_TIME)},
    "time_whole": {("int_from_float", MOCK_TIME)},
    "time_not_negative": {("greater_than_equal", MOCK_TIME)},
    "time_in_bounds": {("less_than_equal", MOCK_TIME)},
    "first_at_0": {("value_error", "0, the time of the first entry")},
    "times_in_order": {("value_error", "LATEST or later: times must not decrease")},
    "some_length": {("value_error", "a time above 0: a video has at least one frame")},
    "start_first": {("value_error", "a start, as the first entry")},
    "one_start": {("value_error", "no start after the first entry: a script describes one stream")},
    "no_early_end": {("value_error", "no end before the last entry")},
    "end_last": {("value_error", "an end, as the last entry")},
}


def expected_by_the_client(script: Any) -> set[str]:  # Any: decoded JSON of any form
    try:
        Script.of(script)
    except ScriptError as refused:
        return {re.sub(r"^\d+ or", "LATEST or", fault.expected) for fault in refused.faults}
    return set()


def expected_by_the_mock(script: Any) -> set[tuple[str, str]]:  # Any: decoded JSON of any form
    try:
        read_request({"script": script})
    except InvalidRequestError as refused:
        faults = cast("list[dict[str, str]]", answer_to(refused).detail)
        return {(fault["type"], _expectation(fault["msg"])) for fault in faults}
    return set()


def _expectation(message: str) -> str:
    found = re.fullmatch(r"expected (.*?)([,;] got .*)?", message, re.DOTALL)
    assert found is not None, f"expected an error message of the form 'expected ..., got ...', got {message!r}"
    return re.sub(r"^\d+ or", "LATEST or", found[1])


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_covers_all_its_messages(rule: str) -> None:
    scripts = [broken.script for broken in of(rule)]
    assert set().union(*map(expected_by_the_client, scripts)) == CLIENT_EXPECTS[rule]
    assert set().union(*map(expected_by_the_mock, scripts)) == MOCK_EXPECTS[rule]


def test_every_client_rule_has_strategy() -> None:
    """The strategy draws scripts that break each rule of the client's script validation."""
    told = set().union(*CLIENT_EXPECTS.values())
    assert {rule.expected.replace("{latest}", "LATEST") for rule in client_rules._RULES} <= told


@given(broken_anyhow())
def test_every_reported_error_belongs_to_known_rule(script: Any) -> None:  # Any: decoded JSON of any form
    if script is None:
        return  # the client treats None as a missing argument
    assert expected_by_the_client(script) <= set().union(*CLIENT_EXPECTS.values())
    assert expected_by_the_mock(script) <= set().union(*MOCK_EXPECTS.values())


# Distribution of the examples.


def test_all_rules_are_broken_by_default() -> None:
    seen = {broken.rule for broken in drawn(broken_scripts(), 300)}
    for rule in set(RULES) - seen:
        any_of(broken_scripts(), lambda broken, rule=rule: broken.rule == rule)  # type: ignore[misc]  # bound in this iteration


@pytest.mark.parametrize("rule", ["entry", "an_action", "one_action", "known_keys", "fields", "time", "time_number"])
def test_any_entry_can_be_invalid(rule: str) -> None:
    examples = drawn(broken_scripts([rule]), 50)
    assert {each.place[0] for each in examples} >= {0, 1, 2}
    assert any(each.place[0] == len(each.script) - 1 for each in examples)


@FEW
@given(broken_scripts())
def test_place_exists_in_script(broken: BrokenScript) -> None:
    within = broken.script
    for step in broken.place[:-1]:
        within = within[step]
    if broken.place and isinstance(broken.place[0], int):
        assert 0 <= broken.place[0] < len(broken.script)


def test_examples_do_not_share_values() -> None:
    for broken in drawn(broken_scripts(["fields", "array", "entry", "prompt_text"]), 100):
        assert "spoiled" not in repr(broken.script)
        spoil(broken.script)


def spoil(value: Any) -> None:  # Any: decoded JSON of any form
    if isinstance(value, dict):
        for each in value.values():
            spoil(each)
        value["spoiled"] = True
    elif isinstance(value, list):
        for each in value:
            spoil(each)
        value.append("spoiled")


def test_simplest_broken_script_is_short() -> None:
    for rule in ("prompt", "times_in_order"):
        assert len(smallest(broken_scripts([rule])).script) <= 3
    assert smallest(broken_scripts(["end_last"])).script == [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (["prompts"], "unknown script rule 'prompts'; known: array"),
        ([], "at least one script rule, got none; known: array"),
    ],
)
def test_unknown_rule_is_rejected_at_once(rules: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        broken_scripts(rules)
