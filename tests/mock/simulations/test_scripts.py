"""Tests of the parsing and validation of scripts (protocol.md section 8)."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.data_url import decode_data_url
from odyssey_mock.simulations.scripts import Script, ScriptAction, ScriptFaultsError, read_script
from tests.support.entries import END, INTERACT, START, Entry, at, start
from tests.support.streams import data_url, picture


def faults_of(script: object, *loc: str | int) -> dict[tuple[str | int, ...], str]:
    """Return the validation errors of a script, as a dict from the `loc` of each error to its type."""
    with pytest.raises(ScriptFaultsError) as caught:
        read_script(script, *loc)
    by_place = {tuple(fault["loc"]): fault["type"] for fault in caught.value.faults}
    assert len(by_place) == len(caught.value.faults), (
        f"expected at most one error for each `loc`, got {caught.value.faults}"
    )
    return by_place


def test_valid_script_is_its_actions_in_order() -> None:
    image = data_url(picture())
    script = read_script([start(image=image), INTERACT, at(3000.0, INTERACT), END], "body", "script")
    assert script == Script(
        (
            ScriptAction(0, "start", "A cat", image),
            ScriptAction(3000, "interact", "It looks out"),
            ScriptAction(3000, "interact", "It looks out"),
            ScriptAction(9000, "end"),
        )
    )
    assert script.duration_ms == 9000
    assert all(type(action.timestamp_ms) is int for action in script.actions)


def test_image_is_not_in_repr_of_action() -> None:
    assert "base64" not in repr(read_script([start(image=data_url(picture())), END]))


@pytest.mark.parametrize("script", [None, True, 7, 7.5, "cat.json", {}, {"script": [START, END]}])
def test_script_must_be_an_array(script: object) -> None:
    assert faults_of(script, "body", "script") == {("body", "script"): "list_type"}


def test_script_must_not_be_empty() -> None:
    assert faults_of([], "body", "scripts", 2) == {("body", "scripts", 2): "too_short"}


@pytest.mark.parametrize("entry", [None, False, 0, "end", [], [0, "end"]])
def test_entry_must_be_an_object(entry: object) -> None:
    assert faults_of([START, entry, END]) == {(1,): "dict_type"}


def test_unknown_keys_of_an_entry_are_rejected() -> None:
    script = [START, {**INTERACT, "duration": 3, "": None}, END]
    assert faults_of(script) == {(1, "duration"): "extra_forbidden", (1, ""): "extra_forbidden"}


@pytest.mark.parametrize(
    ("time", "kind"),
    [
        (None, "int_type"),
        (True, "int_type"),
        ("3000", "int_type"),
        ([3000], "int_type"),
        (3000.5, "int_from_float"),
        (float("inf"), "int_from_float"),
        (float("nan"), "int_from_float"),
        (-1, "greater_than_equal"),
        (-1.0, "greater_than_equal"),
        (2**53, "less_than_equal"),
        (1e300, "less_than_equal"),
        (10**400, "less_than_equal"),
    ],
)
def test_time_must_be_whole_milliseconds(time: object, kind: str) -> None:
    assert faults_of([START, at(time, INTERACT), END]) == {(1, "timestamp_ms"): kind}


def test_time_is_required() -> None:
    assert faults_of([START, {"interact": {"prompt": ""}}, END]) == {(1, "timestamp_ms"): "missing"}


@pytest.mark.parametrize("time", [0, -0.0, 0.0])
def test_time_may_be_a_whole_float(time: float) -> None:
    assert read_script([at(time, START), END]).actions[0].timestamp_ms == 0


def test_end_may_be_at_the_latest_time() -> None:
    assert read_script([START, at(2**53 - 1, END)]).duration_ms == 2**53 - 1


@pytest.mark.parametrize(
    ("actions", "also"),
    [
        ({}, {}),
        ({"interact": {"prompt": ""}, "end": {}}, {}),
        ({"start": {"prompt": ""}, "interact": {"prompt": ""}, "end": {}}, {}),
        ({"interact": {"prompt": ""}, "end": None}, {(1, "end"): "dict_type"}),
        ({"interact": None, "start": None}, {(1, "interact"): "dict_type", (1, "start"): "dict_type"}),
        ({"interact": {}, "end": {"x": 1}}, {(1, "interact", "prompt"): "missing", (1, "end", "x"): "extra_forbidden"}),
    ],
)
def test_entry_must_have_exactly_one_action(actions: Entry, also: dict[tuple[str | int, ...], str]) -> None:
    assert faults_of([START, {"timestamp_ms": 3000, **actions}, END]) == {(1,): "value_error", **also}


@pytest.mark.parametrize("value", [None, False, 0, "A cat", []])
def test_action_must_be_an_object(value: object) -> None:
    script = [at(0, {"start": value}), at(1, {"interact": value}), at(2, {"end": value})]
    assert faults_of(script) == {
        (0, "start"): "dict_type",
        (1, "interact"): "dict_type",
        (2, "end"): "dict_type",
    }


def test_unknown_keys_of_an_action_are_rejected() -> None:
    fields = {"prompt": "", "image": data_url(picture()), "portrait": True}
    script = [at(0, {"start": fields}), at(1, {"interact": fields}), at(2, {"end": fields})]
    assert faults_of(script) == dict.fromkeys(
        [
            (0, "start", "portrait"),
            (1, "interact", "image"),
            (1, "interact", "portrait"),
            (2, "end", "prompt"),
            (2, "end", "image"),
            (2, "end", "portrait"),
        ],
        "extra_forbidden",
    )


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "missing"),
        ({"prompt": None}, "string_type"),
        ({"prompt": 7}, "string_type"),
        ({"prompt": ["A cat"]}, "string_type"),
        ({"prompt": "half of a cat \ud83d"}, "string_unicode"),
    ],
)
def test_prompt_must_be_text(fields: Entry, kind: str) -> None:
    script = [at(0, {"start": fields}), at(1, {"interact": fields}), END]
    assert faults_of(script) == {(0, "start", "prompt"): kind, (1, "interact", "prompt"): kind}


def test_image_is_checked_without_a_prompt() -> None:
    assert faults_of([at(0, {"start": {"image": 7}}), END]) == {
        (0, "start", "prompt"): "missing",
        (0, "start", "image"): "string_type",
    }


@pytest.mark.parametrize("prompt", ["", " ", "Eine Katze, 猫, \U0001f408", "\x00\n"])
def test_prompt_may_be_any_text(prompt: str) -> None:
    script = read_script([at(0, {"start": {"prompt": prompt}}), at(1, {"interact": {"prompt": prompt}}), END])
    assert [action.prompt for action in script.actions] == [prompt, prompt, ""]


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (None, "string_type"),
        (7, "string_type"),
        ({"url": "data:image/png;base64,AAAA"}, "string_type"),
        ("", "string_pattern_mismatch"),
        ("cat.png", "string_pattern_mismatch"),
        ("https://example.com/cat.png", "string_pattern_mismatch"),
        ("data:image/png,cat", "string_pattern_mismatch"),
        ("data:;base64,AAAA", "string_pattern_mismatch"),
        ("data:text/plain;base64,AAAA", "string_pattern_mismatch"),
        ("data:image/;base64,AAAA", "string_pattern_mismatch"),
        ("data:image/png;charset=utf-8;base64,AAAA", "string_pattern_mismatch"),
        ("DATA:image/png;base64,AAAA", "string_pattern_mismatch"),
        (" data:image/png;base64,AAAA", "string_pattern_mismatch"),
        ("data:image/png;base64,A", "value_error"),
        ("data:image/png;base64,AAA", "value_error"),
        ("data:image/png;base64,AAAAA===", "value_error"),
        ("data:image/png;base64,AA-_", "value_error"),
        ("data:image/png;base64,AAAA\n", "value_error"),
        ("data:image/png;base64,AA AA", "value_error"),
        ("data:image/png;base64,AA==AAAA", "value_error"),
        ("data:image/png;base64,Käse", "value_error"),
    ],
)
def test_image_must_be_a_base64_data_url(image: object, kind: str) -> None:
    assert faults_of([start(image=image), END]) == {(0, "start", "image"): kind}


@given(st.binary(min_size=1, max_size=40), st.sampled_from(["png", "jpeg", "svg+xml", "vnd.x-y.z"]))
def test_accepted_image_can_be_decoded_later(data: bytes, kind: str) -> None:
    image = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    action = read_script([start(image=image), END]).actions[0]
    assert action.image == image
    assert decode_data_url(image, 100) == data


ORDER = {
    "the first entry is at 0": ([at(1, START), END], {(0, "timestamp_ms")}),
    "the first entry is a start": ([at(0, INTERACT), END], {(0,)}),
    "no other entry is a start": ([START, at(1, START), at(2, START), END], {(1,), (2,)}),
    "the last entry is an end": ([START, INTERACT], {(1,)}),
    "the last entry is not a start": ([START, at(1, START)], {(1,)}),
    "no other entry is an end": ([START, at(1, END), INTERACT, END], {(1,)}),
    "a start alone": ([START], {(0,)}),
    "an end alone": ([END], {(0,), (0, "timestamp_ms")}),
    "an end alone, at 0": ([at(0, END)], {(0,), (0, "timestamp_ms")}),
    "an interaction alone": ([at(0, INTERACT)], {(0,)}),
    "times must not decrease": ([START, at(5, INTERACT), at(4, END)], {(2, "timestamp_ms")}),
    "times do not go below an earlier time": (
        [START, at(5, INTERACT), at(3, INTERACT), at(4, INTERACT), at(5, END)],
        {(2, "timestamp_ms"), (3, "timestamp_ms")},
    ),
    "times do not go below an invalid first time": (
        [at(5, START), at(4, INTERACT), at(5, END)],
        {(0, "timestamp_ms"), (1, "timestamp_ms")},
    ),
    "the end is above 0": ([START, at(0, INTERACT), at(0, END)], {(2, "timestamp_ms")}),
    "an end that is not the last may be at 0": ([START, at(0, END), END], {(1,)}),
    "an invalid time is ignored in the order": (
        [START, at(5, INTERACT), at("7", INTERACT), at(6, INTERACT), END],
        {(2, "timestamp_ms")},
    ),
    "an entry without an action is ignored in the order": ([{"timestamp_ms": 0}, INTERACT, END], {(0,)}),
    "an entry that is not an object is ignored in the order": (
        [None, at(5, INTERACT), None, at(4, END)],
        {(0,), (2,), (3, "timestamp_ms")},
    ),
    "an invalid action still counts in the order": (
        [START, at(1, {"start": 7}), {"end": None}],
        {(1,), (1, "start"), (2, "end"), (2, "timestamp_ms")},
    ),
    "unknown keys do not affect the order": (
        [at(1, {"interact": {"prompt": ""}, "x": 1}), END],
        {(0,), (0, "x"), (0, "timestamp_ms")},
    ),
}


@pytest.mark.parametrize(("script", "places"), ORDER.values(), ids=ORDER)
def test_actions_and_times_must_be_in_order(script: list[Entry], places: set[tuple[str | int, ...]]) -> None:
    assert set(faults_of(script)) == places


WORDS = st.sampled_from(["timestamp_ms", "start", "interact", "end", "prompt", "image"])
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["data:image/png;base64,AAAA", "data:image/png;base64,", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


@st.composite
def near_scripts(draw: st.DrawFn) -> object:
    """Draw scripts as decoded JSON, in which up to three entries are replaced or changed at random."""
    script: list[Any] = [START, *draw(st.lists(st.sampled_from([INTERACT, START, END]), max_size=3)), END]
    for _ in range(draw(st.integers(0, 3))):
        index = draw(st.integers(0, len(script) - 1))
        entry = draw(JSON_VALUES | st.just(script[index]))
        if isinstance(entry, dict):
            entry = {**entry, draw(WORDS): draw(JSON_VALUES)}
        script[index] = entry
    return script


@given(JSON_VALUES | near_scripts(), st.lists(st.integers(0, 9) | st.text(max_size=3), max_size=3))
def test_any_json_is_valid_or_has_faults(value: object, loc: list[str | int]) -> None:
    faults: list[Any] = []
    text = ""
    try:
        script = read_script(value, *loc)
    except ScriptFaultsError as error:
        faults, text = error.faults, str(error)
    else:
        times = [action.timestamp_ms for action in script.actions]
        assert times[0] == 0 < times[-1] <= 2**53 - 1
        assert times == sorted(times)
        kinds = [action.kind for action in script.actions]
        assert kinds == ["start", *["interact"] * (len(kinds) - 2), "end"]
        return
    assert faults
    assert all(fault["loc"][: len(loc)] == loc and fault["msg"] and fault["type"] for fault in faults)
    assert len({repr(fault["loc"]) for fault in faults}) == len(faults)
    assert 0 < len(text) <= 1000


@given(st.lists(st.integers(0, 2**53 - 1), max_size=5).map(sorted), st.text(max_size=20))
def test_sorted_times_and_any_prompt_are_valid(times: list[int], prompt: str) -> None:
    end = max([1, *times])
    entries = [at(time, {"interact": {"prompt": prompt}}) for time in times]
    script = read_script([START, *entries, at(end, END)])
    assert [action.timestamp_ms for action in script.actions] == [0, *times, end]
