"""Tests of the fault catalog: parsing, serializing and rejecting faults."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from odyssey_mock import Fault, FaultError
from odyssey_mock.accounts.accounts import account_id
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import DEEPEST, POINTS, WHERE, Parameter, points_of
from odyssey_mock.faults.fault import HOW_OFTEN
from odyssey_mock.faults.presets import PRESETS, Preset
from odyssey_mock.testing.strategies import faults

ENTRIES = [(point, do) for point in POINTS for do in POINTS[point].actions]
"""Every action at every point."""

REQUIRED: Mapping[str, JSON] = {
    "status": 503,
    "seconds": 1,
    "bytes_per_second": 1000,
    "reason": "quota_exceeded",
    "width": 320,
    "height": 640,
    "network_profile": {"loss": 0.1, "to_client": {"delay": 0.1}},
}
"""A valid value for each required parameter of an action."""


def described(point: str, do: str, **more: JSON) -> dict[str, JSON]:
    """Return a fault as JSON, with its required parameters and those in `more`."""
    needed = [name for name, parameter in POINTS[point].actions[do].parameters.items() if parameter.required]
    return {"at": point, "do": do, **{name: REQUIRED[name] for name in needed}, **more}


@pytest.mark.parametrize(("point", "do"), ENTRIES)
def test_every_fault_survives_a_json_round_trip(point: str, do: str) -> None:
    fault = Fault.of(described(point, do))
    assert (fault.at, fault.do, fault.times, fault.after, fault.probability, fault.match) == (
        point,
        do,
        None,
        0,
        1.0,
        {},
    )
    assert set(fault.parameters) == set(POINTS[point].actions[do].parameters)
    assert Fault.of(json.loads(json.dumps(fault.to_json()))) == fault


@pytest.mark.parametrize(("point", "do"), ENTRIES)
def test_every_action_is_described_and_has_valid_defaults(point: str, do: str) -> None:
    assert POINTS[point].means
    assert POINTS[point].actions[do].means
    for name, parameter in POINTS[point].actions[do].parameters.items():
        assert parameter.expected, f"expected a description of valid values of {point}:{do} {name}, got none"
        assert parameter.required or parameter.holds(parameter.default), (
            f"expected a valid default of {point}:{do} {name}, got {parameter.default!r}"
        )


@pytest.mark.parametrize(
    ("point", "do", "name"),
    [
        (point, do, name)
        for point, do in ENTRIES
        for name, each in POINTS[point].actions[do].parameters.items()
        if each.required
    ],
)
def test_missing_required_parameter_is_reported(point: str, do: str, name: str) -> None:
    given_fields = described(point, do)
    del given_fields[name]
    with pytest.raises(FaultError, match=rf"{re.escape(point)} {do} requires `{name}`: ."):
        Fault.of(given_fields)


@given(faults())
def test_generated_faults_survive_a_json_round_trip(drawn: dict[str, JSON]) -> None:
    fault = Fault.of(drawn)
    assert Fault.of(json.loads(json.dumps(fault.to_json()))) == fault
    for name, value in drawn.items():
        assert fault.to_json()[name] == (without_key(value) if name == "match" else value)


def without_key(match: JSON) -> JSON:
    """Return `match` as stored by `Fault`: with the account id instead of the API key."""
    assert isinstance(match, Mapping)
    return {name: account_id(str(value)) if name == "account" else value for name, value in match.items()}


@given(st.data())
def test_strategy_draws_only_the_given_points(data: st.DataObject) -> None:
    points = data.draw(st.lists(st.sampled_from(sorted(POINTS)), min_size=1, max_size=3))
    assert data.draw(faults(points))["at"] in points


def test_strategy_rejects_an_unknown_point() -> None:
    with pytest.raises(FaultError, match=r"unknown fault point 'rest\.nope'; known: rest\.auth\.token, "):
        faults(["rest.nope"])


@pytest.mark.parametrize("point", sorted(POINTS))
def test_match_accepts_only_conditions_of_the_point(point: str) -> None:
    assert POINTS[point].matches <= set(WHERE)
    do = min(POINTS[point].actions)
    for name in WHERE:
        value: JSON = 0 if name == "script_index" else "x"
        wanted = described(point, do, match={name: value})
        if name in POINTS[point].matches | {"account"}:
            assert Fault.of(wanted).match == {name: account_id("x") if name == "account" else value}
        else:
            with pytest.raises(
                FaultError, match=f"unknown `match` condition of {re.escape(point)} {do}: '{name}'.*known: "
            ):
                Fault.of(wanted)


WRONG: list[tuple[JSON, str]] = [
    ([], "must be an object with `at` and `do`, got list"),
    ("rest.auth.token", "got str"),
    ({}, "unknown fault point None; known: rest.auth.token, "),
    ({"at": "rest.auth.tokens"}, "unknown fault point 'rest.auth.tokens'; did you mean 'rest.auth.token'. known:"),
    ({"at": 7, "do": "status"}, "unknown fault point 7; known:"),
    ({"at": "rest.nope.*", "do": "status"}, r"unknown fault point 'rest.nope.\*'"),
    ({"at": "rest.auth.token"}, "unknown action at rest.auth.token: None; known: status, delay, no_answer, reset"),
    ({"at": "rest.auth.token", "do": "reste"}, "did you mean 'reset'. known:"),
    ({"at": "rest.auth.token", "do": "status"}, "rest.auth.token status requires `status`: an HTTP status, 400 to 599"),
    ({"at": "rest.auth.token", "do": "reset", "second": 1}, "unknown parameter of rest.auth.token reset: 'second'"),
    ({"at": "rest.auth.token", "do": "status", "status": 200}, "`status` must be an HTTP status, 400 to 599, got 200"),
    ({"at": "rest.auth.token", "do": "status", "status": True}, "got True"),
    ({"at": "rest.auth.token", "do": "delay", "seconds": -1}, "`seconds` must be a number of seconds, 0 to 86400"),
    ({"at": "rest.auth.token", "do": "delay", "seconds": float("nan")}, "got nan"),
    (
        {"at": "peer.connected", "do": "impair", "network_profile": {"los": 0.1}},
        r"as in the setting, got {'los': 0.1}: unknown field 'los'; did you mean 'loss'. known: loss, ",
    ),
    (
        {"at": "peer.connected", "do": "impair", "network_profile": {"delay": 0.1, "loss": 2}},
        "got {'delay': 0.1, 'loss': 2}: loss must be a number from 0 to 1; got 2$",
    ),
    ({"at": "peer.connected", "do": "impair", "network_profile": "5g"}, "as in the setting, got '5g'$"),
    ({"at": "peer.connected", "do": "impair", "network_profile": None}, "as in the setting, got None$"),
    ({"at": "peer.connected", "do": "impair", "network_profile": 5}, "as in the setting, got 5$"),
    ({"at": "rest.auth.token", "do": "reset", "times": 0}, "`times` must be a whole number above 0, or null"),
    ({"at": "rest.auth.token", "do": "reset", "times": 1.5}, "got 1.5"),
    ({"at": "rest.auth.token", "do": "reset", "after": -1}, "`after` must be a whole number, 0 or more"),
    ({"at": "rest.auth.token", "do": "reset", "probability": 0}, "`probability` must be a number above 0, up to 1"),
    ({"at": "rest.auth.token", "do": "reset", "probability": 1.1}, "got 1.1"),
    ({"at": "rest.auth.token", "do": "reset", "match": []}, "`match` must be an object with account"),
    ({"at": "rest.auth.token", "do": "reset", "match": {"job": "x"}}, "'job'; known: account"),
    (
        {"at": "job.script", "do": "fail", "match": {"script_index": "1"}},
        "must be a whole number, 0 or more, got str",
    ),
    ({"at": "signaling.answer", "do": "close", "code": 1006}, "`code` must be a WebSocket close code"),
    ({"at": "*", "do": "status"}, r"unknown fault point '\*'"),
    (
        {"at": "signaling.*", "do": "close"},
        r"signaling.\* have no action in common; use one of these points: ",
    ),
    ({"at": "signaling.offer", "do": "close", "reason": 42 * "\u20ac"}, "`reason` must be .* at most 123 bytes"),
    ({"at": "stream.start", "do": "error", "reason": "\ud800"}, "`reason` must be a string"),
    ({"at": "hls.segment", "do": "slow", "bytes_per_second": 10**400}, "must be a whole number, 1 to 1000000000"),
    ({"at": "rest.auth.token", "do": "status", "status": 500, "retry_after": 10**10}, "must be a whole number of sec"),
    ({"at": "rest.auth.token", "do": "reset", "match": {"account": "\ud800"}}, "must be an API key or an account id"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_invalid_fault_is_rejected_with_known_names(wrong: JSON, message: str) -> None:
    with pytest.raises(FaultError, match=message):
        Fault.of(wrong)  # type: ignore[arg-type]  # invalid on purpose


@pytest.mark.parametrize("match", [{"account": ["ody_secret_key"]}, "ody_secret_key", ["ody_secret_key"]])
def test_invalid_match_does_not_reveal_a_key(match: JSON) -> None:
    with pytest.raises(FaultError) as refused:
        Fault.of({"at": "rest.auth.token", "do": "reset", "match": match})
    assert "ody_secret_key" not in str(refused.value)


def test_fault_does_not_contain_its_api_key() -> None:
    fault = Fault.of({"at": "rest.auth.token", "do": "reset", "match": {"account": "ody_secret_key"}})
    assert "ody_secret_key" not in f"{fault!r} {fault.to_json()}"


@pytest.mark.parametrize("field", ["at", "do", "status", "x" * 100_000])
def test_long_values_are_shortened_in_messages(field: str) -> None:
    with pytest.raises(FaultError, match=r"xxx\.\.\.xxx") as refused:
        Fault.of({"at": "rest.auth.token", "do": "status", "status": 500, field: "x" * 100_000})
    assert len(str(refused.value)) < 2000


def nested(depth: int) -> JSON:
    value: JSON = 1.5
    for number in range(depth):
        value = [value] if number % 2 else {"inner": value}
    return value


ENDLESS: list[JSON] = []
ENDLESS += [ENDLESS, ENDLESS]


@pytest.mark.parametrize("body", [None, True, "\ud800", [], {"a": [1, 2.5, None]}, nested(DEEPEST)], ids=repr)
def test_body_can_be_any_json(body: JSON) -> None:
    fault = Fault.of({"at": "rest.auth.token", "do": "wrong_shape", "body": body})
    assert fault.parameters["body"] == body
    json.dumps(fault.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    "body",
    [float("nan"), [float("inf")], {1: 2}, (1, 2), b"x", {"a": object()}, nested(DEEPEST + 1), ENDLESS],
    ids=["nan", "infinity", "key", "tuple", "bytes", "object", "deep", "endless"],
)
def test_body_that_is_not_json_is_rejected(body: Any) -> None:  # Any: invalid on purpose
    with pytest.raises(FaultError, match="`body` must be JSON, nested at most 100 deep"):
        Fault.of({"at": "rest.auth.token", "do": "wrong_shape", "body": body})


def test_point_groups_allow_common_actions_only() -> None:
    assert set(points_of("rest.*")) == {name for name in POINTS if name.startswith("rest.")}
    assert points_of("res*") == points_of("nope") == []
    assert Fault.of({"at": "rest.*", "do": "not_json"}).parameters == {"body": "<html>Bad gateway</html>"}
    with pytest.raises(FaultError, match=r"unknown action at hls.\*: 'not_json'; known: status, "):
        Fault.of({"at": "hls.*", "do": "not_json"})
    with pytest.raises(FaultError, match=r"unknown `match` condition of rest.\* reset: 'job'; known: account"):
        Fault.of({"at": "rest.*", "do": "reset", "match": {"job": "x"}})


PARAMETERS: Mapping[str, Parameter] = {
    **{f"{at} {do} {name}": each for at, do in ENTRIES for name, each in POINTS[at].actions[do].parameters.items()},
    **HOW_OFTEN,
    **{f"match {name}": each for name, each in WHERE.items()},
}
"""Every parameter of a fault, by its place."""
NUMBERS = {
    each.expected: each
    for each in PARAMETERS.values()
    if each.values.schema.get("type") in {"integer", "number"} or "anyOf" in each.values.schema
}
"""The parameters that are numbers, one for each description of valid values."""


def is_permitted(parameter: Parameter, value: JSON) -> bool:
    return bool(Draft202012Validator(dict(parameter.values.schema)).is_valid(value))


@given(faults())
def test_schemas_permit_all_valid_faults(drawn: dict[str, JSON]) -> None:
    fault = Fault.of(drawn)
    parameters = {**POINTS[fault.at].actions[fault.do].parameters, **HOW_OFTEN}
    refused = [name for name, each in parameters.items() if not is_permitted(each, fault.to_json()[name])]
    refused += [name for name, value in fault.match.items() if not is_permitted(WHERE[name], value)]
    # A parameter that is not given has its default, which need not be a value that can be given.
    assert [name for name in refused if name in drawn] == []


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 5000)
    | st.floats(allow_nan=False).filter(lambda value: not value.is_integer())
    | st.text(max_size=3)
)
@example(0)
@example(1)
@example(399)
@example(599)
@example(1005)
@example(1006)
@example(4096)
@example(86_400)
@example(86_401)
@example(10**9)
@example(10**9 + 1)
def test_schemas_of_numbers_permit_only_valid_values(value: JSON) -> None:
    wrong = [name for name, each in NUMBERS.items() if is_permitted(each, value) != each.holds(value)]
    assert wrong == [], f"expected schema and check to agree about {value!r}"


def test_close_codes_and_sizes_have_more_than_limits() -> None:
    assert PARAMETERS["signaling.answer close code"].values.schema == {
        "type": "integer",
        "minimum": 1000,
        "maximum": 4999,
        "not": {"enum": [1004, 1005, 1006, 1015]},
    }
    assert PARAMETERS["peer.frame resize width"].values.schema["multipleOf"] == 2
    assert PARAMETERS["match prompt"].values.schema == {"type": "string", "minLength": 1}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_faults_of_presets_are_valid(preset: Preset) -> None:
    assert preset.means
    for each in preset.faults:
        fault = Fault.of(each)
        assert {name: fault.to_json()[name] for name in each} == dict(each)
