"""Tests that `Conformance` accepts journals that match the contract, and describes every kind of deviation."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import pytest

from odyssey_mock.core.journal import Journal, Kind
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.verification.conformance import Conformance, Side
from odyssey_mock.verification.contract_documents import Contract

CONFORMANCE = Conformance()

SESSION: Mapping[str, JSON] = {
    "session_id": "s1",
    "signalling_url": "ws://127.0.0.1:8400/signaling/streamer-1",
    "streamer_id": "streamer-1",
    "model": "odyssey-mock",
    "region": "local",
    "capabilities": {"image_to_video": True},
}

UNAUTHORIZED: JSON = {"detail": "Not authenticated"}


def journal_of(kind: Kind, name: str, data: Mapping[str, JSON]) -> Journal:
    journal = Journal(lambda: 0.0, 100)
    record(journal, kind, name, data)
    return journal


def record(journal: Journal, kind: Kind, name: str, data: Mapping[str, Any]) -> None:  # Any: `from` is a Python keyword
    journal.record(kind, name, **data)


def rest(call: str, status: int | None, response: JSON = None, *, request: JSON = None) -> Journal:
    method, url = call.split()
    path, _, query = url.partition("?")
    data: dict[str, JSON] = {
        "method": method,
        "route": path,
        "path": path,
        "query": dict(parse_qsl(query)),
        "request": request,
    }
    return journal_of("rest", call, {**data, "status": status, "response": response})


def said(side: str, message: JSON) -> Journal:
    return journal_of("signaling", "message", {"from": side, "message": message})


def said_on_channel(side: str, channel: str, message: JSON) -> Journal:
    return journal_of("channel", "message", {"from": side, "channel": channel, "message": message})


def deviations(journal: Journal) -> list[tuple[Side, str]]:
    found = [each for entry in journal.entries for each in CONFORMANCE.check(entry)]
    return [(each.side, str(each.violation)) for each in found]


GOOD = {
    "a request and its response": rest(
        "POST /sessions/request", 200, SESSION, request={"region_latencies": {"a": 3.5}}
    ),
    "secrets that the journal masked": rest(
        "POST /auth/token",
        200,
        {"access_token": "a-real-token", "token_type": "bearer", "expires_in": 3600},
        request={"api_key": "ody_a_real_key"},
    ),
    "a session token that the journal masked": rest(
        "POST /sessions/token", 200, {"session_token": "a.b.c", "expires_in": 600}, request={"session_id": "s1"}
    ),
    "a rejected request": rest("GET /regions", 401, UNAUTHORIZED),
    "a request whose client did not wait for the response": rest("POST /sessions/request", None, request={}),
    "a rejected invalid request": rest(
        "POST /sessions/request",
        422,
        {"detail": [{"loc": ["body"], "msg": "Input should be an object", "type": "model_type"}]},
        request=[],
    ),
    "a usage error": rest(
        "POST /sessions/request",
        429,
        {
            "detail": {
                "error": "CONCURRENT_LIMIT_REACHED",
                "message": "Maximum concurrent sessions (5) reached",
                "action": "Close one",
                "details": {"active_count": 5, "limit": 5},
            }
        },
        request={},
    ),
    "a usage error in the older form": rest(
        "POST /sessions/request", 429, {"detail": "Maximum concurrent sessions (5) reached"}, request={}
    ),
    "parameters": rest(
        "GET /simulation-jobs?status=completed&active=false&limit=100&offset=0",
        200,
        {"jobs": [], "total": 0, "limit": 100, "offset": 0},
    ),
    "a URL that the service returned": rest(
        "GET /signaling/streamer-1/config", 200, {"iceServers": [{"urls": "stun:127.0.0.1:3478"}]}
    ),
    "a ping with any response": rest("GET /ping/us-west", 204),
    "a playlist": rest("GET /broadcast/str_01/hls/index.m3u8?token=secret", 200),
    "an SDP body": rest("POST /broadcast/str_01/whep?token=secret", 201),
    "a preflight of an unknown route": rest("OPTIONS /nowhere", 200),
    "the mock's own routes": rest("GET /_mock/state", 500, "anything"),
    "the mock's own description": rest("GET /openapi.json", 200, {}),
    "telemetry with any success": rest("POST /telemetry", 202, {"accepted": 1}, request={"events": [{"name": "x"}]}),
    "a message": said("server", {"type": "error", "reason": "streamer_not_available"}),
    "a start on the socket": said("client", {"type": "interactive_stream_start", "prompt": "A cat"}),
    "a message on a data channel": said_on_channel("client", "clientToStreamer", {"type": "update", "prompt": "x"}),
    "a masked spectator token": said_on_channel(
        "server",
        "streamerToClient",
        {
            "type": "broadcast_ready",
            "webrtc_url": "http://127.0.0.1:8400/broadcast/str_01",
            "spectator_token": "a-real-token",
            "broadcast_url": None,
        },
    ),
    "entries of other kinds": journal_of("state", "session", {"from": "new", "to": "offered"}),
}


@pytest.mark.parametrize("journal", GOOD.values(), ids=GOOD)
def test_conforming_traffic_passes(journal: Journal) -> None:
    assert deviations(journal) == []
    CONFORMANCE.check_journal(journal.entries)


PUT = "PUT /broadcast/str_01/whep"

BAD: Mapping[str, tuple[Journal, list[tuple[Side, str]]]] = {
    "a method unknown to WHEP, rejected with a WHEP error": (
        rest(PUT, 405, {"status": "error", "error": "expected one of OPTIONS, POST, got PUT"}),
        [("client", f"$: expected one of its methods: OPTIONS, POST; got {PUT}")],
    ),
    "a method unknown to WHEP, rejected with a REST error": (
        rest(PUT, 405, {"detail": "Method Not Allowed"}),
        [
            ("client", f"$: expected one of its methods: OPTIONS, POST; got {PUT}"),
            ("server", "$: expected a field `status`; got the fields detail"),
            ("server", "$: expected a field `error`; got the fields detail"),
            ("server", "$: expected only the fields status, error; got also detail"),
        ],
    ),
    "a value of another type in a response": (
        rest("POST /sessions/request", 200, {**SESSION, "capabilities": {"image_to_video": "yes"}}, request={}),
        [("server", '$.capabilities.image_to_video: expected JSON type boolean; got "yes"')],
    ),
    "a field missing in a response": (
        rest("POST /sessions/token", 200, {"session_token": "a"}, request={"session_id": "s1"}),
        [("server", "$: expected a field `expires_in`; got the fields session_token")],
    ),
    "an unknown field in a response": (
        rest("GET /regions", 200, {"regions": [], "cursor": 1}),
        [("server", "$: expected only the fields regions; got also cursor")],
    ),
    "a response without a body": (
        rest("GET /regions", 200),
        [("server", "$: expected JSON type object; got null")],
    ),
    "a status that the route does not have": (
        rest("POST /sessions/request", 500, {"detail": "Internal Server Error"}, request={}),
        [
            (
                "server",
                (
                    "$: expected a status of 200, 401, 408, 413, 422, 429, 503; "
                    "got 500 with {'detail': 'Internal Server Error'}"
                ),
            )
        ],
    ),
    "an error with an unknown field": (
        rest("GET /regions", 401, {"error": "no token"}),
        [
            ("server", "$: expected only the fields detail; got also error"),
            ("server", "$: expected a field `detail`; got the fields error"),
        ],
    ),
    "a usage error with the details of another usage error": (
        rest(
            "POST /sessions/request",
            429,
            {"detail": {"error": "RATE_LIMITED", "message": "m", "action": "a", "details": {"limit": 5}}},
            request={},
        ),
        [
            ("server", "$.detail.details: expected a field `retry_after_seconds`; got the fields limit"),
            ("server", "$.detail.details: expected only the fields retry_after_seconds; got also limit"),
        ],
    ),
    "a response body where none is allowed": (
        rest("GET /signaling/streamer-1/client/s1?token=secret", 403, UNAUTHORIZED),
        [("server", "$: expected no body; got {'detail': 'Not authenticated'}")],
    ),
    "a preflight that fails": (
        rest("OPTIONS /sessions/request", 405, {"detail": "Method Not Allowed"}),
        [("server", "$: expected a preflight that passes (2xx); got 405")],
    ),
    "an accepted request with an unknown field": (
        rest(
            "POST /sessions/token", 200, {"session_token": "a", "expires_in": 1}, request={"session_id": "s1", "x": 1}
        ),
        [("client", "$: expected only the fields session_id; got also x")],
    ),
    "an accepted request without a body": (
        rest("POST /sessions/request", 200, SESSION),
        [("client", "$: expected JSON type object; got null")],
    ),
    "a body on a route that takes none": (
        rest("GET /regions", 200, {"regions": []}, request={}),
        [("client", "$: expected no body; got {}")],
    ),
    "a script with two sources": (
        rest(
            "POST /simulation-jobs",
            200,
            {"job_id": "j", "status": "pending", "priority": "p", "created_at": "now", "estimated_wait_minutes": None},
            request={"script_url": "https://a.example/s", "scripts": 1, "portrait": True, "output_video": True},
        ),
        [
            ("client", "$.scripts: expected JSON type array; got 1"),
            (
                "client",
                (
                    "$: expected exactly one of the fields script, scripts, script_url; "
                    "got the fields script_url, scripts, portrait, output_video"
                ),
            ),
            ("server", '$.created_at: expected text in the format "date-time"; got "now"'),
        ],
    ),
    "a parameter out of bounds": (
        rest("GET /stream-recordings?limit=101", 200, {"recordings": [], "total": 0, "limit": 100, "offset": 0}),
        [("client", "query limit: expected at most 100; got 101")],
    ),
    "a parameter that is not a number": (
        rest("GET /stream-recordings?limit=all", 200, {"recordings": [], "total": 0, "limit": 100, "offset": 0}),
        [("client", 'query limit: expected JSON type integer; got "all"')],
    ),
    "a parameter that the route does not have": (
        rest("GET /stream-recordings?page=2", 200, {"recordings": [], "total": 0, "limit": 50, "offset": 0}),
        [("client", "query page: expected a parameter of the route (limit, offset); got '2'")],
    ),
    "an unknown route": (
        rest("GET /session", 404, {"detail": "Not Found"}),
        [("client", "$: expected a route of openapi.json; got GET /session")],
    ),
    "an unknown method": (
        rest("PUT /regions", 405, {"detail": "Method Not Allowed"}),
        [("client", "$: expected one of its methods: GET; got PUT /regions")],
    ),
    "a successful response of an unknown route": (
        rest("GET /session", 200, {}),
        [
            ("client", "$: expected a route of openapi.json; got GET /session"),
            ("server", "$: expected status 404 or 405, as the route is unknown; got 200"),
        ],
    ),
    "a message of unknown type": (
        said("server", {"type": "hello"}),
        [("server", "$.type: expected one of offer, ice_candidate, error; got 'hello'")],
    ),
    "a message whose type is not text": (
        said("server", {"type": ["offer"]}),
        [("server", "$.type: expected one of offer, ice_candidate, error; got ['offer']")],
    ),
    "a message that only the other side may send": (
        said("client", {"type": "offer", "sdp": "v=0\r\n"}),
        [
            (
                "client",
                (
                    "$.type: expected one of answer, ice_candidate, keepalive, interactive_stream_start, "
                    "client_disconnecting; got 'offer'"
                ),
            )
        ],
    ),
    "a message that is not an object": (
        said("client", ["keepalive"]),
        [("client", "$: expected a JSON object with a `type`; got ['keepalive']")],
    ),
    "a message with an unknown field": (
        said("server", {"type": "error", "reason": "x", "message": "y"}),
        [("server", "$: expected only the fields type, reason; got also message")],
    ),
    "a message of the other document with an invalid field": (
        said("client", {"type": "interactive_stream_start", "prompt": "x", "portrait": 1}),
        [("client", "$.portrait: expected JSON type boolean; got 1")],
    ),
    "a message on the wrong data channel": (
        said_on_channel("server", "clientToStreamer", {"type": "stream_ended"}),
        [("server", "$: expected the channel streamerToClient; got clientToStreamer")],
    ),
    "a message of the socket on a data channel": (
        said_on_channel("client", "clientToStreamer", {"type": "keepalive"}),
        [
            (
                "client",
                "$.type: expected one of interactive_stream_start, update, interactive_stream_end; got 'keepalive'",
            )
        ],
    ),
}


@pytest.mark.parametrize(("journal", "expected"), BAD.values(), ids=BAD)
def test_deviations_are_found_and_described(journal: Journal, expected: list[tuple[Side, str]]) -> None:
    assert sorted(deviations(journal)) == sorted(expected)


def test_report_lists_every_deviation_with_its_entry() -> None:
    journal = rest("GET /regions", 200, {"regions": [{"id": "a"}]})
    record(journal, "signaling", "hello", {"from": "client", "message": {"type": "hello"}})
    with pytest.raises(AssertionError) as caught:
        CONFORMANCE.check_journal(journal.entries)
    heading, first, second, *_ = str(caught.value).splitlines()
    assert heading == "deviations from the contract in odyssey_mock/contract (2):"
    assert first == (
        "  #0 server: GET /regions -> 200, response at $.regions[0]: expected a field `ping_url`; got the fields id"
    )
    assert second.startswith("  #1 client: signaling message from the client at $.type: expected one of answer, ")


def test_server_is_checked_when_client_is_excused() -> None:
    journal = said("client", {"type": "hello"})
    CONFORMANCE.check_journal(journal.entries, client=False)
    record(journal, "signaling", "hello", {"from": "server", "message": {"type": "hello"}})
    with pytest.raises(AssertionError, match=r"contract \(1\)"):
        CONFORMANCE.check_journal(journal.entries, client=False)


def test_custom_contract_is_used() -> None:
    documents: dict[str, Any] = {**Contract.load().documents}
    documents["openapi"] = {**documents["openapi"], "paths": {}}
    (entry,) = rest("GET /regions", 200, {"regions": []}).entries
    assert CONFORMANCE.check(entry) == []
    assert [each.side for each in Conformance(Contract(documents)).check(entry)] == ["client", "server"]
