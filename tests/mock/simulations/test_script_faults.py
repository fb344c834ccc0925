"""Tests of the error text for an invalid script."""

import pytest

from odyssey_mock.simulations.scripts import ScriptFault, ScriptFaultsError, read_script
from tests.support.entries import END, INTERACT, START, at, start


def test_every_fault_states_expected_and_received() -> None:
    script = [start(prompt=7, size=3), at("soon", INTERACT), {"timestamp_ms": 1, "end": [], "start": {}}, None]
    with pytest.raises(ScriptFaultsError) as caught:
        read_script(script, "script")
    assert str(caught.value).split("; ") == [
        "script[0].start.size: expected prompt and image, got an unknown key",
        "script[0].start.prompt: expected text that UTF-8 can encode, got 7",
        "script[1].timestamp_ms: expected a whole number of milliseconds from 0 to 9007199254740991, got 'soon'",
        "script[2]: expected exactly one of start, interact, end, got start and end",
        "script[2].start.prompt: expected text that UTF-8 can encode, got nothing",
        "script[2].end: expected an object with no keys in it, got an array",
        "script[3]: expected an object with timestamp_ms and one action, got null",
    ]


TIME = "expected a whole number of milliseconds from 0 to 9007199254740991, got"
IMAGE = "expected a data: URL of an image in base64 (data:image/png;base64,...), got"
BASE64 = "data:image/png;base64,"


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (None, "script: expected an array of entries, got null"),
        ({}, "script: expected an array of entries, got an object"),
        (True, "script: expected an array of entries, got true"),
        (False, "script: expected an array of entries, got false"),
        (-7.5, "script: expected an array of entries, got -7.5"),
        ("x" * 40, f"script: expected an array of entries, got '{'x' * 40}'"),
        ("x" * 43, f"script: expected an array of entries, got '{'x' * 40}' and 3 characters more"),
        (2**1024 - 1, f"script: expected an array of entries, got {str(2**1024)[:40]}"),
        (2**1024, "script: expected an array of entries, got a very large number"),
        ([], "script: expected at least a start and an end, got an empty array"),
        ([START, 7, END], "script[1]: expected an object with timestamp_ms and one action, got 7"),
        (
            [START, {**INTERACT, "x": 1}, END],
            "script[1].x: expected timestamp_ms and one of start, interact, end, got an unknown key",
        ),
        ([START, {"interact": {"prompt": ""}}, END], f"script[1].timestamp_ms: {TIME} nothing"),
        ([START, at(True, INTERACT), END], f"script[1].timestamp_ms: {TIME} true"),
        ([START, at(0.5, INTERACT), END], f"script[1].timestamp_ms: {TIME} 0.5"),
        ([START, at(-1, INTERACT), END], f"script[1].timestamp_ms: {TIME} -1"),
        ([START, at(2**53, END)], f"script[1].timestamp_ms: {TIME} 9007199254740992"),
        ([START, {"timestamp_ms": 1}, END], "script[1]: expected exactly one of start, interact, end, got none"),
        (
            [START, at(1, {"interact": []}), END],
            "script[1].interact: expected an object with prompt in it, got an array",
        ),
        (
            [START, at(1, {"interact": {"prompt": "", "image": 1}}), END],
            "script[1].interact.image: expected prompt, got an unknown key",
        ),
        ([START, at(1, {"end": {"x": 1}})], "script[1].end.x: expected no keys, got an unknown key"),
        ([start(image=7), END], f"script[0].start.image: {IMAGE} 7"),
        ([start(image="cat.png"), END], f"script[0].start.image: {IMAGE} 'cat.png'"),
        ([start(image=f"{BASE64}A"), END], f"script[0].start.image: {IMAGE} '{BASE64}A'"),
        ([INTERACT, END], "script[0]: expected a start, as the first entry; got interact"),
        ([START, INTERACT], "script[1]: expected an end, as the last entry; got interact"),
        (
            [START, at(1, {"start": {"prompt": ""}}), END],
            "script[1]: expected no start after the first entry: a script describes one stream; got start",
        ),
        ([START, at(1, END), END], "script[1]: expected no end before the last entry; got end"),
        ([at(1, START), END], "script[0].timestamp_ms: expected 0, the time of the first entry; got 1"),
        (
            [START, at(5, INTERACT), at(4, END)],
            "script[2].timestamp_ms: expected 5 or later: times must not decrease; got 4",
        ),
        (
            [START, at(0, END)],
            "script[1].timestamp_ms: expected a time above 0: a video has at least one frame; got 0",
        ),
    ],
)
def test_fault_has_its_place_and_message(script: object, text: str) -> None:
    with pytest.raises(ScriptFaultsError) as caught:
        read_script(script, "script")
    assert str(caught.value).split("; script")[0] == text


@pytest.mark.parametrize(
    ("key", "shown"),
    [("k" * 40, "k" * 40), ("k" * 41, f"'{'k' * 40}' and 1 characters more"), ("a\nb", r"'a\nb'")],
)
def test_unknown_keys_are_shown_shortened_and_printable(key: str, shown: str) -> None:
    with pytest.raises(ScriptFaultsError) as caught:
        read_script([{**START, key: 1}, END], "script")
    assert str(caught.value).startswith(f"script[0].{shown}: expected timestamp_ms")


def test_unknown_key_is_cut_in_the_location() -> None:
    with pytest.raises(ScriptFaultsError) as caught:
        read_script([{**START, "k" * 200: 1, "l" * 201: 1}, END], "script")
    assert [fault["loc"][-1] for fault in caught.value.faults] == ["k" * 200, "l" * 200]


@pytest.mark.parametrize(("length", "end"), [(488, "m" * 20), (489, "; and 1 more")])
def test_text_has_at_most_1000_characters(length: int, end: str) -> None:
    places: list[ScriptFault] = [
        {"loc": ["a"], "msg": "m" * (500 - len("a: ")), "type": "x"},
        {"loc": ["b"], "msg": "m" * (length - len("; b: ")), "type": "x"},
    ]
    text = str(ScriptFaultsError(places))
    assert text.startswith("a: mmm")
    assert text.endswith(end)
    assert len(text) <= 1000


def test_faults_that_are_not_listed_are_counted() -> None:
    fault: ScriptFault = {"loc": ["script", 3], "msg": "expected more", "type": "x"}
    assert str(ScriptFaultsError([fault], more=7)) == "script[3]: expected more; and 7 more"
    assert str(ScriptFaultsError([fault, fault])) == "script[3]: expected more; script[3]: expected more"


def test_first_fault_of_a_place_is_reported() -> None:
    with pytest.raises(ScriptFaultsError) as caught:
        read_script([at(0, INTERACT)], "script")
    assert str(caught.value) == "script[0]: expected a start, as the first entry; got interact"


def test_text_of_many_faults_is_shortened() -> None:
    with pytest.raises(ScriptFaultsError) as caught:
        read_script([None] * 1000, "script")
    text = str(caught.value)
    assert text.startswith("script[0]: expected an object")
    shown = text.count("got null")
    assert text.endswith(f"; and {1000 - shown} more")
    assert len(text) <= 1000
    assert (len(caught.value.faults), caught.value.more) == (100, 900)


def test_received_values_are_shown_shortened_and_printable() -> None:
    script = [start(prompt=10**5000, **{"k" * 5000: 1, "line\nbreak\ud800": 2}), at("t" * 5000, END)]
    with pytest.raises(ScriptFaultsError) as caught:
        read_script(script, "script")
    text = str(caught.value)
    assert len(text) < 800
    assert text.isprintable()
    text.encode()
