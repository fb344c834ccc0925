"""Tests of the comparison of two traces."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.trace import Lane, Trace, TraceEvent
from odyssey_mock.trace.diff import Compared, Difference, diff_text, difference
from tests.support.traces import (
    FAILURE,
    OTHER_SESSION,
    SESSION,
    call,
    event,
    exchange,
    failed_events,
    failed_trace,
    message,
    statistics,
    trace_of,
)

IDS = ("0f0e0d0c-0000-4000-8000-00000000000", "0a0b0c0d-0000-4000-8000-00000000000")


def compared(first: Trace, second: Trace, *lanes: Lane) -> tuple[Difference | None, str]:
    one, other = Compared(first, lanes), Compared(second, lanes)
    found = difference(one, other)
    return found, "\n".join(diff_text(one, other, found))


def run(n: int) -> Trace:
    """Return one of several runs that differ only in ids, addresses, tokens and times."""
    ids = {"session_id": f"{IDS[n]}1", "url": f"http://127.0.0.1:{4000 + n}/x", "note": f"in {0.1 + n:.3f} s"}
    events = [
        call(0.1 + n, "connect", 0.2 + n, data={"arguments": {"token": f"ey{n}.a.b", **ids}}),
        exchange(0.15 + n, f"GET /recordings/{IDS[n]}2/streamer-{0xC1C9AB52 + n:x}", 0.16 + n, 200),
        event(0.3 + n, "channel", "stream_started", sender="server", data={"message": {"stream_id": n, "at": n}}),
        event(0.4 + n, "peer", "ice completed", data={"transport": "ice", "state": "completed"}),
        call(0.5 + n, "interact", 0.6 + n, error=f"TimeoutError: no answer of {IDS[n]}1 in {2 + n}.5 s"),
        *[statistics(n / 2, n) for _ in range(n)],
        *[event(n, "log", "INFO", data={"message": str(n)}) for _ in range(n)],
        *[event(n, "sdp", "candidate", sender="client") for _ in range(n)],
    ]
    return trace_of(events)


def test_runs_differ_in_ids_and_times_only() -> None:
    found, text = compared(run(0), run(1))
    assert found is None
    assert text == (
        "A: tests/test_cat.py::test_cat: failed, 7 steps compared\n"
        "B: tests/test_cat.py::test_cat: failed, 7 steps compared\n"
        "equal"
    )


def test_first_difference_has_its_context() -> None:
    passed = [each for each in failed_events() if each.name != "interact"]
    done = call(2.5, "interact", 2.6, session=SESSION, data={"arguments": {"prompt": "jump"}})
    other = trace_of([*passed, done], outcome="passed", failure=None)
    found, text = compared(failed_trace(), other)
    assert found is not None
    assert (
        text
        == """\
A: tests/test_cat.py::test_cat: failed, 28 steps compared
B: tests/test_cat.py::test_cat: passed, 26 steps compared
equal steps before the first difference: 24

first difference: client 1, lane call
  A:
         2.300  client 2, http: GET /broadcast/x ends {"status": 404} ! status 404
         2.400  client 2, call: connect_to_stream ends ! NotFoundError: no such stream
         2.500  client 1, call: interact, which is pending at the end
  > (nothing)
         2.510  client 1, channel: interact {"prompt": "jump"}
         2.515  server, channel: interact {"prompt": "jump"}
         2.600  client 1, deadline: interact
  B:
         2.300  client 2, http: GET /broadcast/x ends {"status": 404} ! status 404
         2.400  client 2, call: connect_to_stream ends ! NotFoundError: no such stream
         2.500  client 1, call: interact
  >      2.600  client 1, call: interact ends
         3.200  test, test: call ends

only in A (3):
  1 x client 1, channel: interact {"from": "client", "message": {"prompt": "jump", "type": "interact"}}
  1 x server, channel: interact {"from": "client", "message": {"prompt": "jump", "type": "interact"}}
  1 x client 1, deadline: interact
only in B (1):
  1 x client 1, call: interact ends"""
    )


def test_missing_event_is_found_on_its_track() -> None:
    messages = [message(at, "channel", f"m{at}", "server", "client") for at in (1, 2, 3)]
    found, text = compared(trace_of(messages), trace_of(messages[:2]))
    assert found is not None
    assert (found.equal, found.first, found.track) == (2, (2, None), ("client 1", "channel", "", ""))
    assert text.splitlines()[2:] == [
        "equal steps before the first difference: 2",
        "",
        "first difference: client 1, lane channel",
        "  A:",
        "         1.000  client 1, channel: m1",
        "         2.000  client 1, channel: m2",
        "  >      3.000  client 1, channel: m3",
        "  B:",
        "         1.000  client 1, channel: m1",
        "         2.000  client 1, channel: m2",
        "  > (nothing)",
        "",
        "only in A (1):",
        '  1 x client 1, channel: m3 {"from": "server", "message": {"type": "m3"}}',
    ]


def test_call_that_fails_differs_at_its_end() -> None:
    def run_of(error: str | None) -> Trace:
        return trace_of(
            [event(0, "test", "call", "test", is_span=True, end=9, error=error), call(1, "interact", 8, error=error)]
            + [event(2, "fault", "f")] * (error is not None)
        )

    found, text = compared(run_of(None), run_of("TimeoutError"))
    assert found is not None
    assert found.track == ("client 1", "fault", "", "")
    assert "  > (nothing)\n         8.000  client 1, call: interact ends\n" in text
    assert '  1 x client 1, call: interact ends {"error": "TimeoutError"}' in text


def test_exchanges_may_end_in_another_order() -> None:
    def run_of(first: float, second: float) -> Trace:
        return trace_of([exchange(0, "GET /ping/us", first, 204), exchange(0.1, "GET /ping/eu", second, 204)])

    assert compared(run_of(1, 2), run_of(2, 1))[0] is None


def test_machines_and_clients_of_a_server_are_independent() -> None:
    def run_of(first: float, second: float) -> Trace:
        clients = [event(0, "peer", "x", actor=name, session=name) for name in "ab"]
        return trace_of(
            [
                *clients,
                event(first, "state", "socket closed", "server", session="a", data={"machine": "socket"}),
                event(second, "state", "session closed", "server", session="a", data={"machine": "session"}),
                event(first, "channel", "stream_ended", "server", session="a", sender="server"),
                event(second, "channel", "error", "server", session="b", sender="server"),
            ]
        )

    assert compared(run_of(1, 2), run_of(2, 1))[0] is None


def test_different_order_on_one_track_is_a_difference() -> None:
    one, other = (trace_of([event(at, "fault", f"f{(at + n) % 2}") for at in (0, 1)]) for n in (0, 1))
    found, text = compared(one, other)
    assert found is not None
    assert (found.equal, found.first) == (0, (0, 0))
    assert text.endswith("both have the same steps, in a different order")


def test_slower_run_has_the_same_first_difference() -> None:
    def run_of(pace: float, last: str) -> Trace:
        names = ["a", "b", last]
        return trace_of([event(pace * at, "fault", name) for at, name in enumerate(names)])

    found, _ = compared(run_of(1, "x"), run_of(10, "y"))
    assert found is not None
    assert (found.equal, found.first) == (2, (2, 2))


def test_order_across_tracks_does_not_matter() -> None:
    def concurrent(first: float, second: float) -> Trace:
        return trace_of(
            [event(first, "fault", "x"), event(second, "state", "y"), event(second, "fault", "z", "server")]
        )

    assert compared(concurrent(1, 2), concurrent(2, 1))[0] is None


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"error": "status 503"},
        {"sender": "server"},
        {"actor": "client 2"},
        {"end": None},
        {"data": {"status": 500}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_essential_change_is_a_difference(change: dict[str, object]) -> None:
    one = replace(exchange(1, "GET /x", 2, 200), sender="client")
    other = replace(one, **change)  # type: ignore[arg-type]  # one field
    assert compared(trace_of([one]), trace_of([other]))[0] is not None


def test_outcomes_alone_are_a_difference() -> None:
    found, text = compared(failed_trace(), failed_trace(failure=None, outcome="passed"))
    assert found is not None
    assert text.splitlines()[2:] == [
        "the outcomes differ; equal steps: 28",
        "  A: failed call: AssertionError: expected a jump,\\ngot none",
        "  B: passed",
    ]


def test_chosen_lanes_alone_are_compared() -> None:
    one, other = (trace_of([event(0, "log", "INFO", data={}), event(1, "note", name)]) for name in "xy")
    assert compared(one, other)[0] is None
    assert compared(one, other, "log")[0] is None
    assert compared(one, other, "note")[0] is not None


def test_long_lists_are_shortened() -> None:
    _, text = compared(trace_of([event(n, "fault", f"f{n:02}x") for n in range(30)]), trace_of([]))
    assert "only in A (30):" in text
    assert text.endswith("  (and 10 more kinds)")


def test_terminal_codes_are_escaped() -> None:
    code = "\x1b[2J\n"
    _, text = compared(
        trace_of([event(0, "fault", code, error=code, actor=code, data={"do": code})], title=code, outcome="none"),
        trace_of([event(0, "fault", "x", session=OTHER_SESSION)]),
    )
    assert [letter for letter in text if not letter.isprintable() and letter != "\n"] == []


events = st.builds(
    event,
    st.integers(0, 5),
    st.sampled_from(["channel", "fault"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["client", "server"]),
)


@given(st.lists(events, max_size=8), st.lists(events, max_size=8))
def test_comparison_is_symmetric(first: list[TraceEvent], second: list[TraceEvent]) -> None:
    one, other = (trace_of(each) for each in (first, second))
    assert compared(one, one)[0] is None
    found, back = compared(one, other)[0], compared(other, one)[0]
    assert (found is None) is (back is None)
    if found is not None and back is not None:
        assert found.track == back.track
        assert found.first == back.first[::-1]
        assert found.only == back.only[::-1]


def test_one_step_and_a_failure_without_a_message() -> None:
    failure = replace(FAILURE, type="TimeoutError", message="")
    one = [event(1.0, "state", "session new -> open")]
    _, text = compared(trace_of(one, failure=failure), trace_of(one, failure=None, outcome="passed"))

    assert text.splitlines() == [
        "A: tests/test_cat.py::test_cat: failed, 1 step compared",
        "B: tests/test_cat.py::test_cat: passed, 1 step compared",
        "the outcomes differ; equal steps: 1",
        "  A: failed call: TimeoutError",
        "  B: passed",
    ]
