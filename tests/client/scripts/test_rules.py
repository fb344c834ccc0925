"""Tests of the rules for scripts (protocol.md section 8): each violation is reported with its path in the script."""

import copy
import datetime
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odyssey_client.errors import ScriptError
from odyssey_client.scripts.rules import Faults, ScriptEntry, read_entries
from odyssey_client.scripts.script import Script
from tests.support.scripts import IMAGE, NO_IMAGES, broken_scripts, json_values, valid_scripts

START: Any = {"timestamp_ms": 0, "start": {"prompt": "A cat"}}
LOOK: Any = {"timestamp_ms": 3000, "interact": {"prompt": "It looks out"}}
END: Any = {"timestamp_ms": 6000, "end": {}}
GOOD: Any = [START, LOOK, END]


def places(script: Any) -> list[str]:
    """Validate a script; return the paths of its errors, or an empty list if it is valid."""
    try:
        Script.of(script)
    except ScriptError as error:
        return [fault.path for fault in error.faults]
    return []


def at(time: object, entry: Any = LOOK) -> Any:
    return {**entry, "timestamp_ms": time}


def without(key: str, entry: Any) -> Any:
    return {name: value for name, value in entry.items() if name != key}


def test_valid_script_has_no_faults() -> None:
    assert places(GOOD) == []
    assert places([START, END]) == []


@pytest.mark.parametrize(
    "value", [None, True, 7, 0.5, "cat.json", b"[]", bytearray(2), memoryview(b"[]"), {}, START, {1}]
)
def test_script_must_be_an_array(value: object) -> None:
    assert places(value) == ["script"]


def test_empty_script_is_rejected() -> None:
    assert places([]) == ["script"]


@pytest.mark.parametrize("value", [None, True, 7, "end", [], [END]])
def test_entry_must_be_an_object(value: object) -> None:
    assert places([START, value, END]) == ["script[1]"]
    assert places([value, END]) == ["script[0]"]
    assert places([START, value]) == ["script[1]"]


@pytest.mark.parametrize("key", ["foo", "Timestamp_ms", "", "end ", "ti.me", "\ud800"])
def test_unknown_key_of_entry_is_rejected(key: str) -> None:
    assert places([{**START, key: 1}, LOOK, END]) == [f"script[0].{key}"]


@pytest.mark.parametrize(
    "time",
    [
        *(None, True, "3000", [], {}, 0.5, -1, -0.5, float("inf"), float("-inf"), float("nan"), 2**53, 1e16),
        *(10**400, -(10**400), Fraction(1, 3), 3j, datetime.timedelta(seconds=3)),
    ],
)
def test_time_must_be_whole_number_in_range(time: object) -> None:
    assert places([START, at(time), END]) == ["script[1].timestamp_ms"]


def test_missing_time_is_rejected() -> None:
    assert places([START, without("timestamp_ms", LOOK), END]) == ["script[1].timestamp_ms"]


@pytest.mark.parametrize("time", [3000, 3000.0, np.int64(3000), np.float32(3000), Fraction(6000, 2)])
def test_whole_numbers_of_all_types_become_int(time: Any) -> None:
    read = Script.of([START, at(time), END]).entries[1].timestamp_ms
    assert (read, type(read)) == (3000, int)


def test_largest_time_is_accepted() -> None:
    assert places([START, at(2**53 - 1, END)]) == []


@pytest.mark.parametrize("entry", [{"timestamp_ms": 3000}, {**LOOK, "end": {}}, {**LOOK, "end": None}])
def test_entry_must_have_exactly_one_action(entry: object) -> None:
    assert "script[1]" in places([START, entry, END])


@pytest.mark.parametrize("value", [None, True, 7, "A cat", [], [{}]])
@pytest.mark.parametrize(("index", "action"), [(0, "start"), (1, "interact"), (2, "end")])
def test_action_must_be_an_object(index: int, action: str, value: object) -> None:
    script = copy.deepcopy(GOOD)
    script[index][action] = value
    assert places(script) == [f"script[{index}].{action}"]


@pytest.mark.parametrize(
    ("index", "action", "key"),
    [(0, "start", "promt"), (1, "interact", "image"), (2, "end", "prompt"), (2, "end", "image"), (0, "start", "")],
)
def test_unknown_key_of_action_is_rejected(index: int, action: str, key: str) -> None:
    script = copy.deepcopy(GOOD)
    script[index][action][key] = "A cat"
    assert places(script) == [f"script[{index}].{action}.{key}"]


@pytest.mark.parametrize("prompt", [None, True, 7, [], {}, b"A cat", "A \ud800 cat", "\udfff"])
@pytest.mark.parametrize(("index", "action"), [(0, "start"), (1, "interact")])
def test_prompt_must_be_text_utf8_can_encode(index: int, action: str, prompt: object) -> None:
    script = copy.deepcopy(GOOD)
    script[index][action]["prompt"] = prompt
    assert places(script) == [f"script[{index}].{action}.prompt"]


@pytest.mark.parametrize(("index", "action"), [(0, "start"), (1, "interact")])
def test_prompt_is_required_but_may_be_empty(index: int, action: str) -> None:
    script = copy.deepcopy(GOOD)
    script[index][action] = {}
    assert places(script) == [f"script[{index}].{action}.prompt"]
    script[index][action]["prompt"] = ""
    assert places(script) == []


@pytest.mark.parametrize("image", [None, 7, [], {}, *NO_IMAGES])
def test_invalid_image_is_rejected(image: object) -> None:
    assert places([{"timestamp_ms": 0, "start": {"prompt": "A", "image": image}}, END]) == ["script[0].start.image"]


def test_data_url_image_is_accepted() -> None:
    assert places([{"timestamp_ms": 0, "start": {"prompt": "A", "image": IMAGE}}, END]) == []


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_data_url_must_have_complete_base64(kind: str) -> None:
    """The number of characters before the base64 is even for PNG and odd for JPEG."""
    faults = Faults()
    images = [f"data:image/{kind};base64,{text}" for text in ("AAAA", "AAA", "AAAAAA==")]

    for image in images:
        read_entries([at(0, {"start": {"prompt": "", "image": image}}), END], image, lambda image: "", faults)

    assert [fault.path for fault in faults.listed()] == [f"{images[1]}[0].start.image"]


def test_first_time_must_be_zero() -> None:
    assert places([at(1, START), LOOK, END]) == ["script[0].timestamp_ms"]
    assert places([at(0.0, START), LOOK, END]) == []


@pytest.mark.parametrize("entry", [at(0, LOOK), at(0, END)])
def test_first_entry_must_be_a_start(entry: object) -> None:
    assert places([entry, LOOK, END]) == ["script[0]"]


def test_later_start_is_rejected() -> None:
    assert places([START, at(3000, START), END]) == ["script[1]"]
    assert places([START, at(3000, START)]) == ["script[1]"]


def test_last_entry_must_be_an_end() -> None:
    assert places([START, LOOK]) == ["script[1]"]
    assert places([START]) == ["script[0]"]


def test_earlier_end_is_rejected() -> None:
    assert places([START, at(3000, END), END]) == ["script[1]"]


def test_time_before_latest_valid_time_is_rejected() -> None:
    assert places([START, at(3000), at(3000), END]) == []
    assert places([START, at(3000), at(2999), END]) == ["script[2].timestamp_ms"]
    assert places([START, at(5000), at(1000), at(3000), END]) == ["script[2].timestamp_ms", "script[3].timestamp_ms"]
    assert places([START, at("9000"), END]) == ["script[1].timestamp_ms"]
    assert places([START, at(7000, {"foo": 1}), END]) == ["script[1]", "script[1].foo", "script[2].timestamp_ms"]


def test_video_without_frames_is_rejected() -> None:
    assert places([START, at(0), at(0, END)]) == ["script[2].timestamp_ms"]
    assert places([START, at(0), at(1, END)]) == []


def test_order_is_unchecked_without_exactly_one_action() -> None:
    both = {"timestamp_ms": 0, "interact": {"prompt": "A"}, "end": {}}
    assert places([both, both]) == ["script[0]", "script[1]"]
    assert places([{"timestamp_ms": 0}, {"timestamp_ms": 0}]) == ["script[0]", "script[1]"]


def test_order_is_checked_for_invalid_action() -> None:
    assert places([START, {"timestamp_ms": 1, "end": None}, END]) == ["script[1].end", "script[1]"]


def test_all_faults_are_listed_in_script_order() -> None:
    script = [
        {"timestamp_ms": 5, "start": {"prompt": 7, "image": "no.png", "x": 1}},
        {"timestamp_ms": 3, "interact": None, "end": {}},
        7,
        at(-1, {"foo": 1}),
        {"timestamp_ms": 4, "interact": {"prompt": "A"}},
    ]
    assert places(script) == [
        "script[0].start.x",
        "script[0].start.prompt",
        "script[0].start.image",
        "script[0].timestamp_ms",
        "script[1]",
        "script[1].interact",
        "script[1].timestamp_ms",
        "script[2]",
        "script[3]",
        "script[3].foo",
        "script[3].timestamp_ms",
        "script[4]",
        "script[4].timestamp_ms",
    ]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("cat.json", "script: expected an array of entries (Script.load reads a file, Script.from_json reads text), "),
        (
            b"[]",
            "script: expected an array of entries (Script.load reads a file, Script.from_json reads text), got bytes",
        ),
        (7, "script: expected an array of entries, got 7"),
        ([], "script: expected an array of entries, from a start to an end, got an empty array"),
        (
            [START, {"timestamp_ms": 3}, END],
            "script[1]: expected exactly one of start, interact, end, got none of them",
        ),
        ([START, {**LOOK, "end": {}}, END], "expected exactly one of start, interact, end, got interact and end"),
        ([at(0, {"start": {}}), END], "script[0].start.prompt: expected text, got nothing"),
        ([START, at(False), END], "from 0 to 9007199254740991, got false"),
        ([START, [], END], "expected an object with timestamp_ms and one of start, interact, end, got an array"),
        ([START, at({}), END], "got an object"),
        ([at(0, {"start": 7}), END], "script[0].start: expected an object with a prompt, got 7"),
        ([START, at(5, {"end": 7})], "script[1].end: expected an empty object, got 7"),
        ([START, None], "script[1]: expected an object with timestamp_ms and one of start, interact, end, got null"),
        (
            [START, at(True, END)],
            "timestamp_ms: expected a whole number of milliseconds from 0 to 9007199254740991, got t",
        ),
        ([START, at(10**400, END)], "got a very large number"),
        ([START, at(datetime.timedelta(), END)], "got timedelta"),
        ([START, at(5), at(4, END)], "script[2].timestamp_ms: expected 5 or more: times must not decrease, got 4"),
        (
            [START, at(5, START), END],
            "expected no start after the first entry: a script describes one stream, got a start",
        ),
        ([at(7, START), END], "script[0].timestamp_ms: expected 0, the time of the first entry, got 7"),
        (
            [START, at(0, END)],
            "expected more than 0, as the time of the end: a video has at least one frame, got 0",
        ),
        ([START, at(5), at(0, END)], "script[2].timestamp_ms: expected 5 or more: times must not decrease, got 0"),
        ([START, at(3, END), END], "script[1]: expected no end before the last entry, got an end"),
        ([START], "script[0]: expected an end, as the last entry, got a start"),
        ([LOOK], "script[0]: expected a start, as the first entry, got an interact"),
        ([{**START, "a\x1b[31m\nb": 1}, END], "script[0].a [31m b: expected no keys except"),
        ([{**START, 7: 1}, END], "script[0].7: expected no keys except"),
        ([at(0, {"start": {"prompt": "A " * 500}}), "x" * 1000], "got 'xxxx"),
        ([{**START, "x": 1}, END], "no keys except timestamp_ms, start, interact, end, got an unknown key"),
        ([START, at(5, {"end": {"x": 1}})], "script[1].end.x: expected no keys, got an unknown key"),
        ([at(0, {"start": {"prompt": 7}}), END], "script[0].start.prompt: expected text, got 7"),
        (
            [at(0, {"start": {"prompt": "A", "image": "data:text/plain,A"}}), END],
            "a data: URL of an image in base64 (data:image/png;base64,...), got a data: URL of another form",
        ),
        ([START, at("x" * 100), END], "got '" + "x" * 58 + "…"),
        (
            [at(0, {"start": {"prompt": "A \ud800"}}), END],
            "text that UTF-8 can encode, got a lone surrogate at index 2",
        ),
        (
            [at(0, {"start": {"prompt": "A", "image": "no.png"}}), END],
            "image: expected an image that can be sent, got one that cannot be sent: the image file 'no.png' cannot be",
        ),
    ],
)
def test_fault_states_expected_and_received_value(script: Any, says: str) -> None:
    with pytest.raises(ScriptError) as caught:
        Script.of(script)
    assert says in str(caught.value)
    assert max(map(len, str(caught.value).splitlines())) < 250
    str(caught.value).encode()


def test_entries_without_action_or_time_are_left_out() -> None:
    faults = Faults()

    entries = read_entries([START, at("soon"), {"timestamp_ms": 3}, END], "script", lambda image: "", faults)

    assert [each.action for each in entries] == ["start", "end"]
    assert read_entries(7, "script", lambda image: "", faults) == ()


def test_huge_numbers_are_described_in_words() -> None:
    assert places([{**START, 10**5000: 1}, at(-(10**5000), END)]) == [
        "script[0].a very large number",
        "script[1].timestamp_ms",
    ]


def test_other_sequences_and_mappings_are_accepted() -> None:
    """A script of other sequence and mapping types than list and dict is accepted.

    YAML and TOML readers may return such types.
    """
    assert Script.of(tuple(MappingProxyType(entry) for entry in GOOD)) == Script.of(GOOD)


def test_to_dict_returns_json_form() -> None:
    assert [entry.to_dict() for entry in Script.of(GOOD).entries] == GOOD


def test_image_is_no_part_of_repr_and_hash() -> None:
    entry = ScriptEntry(0, "start", "A cat", image=b"image")
    assert repr(entry) == "ScriptEntry(timestamp_ms=0, action='start', prompt='A cat')"
    assert hash(entry) == hash(ScriptEntry(0, "start", "A cat"))
    assert entry != ScriptEntry(0, "start", "A cat")


def test_constructed_entries_are_checked_by_same_rules() -> None:
    prompt: Any = 7
    script = Script(
        (ScriptEntry(0, "start", prompt), ScriptEntry(0, "interact", "", IMAGE), ScriptEntry(1, "end", "x"))
    )
    assert [fault.path for fault in script.faults()] == [
        "script[0].start.prompt",
        "script[1].interact.image",
        "script[2].end.prompt",
    ]


def test_check_passes_without_faults() -> None:
    Faults().check()


@given(valid_scripts())
def test_valid_script_is_read_unchanged(script: list[dict[str, Any]]) -> None:
    read = Script.of(script)
    assert [entry.to_dict() for entry in read.entries] == script
    assert read.duration_seconds == script[-1]["timestamp_ms"] / 1000


@given(st.one_of(broken_scripts(), json_values()), st.sampled_from(["script", "scripts[3]"]))
@example([{"timestamp_ms": 0, "start": {"prompt": "A", "image": "\0"}}, END], "script")
@example([{"timestamp_ms": 0, "start": {"prompt": "A", "image": "/dev/zero"}}, END], "script")
def test_any_json_is_script_or_has_faults(value: Any, path: str) -> None:
    before = copy.deepcopy(value)
    try:
        read = Script.of(value, path=path)
    except ScriptError as error:
        paths = [fault.path for fault in error.faults]
        assert paths
        assert all(each.startswith(path) for each in paths)
        assert len(set(paths)) == len(paths)
    else:
        assert read.faults() == ()
    assert value == before


def test_further_faults_are_only_counted() -> None:
    with pytest.raises(ScriptError) as caught:
        Script.of([{}] * 500)
    error = caught.value
    assert (len(error.faults), error.more_faults) == (100, 900)
    assert str(error).startswith("1000 faults:\n")
    assert str(error).endswith("\n  and 950 more"), (
        "expected 50 lines with faults, and one with the number of the others"
    )
    assert len(Script(tuple(ScriptEntry(0, "end") for _ in range(500))).faults()) == 100


def test_long_unknown_keys_are_shortened() -> None:
    assert places([{**START, "k" * 5000: 1}, END]) == ["script[0]." + "k" * 200]
