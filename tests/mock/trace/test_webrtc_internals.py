"""Tests of exports as dumps of webrtc-internals. tests/contract/browser compares them with dumps of Chromium."""

import json
from typing import Any

from odyssey_client.trace import TraceEvent
from odyssey_mock.trace.webrtc_internals import STEPS, webrtc_internals_dump
from tests.support.traces import (
    CANDIDATE,
    OTHER_SESSION,
    SDP,
    SESSION,
    event,
    failed_trace,
    message,
    statistics,
    trace_of,
)


def connections(*events: TraceEvent) -> dict[str, Any]:
    dump: Any = webrtc_internals_dump(trace_of(list(events)))
    found: dict[str, Any] = dump["PeerConnections"]
    return found


def test_update_log_has_descriptions_candidates_and_states() -> None:
    (own,) = [
        each for each in connections(*failed_trace().events).values() if each["url"].startswith("client 1, session")
    ]
    assert [(each["type"], json.loads(each["value"])) for each in own["updateLog"]] == [
        ("setRemoteDescription", {"type": "offer", "sdp": SDP}),
        ("setLocalDescription", {"type": "answer", "sdp": SDP}),
        ("onicecandidate", {"sdpMid": "0", "sdpMLineIndex": None, "candidate": CANDIDATE}),
        ("oniceconnectionstatechange", "checking"),
        ("oniceconnectionstatechange", "completed"),
    ]
    first = own["updateLog"][0]
    assert (first["timestamp"], first["time"]) == (1_770_000_000_215.0, "2026-02-02T02:40:00.215Z")


def test_statistics_are_series_of_one_value_per_second() -> None:
    (own,) = connections(*[statistics(0.5 + n / 2, n) for n in range(7)]).values()
    series = own["stats"]["in1-framesDecoded"]
    assert series == {
        "startTime": "2026-02-02T02:40:00.500Z",
        "endTime": "2026-02-02T02:40:03.500Z",
        "statsType": "inbound-rtp",
        "values": "[0, 2, 4, 6]",
    }
    assert json.loads(own["stats"]["in1-timestamp"]["values"])[:2] == [1_770_000_000_500.0, 1_770_000_001_500.0]
    assert json.loads(own["stats"]["in1-kind"]["values"]) == ["video"] * 4
    assert "in1-id" not in own["stats"]


def test_missing_samples_repeat_the_last_value() -> None:
    (own,) = connections(statistics(0, 1), statistics(3, 2)).values()
    assert own["stats"]["in1-framesDecoded"]["values"] == "[1, 1, 1, 2]"


def test_report_that_returns_keeps_its_series_complete() -> None:
    without = event(1, "stats", "stats", session=SESSION, data={"reports": {"x": {"type": "codec"}, "bad": 1}})
    (own,) = connections(statistics(0, 1), without, statistics(2, 3)).values()
    assert own["stats"]["in1-framesDecoded"]["values"] == "[1, 1, 3]"
    assert own["stats"]["x-type"]["values"] == '["codec"]'


def test_sessions_of_one_client_are_different_connections() -> None:
    found = connections(
        event(1, "peer", "ice checking", data={"transport": "ice", "state": "checking"}),
        message(2, "sdp", "offer", "server", "client"),
        event(3, "peer", "ice checking", session=OTHER_SESSION, data={"transport": "ice", "state": "checking"}),
        event(4, "peer", "ice closed", data={"transport": "ice", "state": "closed"}),
    )
    assert {name: len(each["updateLog"]) for name, each in found.items()} == {"1-1": 2, "1-2": 2}
    assert found["1-2"]["url"] == f"client 1, session {OTHER_SESSION}"


def test_both_ends_of_a_connection_are_dumped() -> None:
    found = connections(
        message(1, "sdp", "ice_candidate", "client", "client", candidate=CANDIDATE, sdpMid="0", sdpMLineIndex=0),
        message(1, "sdp", "ice_candidate", "client", "server", candidate={"candidate": CANDIDATE, "sdpMid": "0"}),
        message(2, "sdp", "answer", "client", "server", sdp=SDP),
    )
    assert {
        each["url"].partition(",")[0]: [entry["type"] for entry in each["updateLog"]] for each in found.values()
    } == {
        "client 1": ["onicecandidate"],
        "server": ["addIceCandidate", "setRemoteDescription"],
    }
    values = [json.loads(each["updateLog"][0]["value"]) for each in found.values()]
    assert [value["candidate"] for value in values] == [CANDIDATE] * 2
    assert json.loads(found["2-1"]["updateLog"][1]["value"])["sdp"] == SDP


def test_other_states_keep_their_names() -> None:
    (own,) = connections(
        event(1, "peer", "dtls connected", data={"transport": "dtls", "state": "connected"}),
        event(2, "peer", "channel a open"),
    ).values()
    assert [(each["type"], each["value"]) for each in own["updateLog"]] == [
        ("ondtlsstatechange", '"connected"'),
        ("channel a open", ""),
    ]


def test_impossible_times_make_no_endless_series() -> None:
    (own,) = connections(statistics(0, 1), statistics(4e6, 2)).values()
    assert len(json.loads(own["stats"]["in1-framesDecoded"]["values"])) == STEPS


def test_trace_without_peers_has_no_connections() -> None:
    assert webrtc_internals_dump(trace_of([])) == {
        "getUserMedia": [],
        "PeerConnections": {},
        "UserAgent": "odyssey-testkit (odyssey_client 0.1.0, python 3.13.0)",
    }
