"""Tests of the error text for an invalid script."""

import pytest

from odyssey_mock.simulations.scripts import ScriptFaultsError, read_script
from tests.support.entries import END, INTERACT, at, start


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
