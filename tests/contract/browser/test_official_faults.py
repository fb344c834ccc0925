"""Tests of the effects of REST, signaling and peer faults on the official JavaScript client.

The tests describe what the client does, even where it hangs. They do not judge whether this is correct.
"""

import re
from collections.abc import Mapping

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.core.strict_json import JSON
from tests.contract.browser.official_client import PENDING, OfficialClient, Outcome

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.odyssey(clock="manual", portrait_size=(176, 320), landscape_size=(320, 176)),
]

SOON = 1.0
"""Seconds on the mock's clock after which a fault acts, so that the client can connect first."""

USED_UP: Mapping[str, JSON] = {
    "error": "MONTHLY_LIMIT_REACHED",
    "message": "10 of 10 hours are used up",
    "action": "Wait until the first of the month",
    "details": {"used_hours": 10, "limit_hours": 10, "reset_date": "2026-02-01"},
}

NO_STREAMER = "Streamer not available. Please ensure the streamer is running."
STREAMER_GONE = "Streamer has disconnected."
TOO_LONG = "Connection exceeded maximum allowed duration."
CUT = "Disconnected from signaling server"
"""The official client's error messages: three for errors that the server reports, one for a closed signaling socket."""


# Before a session exists


@pytest.mark.parametrize(
    ("status", "detail", "message"),
    [
        (401, "Invalid API key", r"Invalid API key"),
        (403, "API key access denied: payment overdue", r"API key access denied: payment overdue"),
        (422, [{"loc": ["body", "api_key"], "msg": "too short", "type": "string"}], r"Invalid API key format.*"),
        (503, "Try again later", r"Authentication failed: 503 .*"),
    ],
)
async def test_rejected_access_token_fails_connect(
    official: OfficialClient, mock: MockOdyssey, status: int, detail: JSON, message: str
) -> None:
    mock.faults.add({"at": "rest.auth.token", "do": "status", "status": status, "detail": detail})
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert re.fullmatch(message, error["message"])
    assert await official.told() == [
        ["status", "authenticating"],
        ["status", "failed"],
        ["error", error["message"], True],
    ]


@pytest.mark.parametrize("do", ["reset", "truncate"])
async def test_cut_connection_is_reported_as_failed_fetch(official: OfficialClient, mock: MockOdyssey, do: str) -> None:
    mock.faults.add({"at": "rest.auth.token", "do": do})
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert error["message"] == "Failed to fetch"
    assert await official.events("error") == [["Failed to fetch", True]]


@pytest.mark.parametrize("at", ["rest.auth.token", "rest.regions.list", "rest.sessions.request"])
async def test_invalid_json_is_reported_with_parser_message(
    official: OfficialClient, mock: MockOdyssey, at: str
) -> None:
    mock.faults.add({"at": at, "do": "not_json", "body": "<html>Bad gateway</html>"})
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert "is not valid JSON" in error["message"]


async def test_session_request_is_retried_until_streamer_is_free(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="rest.sessions.request", do="status", status=503, times=2)
    connection = await official.connect(mock.api_key)
    assert connection["isConnected"]
    asked = mock.journal.find("rest", "POST /sessions/request")
    assert [entry.data["status"] for entry in asked] == [503, 503, 200]
    assert await official.events("error") == []


async def test_usage_error_keeps_code_and_details(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(
        {"at": "rest.sessions.request", "do": "status", "status": 429, "detail": USED_UP, "retry_after": 60}
    )
    error = await official.connect_error(mock.api_key)
    assert error == {"message": USED_UP["message"], "code": USED_UP["error"], "details": USED_UP["details"]}
    assert await official.events("error") == [[USED_UP["message"], True]]


async def test_session_response_without_fields_fails_connect(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="rest.sessions.request", do="wrong_shape")
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert error["message"] == "Invalid API response: missing session_id or signalling_url"


async def test_missing_session_fails_the_token_request(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="rest.sessions.token", do="status", status=404, detail="Session not found")
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert error["message"].startswith("Session not found")
    assert await official.events("status") == [["authenticating"], ["failed"]]


# Optional requests


@pytest.mark.parametrize("status", [500, None])
@pytest.mark.parametrize(
    ("at", "route"),
    [
        ("rest.regions.list", "GET /regions"),
        ("rest.regions.ping", "GET /ping/{region}"),
        ("signaling.config", "GET /signaling/{streamer_id}/config"),
    ],
)
async def test_failed_optional_requests_do_not_prevent_connecting(
    official: OfficialClient, mock: MockOdyssey, at: str, route: str, status: int | None
) -> None:
    mock.faults.add({"at": at, **({"do": "reset"} if status is None else {"do": "status", "status": status})})
    connection = await official.connect(mock.api_key)
    assert connection["isConnected"]
    assert await official.events("error") == []
    assert {entry.data["status"] for entry in mock.journal.find("rest", route)} == {status}


@pytest.mark.parametrize(
    ("at", "name"),
    [
        ("rest.regions.list", "GET /regions"),
        ("rest.sessions.token", "POST /sessions/token"),
        ("signaling.config", "GET /signaling/{streamer_id}/config"),
        ("signaling.offer", "offer"),
    ],
)
async def test_client_waits_for_delayed_responses(
    official: OfficialClient, mock: MockOdyssey, at: str, name: str
) -> None:
    mock.faults.add({"at": at, "do": "delay", "seconds": 20})
    connecting = await official.begin("connect", mock.api_key)
    fault = await mock.wait_for("fault", at)
    assert await connecting.outcome() == PENDING
    await mock.advance(20)
    assert (await connecting.settled()).state == "resolved"
    assert mock.expect(name).time - fault.time == 20


# Signaling, before the connection is established


async def test_rejected_upgrade_is_retried(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="signaling.upgrade", do="refuse", status=403, times=1)
    connection = await official.connect(mock.api_key)
    assert connection["isConnected"]
    assert connection["sessionId"] in mock.sessions
    statuses = await official.events("status")
    assert statuses.count(["connecting"]) == 3, (
        "expected the status `connecting` 3 times, for the session, the rejected socket and the second socket, "
        f"got {statuses}"
    )


@pytest.mark.parametrize(
    ("reason", "message"), [("streamer_not_available", NO_STREAMER), ("streamer_disconnected", STREAMER_GONE)]
)
async def test_error_instead_of_offer_is_fatal(
    official: OfficialClient, mock: MockOdyssey, reason: str, message: str
) -> None:
    mock.faults.add(at="signaling.offer", do="error", reason=reason)
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert error["message"] == message
    assert (await official.told())[-3:] == [["status", "failed"], ["error", message, True], ["disconnected"]]


async def test_close_1000_before_offer_leaves_connect_hanging(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="signaling.offer", do="close", code=1000)
    connecting = await official.begin("connect", mock.api_key)
    await official.reached("disconnected")
    assert await connecting.outcome() == PENDING, "expected connect() to stay pending, but its promise settled"


async def test_close_1011_before_offer_leaves_connect_hanging(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="signaling.offer", do="close", code=1011)
    connecting = await official.begin("connect", mock.api_key)
    await mock.wait_for("state", "session", event="socket_lost")
    assert await official.call("listSimulations", {}), "expected listSimulations() to still work, got an empty result"
    assert await connecting.outcome() == PENDING, "expected connect() to stay pending, but its promise settled"
    assert await official.events("error") == []


@pytest.mark.parametrize(("do", "thrown"), [("broken_sdp", "Failed to parse SessionDescription"), ("not_json", "JSON")])
async def test_invalid_offer_is_an_uncaught_error(
    official: OfficialClient, mock: MockOdyssey, do: str, thrown: str
) -> None:
    mock.faults.add({"at": "signaling.offer", "do": do})
    connecting = await official.begin("connect", mock.api_key)
    assert thrown in await official.uncaught()
    assert await connecting.outcome() == PENDING, "expected connect() to stay pending, but its promise settled"


# The peer


async def test_wrong_certificate_fails_the_dtls_handshake(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="peer.dtls", do="fail")
    connecting = await official.begin("connect", mock.api_key)
    outcome = await connecting.settled()
    assert outcome.state == "rejected"
    assert outcome.value in {"Connection failed", NO_STREAMER}, (
        "expected the message of the client or of the mock for a failed peer connection, "
        f"'Connection failed' or {NO_STREAMER!r}, got {outcome.value!r}"
    )
    await mock.wait_for("state", "session", event="peer_lost")
    mock.expect("answer", kind="signaling")


async def test_unopened_data_channels_leave_connect_hanging(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="peer.channels", do="never")
    connecting = await official.begin("connect", mock.api_key)
    await official.reached("connected")
    await official.decoded(frames=10)
    assert await connecting.outcome() == PENDING, (
        "expected connect() to stay pending without data channels, but its promise settled"
    )
    assert await official.events("connected") == []


@pytest.mark.parametrize("do", ["close", "close_channels"])
async def test_closed_peer_is_noticed_by_next_call_only(official: OfficialClient, mock: MockOdyssey, do: str) -> None:
    mock.faults.add({"at": "peer.connected", "do": do, "seconds": SOON})
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    await mock.advance(SOON)
    await official.channels_closed()
    assert await official.refusal("interact", {"prompt": "Pet it"}) == "Client to streamer channel not open"
    assert await official.told(after="stream_started") == []


# Signaling, after the connection is established


async def test_lost_socket_ends_the_connection(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="signaling.connected", do="close", code=1011, seconds=SOON)
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    interacting = await official.begin("interact", "[stall] Pet it")
    await official.frame_showing(1)
    await mock.advance(SOON)
    await official.happened("disconnected")
    assert await interacting.settled() == Outcome("rejected", "Connection closed")
    assert await official.told(after="stream_started") == [
        ["status", "failed"],
        ["error", CUT, True],
        ["disconnected"],
    ]


async def test_close_1000_changes_only_the_status(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="signaling.connected", do="close", code=1000, seconds=SOON)
    await official.connect(mock.api_key)
    await mock.advance(SOON)
    await official.reached("disconnected")
    refusal = await official.refusal("startStream", {"prompt": "A cat"})
    assert refusal is not None
    assert "disconnected" in refusal
    assert await official.told_since_connected() == [["status", "disconnected"]]


@pytest.mark.parametrize(
    ("reason", "message"), [("duration_limit_reached", TOO_LONG), ("streamer_disconnected", STREAMER_GONE)]
)
async def test_error_message_on_socket_is_fatal(
    official: OfficialClient, mock: MockOdyssey, reason: str, message: str
) -> None:
    mock.faults.add(at="signaling.connected", do="error", reason=reason, seconds=SOON)
    await official.connect(mock.api_key)
    await mock.advance(SOON)
    await official.happened("disconnected")
    told = await official.told_since_connected()
    assert told[:3] == [["status", "failed"], ["error", message, True], ["disconnected"]]
    mock.expect("error", kind="signaling", message={"type": "error", "reason": reason})


@pytest.mark.parametrize("do", ["not_json", "binary"])
async def test_invalid_socket_message_is_an_uncaught_error(
    official: OfficialClient, mock: MockOdyssey, do: str
) -> None:
    mock.faults.add({"at": "signaling.connected", "do": do, "seconds": SOON})
    await official.connect(mock.api_key)
    await mock.advance(SOON)
    assert "JSON" in await official.uncaught()
    assert await official.start_stream("A cat") in mock.streams, (
        "expected startStream() to start a stream over the same connection, got an id that no stream has"
    )
    assert await official.events("error") == []


# The whole server


async def test_client_can_connect_after_server_was_unreachable(official: OfficialClient, mock: MockOdyssey) -> None:
    first = await official.connect(mock.api_key)
    mock.faults.add(at="server", do="away", seconds=5, times=1)
    assert await official.refusal("listSimulations", {}) == "Failed to fetch"
    await official.happened("disconnected")
    assert await official.told_since_connected() == [["status", "failed"], ["error", CUT, True], ["disconnected"]]
    again = await official.refusal("listSimulations", {})
    assert again == "Failed to fetch", (
        f"expected a second request to fail with 'Failed to fetch' while the server is unreachable, got {again!r}"
    )

    await mock.advance(5)
    assert (await official.call("listSimulations", {}))["jobs"] == []
    second = await official.connect(mock.api_key)
    assert second["isConnected"]
    assert second["sessionId"] != first["sessionId"]
    assert first["sessionId"] in mock.sessions, (
        f"expected the mock to keep the first session {first['sessionId']} during its grace period, "
        f"got only {list(mock.sessions)}"
    )
    await official.frame_showing(None)
