"""Conversion of journal entries to trace events."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.trace.events import LANES
from odyssey_mock.core.journal import KINDS, Entry, Journal, Kind
from odyssey_mock.journal_events import event_of


def recorded(kind: Kind, name: str, **data: Any) -> Entry:
    return Journal(lambda: 1000.0, 10).record(kind, name, data, account="a", session="s", stream="v")


def test_event_has_places_and_times_of_its_entry() -> None:
    event = event_of(recorded("channel", "update", message={"prompt": "Pet"}, **{"from": "client"}))

    assert (event.session, event.stream, event.sender) == ("s", "v", "client")
    assert event.data["server_time"] == 1000.0
    assert event.data["message"] == {"prompt": "Pet"}


@pytest.mark.parametrize(
    ("entry", "lane", "name"),
    [
        (recorded("rest", "POST /auth/token", status=200), "http", "POST /auth/token"),
        (recorded("signaling", "offer", message={"type": "offer", "sdp": "v=0"}), "sdp", "offer"),
        (recorded("signaling", "ice_candidate", message={}), "sdp", "ice_candidate"),
        (recorded("signaling", "keepalive", message={}), "signaling", "keepalive"),
        (recorded("state", "session", **{"from": "waiting", "to": "held"}), "state", "session waiting -> held"),
        (recorded("state", "socket", to="open"), "state", "socket open"),
        (recorded("telemetry", "connected"), "note", "connected"),
        (recorded("deadline", "session: inactive", due=1.0), "deadline", "session: inactive"),
    ],
    ids=lambda value: value.name if isinstance(value, Entry) else None,
)
def test_lane_and_name_depend_on_the_kind(entry: Entry, lane: str, name: str) -> None:
    event = event_of(entry)

    assert (event.lane, event.name) == (lane, name)


def test_description_is_in_the_data() -> None:
    event = event_of(recorded("signaling", "offer", message={"type": "offer", "sdp": "v=0"}, **{"from": "server"}))

    assert event.data["sdp"] == "v=0"
    assert event.sender == "server"


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (recorded("rest", "POST /x", status=204), None),
        (recorded("rest", "POST /x", status=503, why="no streamer is free"), "status 503: no streamer is free"),
        (recorded("rest", "POST /x", status=None), "no response"),
        (recorded("state", "session", event="peer_lost", to="held"), "peer lost"),
        (recorded("state", "session", event="client_left", to="closed"), None),
        (recorded("channel", "interactive_stream_error", message={"reason": "moderation"}), "moderation"),
        (recorded("signaling", "error", message={"message": "Session expired"}), "Session expired"),
        (recorded("fault", "channel.interact", do="drop", why="the fault fired"), None),
        (recorded("note", "message refused", why="no JSON"), "message refused: no JSON"),
        (recorded("note", "settings changed"), None),
    ],
    ids=lambda value: value.encoded if isinstance(value, Entry) else None,
)
def test_entry_about_a_failure_has_an_error(entry: Entry, error: str | None) -> None:
    assert event_of(entry).error == error


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["from", "to", "message", "status", "event", "why", "request", "response"]) | st.text(max_size=5)


@given(kind=st.sampled_from(KINDS), name=st.text(max_size=20), data=st.dictionaries(KEYS, JSON_VALUES, max_size=6))
def test_any_entry_becomes_an_event(kind: Kind, name: str, data: dict[str, Any]) -> None:
    event = event_of(Journal(lambda: 0.0, 10).record(kind, name, data))

    assert event.lane in LANES
    assert event.name or not name
    assert event.sender in {None, "client", "server"}
    assert event.error is None or len(event.error) <= 200


def test_json_is_that_of_a_trace_file() -> None:
    entry = recorded("channel", "update", message={"prompt": "Pet"}, **{"from": "client"})

    assert event_of(entry).to_json(7, 1.25) == {
        "i": 7,
        "t": 1.25,
        "lane": "channel",
        "side": "server",
        "name": "update",
        "session": "s",
        "stream": "v",
        "from": "client",
        "data": {"message": {"prompt": "Pet"}, "from": "client", "server_time": 1000.0, "index": 0},
    }
