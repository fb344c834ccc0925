"""Tests of the event log of a recording."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.timeline import Timeline
from odyssey_mock.recordings.artifacts import event_log
from odyssey_mock.simulations.timelines import frame_of
from odyssey_mock.verification.contract_documents import Contract
from tests.support.recordings import SMALL, record, timeline

CONTRACT = Contract.load()


def events(shown: Timeline, **fields: object) -> list[dict[str, Any]]:
    """Return the parsed lines of the event log; each must conform to the contract."""
    text = event_log(record("acct", shown, **fields))
    assert text.endswith("\n")
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    assert [fault for line in lines for fault in CONTRACT.violations("recording-event", "", line)] == []
    return lines


def test_log_has_start_interactions_and_end() -> None:
    assert events(timeline(180, [60, 120])) == [
        {"timestamp_ms": 0, "type": "start", "prompt": "A snowy city at night"},
        {"timestamp_ms": 3000, "type": "interact", "prompt": "Lantern number 1 goes up"},
        {"timestamp_ms": 6000, "type": "interact", "prompt": "Lantern number 2 goes up"},
        {"timestamp_ms": 9000, "type": "end"},
    ]


def test_stream_without_frames_has_a_log() -> None:
    assert [(event["timestamp_ms"], event["type"]) for event in events(timeline(0))] == [(0, "start"), (0, "end")]


def test_log_of_failed_stream_ends_with_error() -> None:
    *_, interact, last = events(timeline(100, [60]), error="the model is gone")
    assert interact["type"] == "interact"
    assert last == {"timestamp_ms": 5000, "type": "error", "message": "the model is gone"}


def test_failure_without_end_has_time_of_latest_event() -> None:
    *_, last = events(timeline(None, [60]), error="the model is gone")
    assert (last["timestamp_ms"], last["type"]) == (3000, "error")


@pytest.mark.parametrize("prompt", ["", "zwei\nZeilen", "\ud800", "猫 \u2028 🐈"])
def test_any_prompt_survives_encoding_in_one_line(prompt: str) -> None:
    shown = Timeline(tag=7, size=SMALL, prompt=prompt)
    shown.end(1)
    assert event_log(record("acct", shown)).isascii()
    start, _ = events(shown)
    assert start["prompt"] == prompt


@given(fps=st.integers(1, 1000), indexes=st.lists(st.integers(0, 10_000), max_size=5).map(sorted))
def test_logged_times_in_script_give_same_frames(fps: int, indexes: list[int]) -> None:
    *shown, _ = events(timeline(10_000, indexes, fps=fps))
    assert [frame_of(event["timestamp_ms"], fps) for event in shown] == [0, *indexes]
