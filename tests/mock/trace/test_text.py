"""Tests of traces as text: the diagram, the failure, the pending calls, and the selection of events."""

import re
from dataclasses import replace

import pytest

from odyssey_client.trace import Failure, SourceFile, Trace
from odyssey_mock.trace.text import Selection, SessionFilterError, trace_text
from tests.support.traces import FAILURE, LINE, OTHER_SESSION, call, event, exchange, failed_trace, message, trace_of


def text_of(trace: Trace, width: int = 100, **selection: object) -> str:
    return "\n".join(trace_text(trace, Selection(**selection), width=width))  # type: ignore[arg-type]  # any field


def names_in(text: str) -> set[str]:
    """Return the names of the columns."""
    (heads,) = re.findall(r"^ +seconds  (.*)$", text, re.MULTILINE)
    return set(re.split(r" {2,}", heads))


def test_failed_test_has_the_pinned_text() -> None:
    # fmt: off
    assert text_of(failed_trace(), last=1.3) == (
        "tests/test_cat.py::test_cat: failed, 3.200 s, 30 events\n"
        "recorded by: odyssey_client 0.1.0, python 3.13.0\n"
        "\n"
        "   seconds  test          client 1      client 2      server\n"
        "     2.000  |             |             | * connect_to_stream ...\n"
        "     2.100  |             |             |------------>| GET /broadcast/x\n"
        "     2.300  |             |             |<------------| status 404\n"
        "     2.400  |             |             | * connect_to_stream ! NotFoundError: no such stream\n"
        '     2.500  |             | * interact ... (prompt="jump")\n'
        '     2.510  |             |-------------------------->| interact (prompt="jump")\n'
        "     2.600  |             | * deadline interact       |\n"
        '     2.700  |             |             |             | * note telemetry (event="frame")\n'
        "     3.200  | * call: done              |             |\n"
        "\n"
        "failure in call, at tests/test_cat.py:4 in test_cat:\n"
        "        2      await client.connect()\n"
        "        3\n"
        "  >     4      await client.interact('jump')\n"
        "        5      assert True\n"
        "  AssertionError: expected a jump,\n"
        "    got none\n"
        "\n"
        "pending when the recording ended:\n"
        "  client 1: interact, since 2.500 (0.700 s), waiting for the acknowledgment of interact, "
        "called at tests/test_cat.py:4 in test_cat"
    )
    # fmt: on


def test_message_of_both_sides_is_one_arrow() -> None:
    text = text_of(failed_trace())
    assert text.count(" join ") == 1
    assert text.count("POST /sessions/token") == 1
    assert text.count(" answer ") == 1


def test_message_of_the_server_alone_has_an_arrow() -> None:
    text = text_of(trace_of([message(0.1, "channel", "stream_started", "server", "server")]))
    assert names_in(text) == {"client", "server"}
    assert re.search(r"\|<-+ stream_started -+\|", text), text


def test_clock_moves_span_all_columns() -> None:
    assert re.search(r"0\.700  == clock moves \(from=0, to=60\) =+\n", text_of(failed_trace()))


def test_statistics_and_frames_are_drawn_on_request() -> None:
    assert "frame 0" not in text_of(failed_trace())
    assert "frame 0" in text_of(failed_trace(), lanes=["frame"])


def test_other_lanes_are_left_out() -> None:
    text = text_of(failed_trace(), lanes=["fault", "peer"])
    diagram = text.partition("failure in")[0]
    assert re.findall(r"\* (\w+ \w+)", diagram) == ["peer ice", "peer ice", "fault stream"]


def test_session_filter_keeps_events_of_no_session() -> None:
    text = text_of(failed_trace(), session="a0b1")
    assert "connect_to_stream" in text
    assert "setup" in text
    assert "interact" not in text.partition("failure in")[0]


@pytest.mark.parametrize(("beginning", "count"), [("zz", 0), ("", 2)])
def test_ambiguous_session_filter_is_rejected(beginning: str, count: int) -> None:
    with pytest.raises(SessionFilterError, match=f"with which {count} begin; sessions of the trace: 5b1c.*, a0b1"):
        text_of(
            trace_of([event(0, "peer", "x", session=each) for each in ("5b1c", "a0b1")]),
            session=beginning,
        )


def test_last_seconds_show_ends_of_longer_spans() -> None:
    text = text_of(trace_of([call(0.0, "connect", 3.0)]), last=1)
    assert "connect: done" in text
    assert "connect ..." not in text


def test_pending_exchange_is_listed() -> None:
    pending = exchange(1.0, "GET /slow", None, None, session=OTHER_SESSION)
    assert "\n  client 1: GET /slow, since 1.000 (2.200 s)" in text_of(trace_of([pending]))


def test_trace_without_events_and_failure_is_described() -> None:
    text = text_of(trace_of([], failure=None, outcome="none", title="a session"))
    assert text == "a session, 3.200 s, 0 events\nrecorded by: odyssey_client 0.1.0, python 3.13.0\n\nno events"


def test_facts_of_the_run_are_shown() -> None:
    text = text_of(failed_trace(seed=0, commit="abc", command="pytest -q", time="virtual", dropped={"stats": 2}))
    assert "failed, 3.200 virtual seconds" in text
    assert "\nseed: 0\ncommit: abc\ncommand: pytest -q\ndropped: 2 of stats\n" in text


def test_terminal_codes_and_markup_are_text() -> None:
    code = "\x1b[31m<b>\n\u202e\udc80"
    events = [
        call(0.1, code, None, actor=code, error=code, data={"arguments": {code: code}, "waiting_for": code}),
        message(0.2, "channel", code, "client", "client", prompt=code),
        exchange(0.3, code, 0.4, 200, error=code),
    ]
    failure = Failure(code, code, code, code, replace(LINE, file=code))
    trace = trace_of(events, title=code, recorded_by={code: code}, failure=failure, commit=code)
    hostile = Trace(trace.manifest, trace.events, [SourceFile(code, f"{code}\n" * 9)])
    text = text_of(hostile, width=200)
    unescaped = [letter for letter in text if not letter.isprintable() and letter != "\n"]
    assert unescaped == [], f"expected only printable characters, got {unescaped}"
    assert text.count("<b>") >= 10, text


def test_one_event_and_a_failure_without_a_message() -> None:
    failure = replace(FAILURE, type="TimeoutError", message="", source=None)
    lines = text_of(trace_of([event(1.0, "log", "INFO")], failure=failure)).splitlines()

    assert lines[0] == "tests/test_cat.py::test_cat: failed, 3.200 s, 1 event"
    assert lines[-1] == "  TimeoutError"
