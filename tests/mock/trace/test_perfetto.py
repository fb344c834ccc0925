"""Tests of exports in the Trace Event Format: its rules, and the place of each kind of event."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.trace import TraceEvent
from odyssey_mock.trace.perfetto import trace_events
from tests.support.traces import call, event, exchange, failed_trace, message, statistics, trace_of

NUMBER = int | float
FIELDS: dict[str, Any] = {"name": str, "ph": str, "pid": int, "tid": int, "ts": NUMBER}
FIELDS_OF_PHASE: dict[str, dict[str, Any]] = {
    "X": {"dur": NUMBER, "args": dict, "cat": str},
    "B": {"args": dict, "cat": str},
    "i": {"s": str, "args": dict, "cat": str},
    "s": {"id": int, "cat": str},
    "f": {"id": int, "cat": str, "bp": str},
    "C": {"args": dict},
    "M": {"args": dict},
}
"""Fields of each phase that the documented format requires, with their types."""


def exported(*events: TraceEvent) -> list[dict[str, Any]]:
    document: Any = trace_events(trace_of(list(events), failure=None))
    found: list[dict[str, Any]] = document["traceEvents"]
    return found


def problems(events: Sequence[dict[str, Any]]) -> list[str]:
    """Return what is wrong with the events of a file, by the rules of the format and of Perfetto."""
    found = []
    for each in events:
        required = FIELDS | FIELDS_OF_PHASE.get(each.get("ph", ""), {"known phase": str})
        found += [f"{name} of {each}" for name, kind in required.items() if not isinstance(each.get(name), kind)]
        if each["ph"] == "C" and not all(isinstance(value, NUMBER) for value in each["args"].values()):
            found.append(f"counter without a number: {each}")
    flows = defaultdict(list)
    threads = defaultdict(list)
    for each in events:
        if each["ph"] in "sf":
            flows[each["id"]].append(each)
        if each["ph"] in "XB":
            threads[each["pid"], each["tid"]].append(each)
    for slices in threads.values():
        found += [f"overlap: {one} and {other}" for one, other in overlapping(slices)]
    for number, ends in flows.items():
        if [end["ph"] for end in sorted(ends, key=lambda end: end["ph"], reverse=True)] != ["s", "f"]:
            found.append(f"flow {number} with the ends {ends}")
        for end in ends:
            on = [each for each in threads[end["pid"], end["tid"]] if each["ts"] <= end["ts"] < ended(each)]
            if not on:
                found.append(f"end of a flow outside of a slice: {end}")
    return found


def overlapping(slices: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the pairs of slices of which none contains the other although both take the same time."""
    return [
        (one, other)
        for index, one in enumerate(slices)
        for other in slices[index + 1 :]
        if max(one["ts"], other["ts"]) < min(ended(one), ended(other))
        and not (one["ts"] <= other["ts"] and ended(other) <= ended(one))
        and not (other["ts"] <= one["ts"] and ended(one) <= ended(other))
    ]


def ended(each: dict[str, Any]) -> float:
    return float(each["ts"] + each["dur"]) if each["ph"] == "X" else float("inf")


def only(events: Sequence[dict[str, Any]], *phases: str) -> list[dict[str, Any]]:
    return [each for each in events if each["ph"] in phases]


def test_failed_test_follows_the_format() -> None:
    document: Any = trace_events(failed_trace())
    assert problems(document["traceEvents"]) == []
    assert document["displayTimeUnit"] == "ms"
    assert document["otherData"]["title"] == "tests/test_cat.py::test_cat"


def test_participants_are_processes_and_lanes_threads() -> None:
    document: Any = trace_events(failed_trace())
    named = [each for each in document["traceEvents"] if each["name"] in {"process_name", "thread_name"}]
    processes = {each["pid"]: each["args"]["name"] for each in named if each["name"] == "process_name"}
    assert list(processes.values()) == ["test", "client 1", "client 2", "server"]
    lanes = [each["args"]["name"] for each in named if processes[each["pid"]] == "client 2" and each["tid"]]
    assert lanes == ["call", "http"]


def test_span_is_a_complete_event() -> None:
    (one,) = only(exported(call(0.5, "connect", 0.75, data={"arguments": {"x": 1}}, session="s")), "X")
    assert (one["ts"], one["dur"], one["cat"]) == (500_000, 250_000, "call")
    assert one["args"] == {"session": "s", "arguments": {"x": 1}}


def test_pending_span_only_begins() -> None:
    (one,) = only(exported(call(0.5, "connect", None)), "X", "B", "E")
    assert (one["ph"], one["ts"]) == ("B", 500_000)


def test_error_is_a_category() -> None:
    (one,) = only(exported(exchange(0.5, "GET /x", 0.6, 404, error="status 404")), "X")
    assert one["cat"] == "http,error"
    assert one["args"]["error"] == "status 404"


def test_overlapping_spans_have_threads_of_their_own() -> None:
    spans = [
        call(0, "a", 2),
        call(1, "b", 3),
        call(1.5, "c", 1.75),
        call(2, "d", 2.5),
        call(4, "e", None),
        call(5, "f", 6),
    ]
    events = exported(*spans)
    threads = [each["tid"] for each in sorted(only(events, "X", "B"), key=lambda each: str(each["name"]))]
    assert threads == [2000, 2001, 2000, 2000, 2000, 2000]
    assert [each["args"]["name"] for each in events if each["name"] == "thread_name"] == ["call", "call 2"]


def test_arrow_leads_from_sender_to_receiver() -> None:
    events = exported(
        message(1, "channel", "interact", "client", "client"), message(1.5, "channel", "interact", "client", "server")
    )
    start, finish = only(events, "s", "f")
    assert (start["ph"], start["ts"], finish["ph"], finish["ts"]) == ("s", 1_000_000, "f", 1_500_000)
    assert start["id"] == finish["id"]
    assert start["pid"] != finish["pid"]


def test_exchange_has_an_arrow_to_the_server() -> None:
    events = exported(exchange(1, "GET /x", 2, 200), event(1.5, "http", "GET /x", "server", data={"status": 200}))
    assert [each["ts"] for each in only(events, "s", "f")] == [1_000_000, 1_500_000]
    assert problems(events) == []


@pytest.mark.parametrize(("lane", "scope"), [("state", "t"), ("fault", "p"), ("clock", "p")])
def test_other_events_are_instants(lane: Any, scope: str) -> None:
    (one,) = only(exported(event(1, lane, "x", data={"to": "y"})), "i")
    assert (one["s"], one["ts"], one["args"]) == (scope, 1_000_000, {"to": "y"})


def test_statistics_are_counters() -> None:
    counters = only(exported(statistics(1, 12), statistics(1.5, 24)), "C")
    assert [(each["name"], each["ts"], each["args"]) for each in counters] == [
        ("inbound-rtp in1 framesPerSecond", 1_000_000, {"framesPerSecond": 24.5}),
        ("inbound-rtp in1 framesDecoded", 1_000_000, {"framesDecoded": 12}),
        ("inbound-rtp in1 framesPerSecond", 1_500_000, {"framesPerSecond": 24.5}),
        ("inbound-rtp in1 framesDecoded", 1_500_000, {"framesDecoded": 24}),
    ]


def test_failure_is_an_instant_at_the_end() -> None:
    document: Any = trace_events(failed_trace())
    last = document["traceEvents"][-1]
    assert (last["ph"], last["s"], last["ts"]) == ("i", "g", 3_200_000)
    assert last["name"] == "failure in call: AssertionError"


times = st.integers(0, 40).map(lambda number: number / 8)
spans = st.builds(
    lambda at, length, lane, side: event(at, lane, "x", side, is_span=True, end=None if length < 0 else at + length),
    times,
    st.just(-1) | times,
    st.sampled_from(["call", "http", "test"]),
    st.sampled_from(["client", "server"]),
)
messages = st.builds(
    message,
    times,
    st.sampled_from(["channel", "signaling"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["client", "server"]),
    st.sampled_from(["client", "server"]),
)


@given(st.lists(spans | messages | st.builds(statistics, times, st.integers(0, 9)), max_size=20))
def test_every_trace_follows_the_format(events: list[TraceEvent]) -> None:
    assert problems(exported(*events)) == []
