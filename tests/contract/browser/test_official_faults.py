"""The mock's faults are real on the wire: what the official JavaScript client makes of them as it connects, and after.

What it does is measured, not demanded: where it hangs, the fault has still reached it.
"""

import re
from collections.abc import Mapping

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.core.strict_json import JSON
from tests.contract.browser.official_client import PENDING, OfficialClient, Outcome

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("browser"),
    pytest.mark.odyssey(clock="manual", portrait_size=(176, 320), landscape_size=(320, 176)),
]

SOON = 1.0
"""Seconds on the mock's clock until a fault that is to come once the client is connected."""

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
"""How the client puts what the socket said, or did."""


# Before there is a session


@pytest.mark.parametrize(
    ("status", "detail", "message"),
    [
        (401, "Invalid API key", r"Invalid API key"),
        (403, "API key access denied: payment overdue", r"API key access denied: payment overdue"),
        (422, [{"loc": ["body", "api_key"], "msg": "too short", "type": "string"}], r"Invalid API key format.*"),
        (503, "Try again later", r"Authentication failed: 503 .*"),
    ],
)
async def test_a_token_refused(
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
async def test_a_connection_cut_is_a_fetch_that_failed(official: OfficialClient, mock: MockOdyssey, do: str) -> None:
    mock.faults.add({"at": "rest.auth.token", "do": do})
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert error["message"] == "Failed to fetch"
    assert await official.events("error") == [["Failed to fetch", True]]


@pytest.mark.parametrize("at", ["rest.auth.token", "rest.regions.list", "rest.sessions.request"])
async def test_what_is_no_json_is_told_as_the_parser_puts_it(
    official: OfficialClient, mock: MockOdyssey, at: str
) -> None:
    mock.faults.add({"at": at, "do": "not_json", "body": "<html>Bad gateway</html>"})
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert "is not valid JSON" in error["message"]


async def test_it_asks_again_until_a_streamer_is_free(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="rest.sessions.request", do="status", status=503, times=2)
    connection = await official.connect(mock.api_key)
    assert connection["isConnected"]
    asked = mock.journal.find("rest", "POST /sessions/request")
    assert [entry.data["status"] for entry in asked] == [503, 503, 200]
    assert await official.events("error") == []


async def test_a_usage_error_is_one_there_too(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(
        {"at": "rest.sessions.request", "do": "status", "status": 429, "detail": USED_UP, "retry_after": 60}
    )
    error = await official.connect_error(mock.api_key)
    assert error == {"message": USED_UP["message"], "code": USED_UP["error"], "details": USED_UP["details"]}
    assert await official.events("error") == [[USED_UP["message"], True]]


async def test_a_session_without_its_fields(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="rest.sessions.request", do="wrong_shape")
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert error["message"] == "Invalid API response: missing session_id or signalling_url"


async def test_a_session_that_is_gone_before_its_token(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="rest.sessions.token", do="status", status=404, detail="Session not found")
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert error["message"].startswith("Session not found")
    assert await official.events("status") == [["authenticating"], ["failed"]]


# What it can do without


@pytest.mark.parametrize("status", [500, None])
@pytest.mark.parametrize(
    ("at", "route"),
    [
        ("rest.regions.list", "GET /regions"),
        ("rest.regions.ping", "GET /ping/{region}"),
        ("signaling.config", "GET /signaling/{streamer_id}/config"),
    ],
)
async def test_it_connects_without(
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
async def test_it_waits_for_what_is_late_on_the_mocks_clock(
    official: OfficialClient, mock: MockOdyssey, at: str, name: str
) -> None:
    mock.faults.add({"at": at, "do": "delay", "seconds": 20})
    connecting = await official.begin("connect", mock.api_key)
    fault = await mock.wait_for("fault", at)
    assert await connecting.outcome() == PENDING
    await mock.advance(20)
    assert (await connecting.settled()).state == "resolved"
    assert mock.expect(name).time - fault.time == 20


# Signaling, before the connection is up


async def test_a_refused_upgrade_is_tried_again(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="signaling.upgrade", do="refuse", status=403, times=1)
    connection = await official.connect(mock.api_key)
    assert connection["isConnected"]
    assert connection["sessionId"] in mock.sessions
    statuses = await official.events("status")
    assert statuses.count(["connecting"]) == 3, "for a session, for a socket, and for another one after a second"


@pytest.mark.parametrize(
    ("reason", "message"), [("streamer_not_available", NO_STREAMER), ("streamer_disconnected", STREAMER_GONE)]
)
async def test_no_streamer_instead_of_an_offer(
    official: OfficialClient, mock: MockOdyssey, reason: str, message: str
) -> None:
    mock.faults.add(at="signaling.offer", do="error", reason=reason)
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert error["message"] == message
    assert (await official.told())[-3:] == [["status", "failed"], ["error", message, True], ["disconnected"]]


async def test_a_socket_closed_before_the_offer_with_1000(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="signaling.offer", do="close", code=1000)
    connecting = await official.begin("connect", mock.api_key)
    await official.reached("disconnected")
    assert await connecting.outcome() == PENDING, "it hangs"


async def test_a_socket_closed_before_the_offer_with_1011(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="signaling.offer", do="close", code=1011)
    connecting = await official.begin("connect", mock.api_key)
    await mock.wait_for("state", "session", event="socket_lost")
    assert await official.call("listSimulations", {}), "the page goes on"
    assert await connecting.outcome() == PENDING, "it hangs"
    assert await official.events("error") == []


@pytest.mark.parametrize(("do", "thrown"), [("broken_sdp", "Failed to parse SessionDescription"), ("not_json", "JSON")])
async def test_an_offer_that_nobody_can_use_is_thrown_where_nobody_catches_it(
    official: OfficialClient, mock: MockOdyssey, do: str, thrown: str
) -> None:
    mock.faults.add({"at": "signaling.offer", "do": do})
    connecting = await official.begin("connect", mock.api_key)
    assert thrown in await official.uncaught()
    assert await connecting.outcome() == PENDING, "it hangs"


# The peer


async def test_another_certificate_than_the_offers_fails_the_handshake(
    official: OfficialClient, mock: MockOdyssey
) -> None:
    mock.faults.add(at="peer.dtls", do="fail")
    connecting = await official.begin("connect", mock.api_key)
    outcome = await connecting.settled()
    assert outcome.state == "rejected"
    assert outcome.value in {"Connection failed", NO_STREAMER}, "the browser's word, or the mock's: whichever is first"
    await mock.wait_for("state", "session", event="peer_lost")
    mock.expect("answer", kind="signaling")


async def test_data_channels_that_never_open(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="peer.channels", do="never")
    connecting = await official.begin("connect", mock.api_key)
    await official.reached("connected")
    await official.decoded(frames=10)
    assert await connecting.outcome() == PENDING, "it waits for them, while video comes"
    assert await official.events("connected") == []


@pytest.mark.parametrize("do", ["close", "close_channels"])
async def test_a_peer_or_its_channels_closed_are_noticed_by_the_next_call_alone(
    official: OfficialClient, mock: MockOdyssey, do: str
) -> None:
    mock.faults.add({"at": "peer.connected", "do": do, "seconds": SOON})
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    await mock.advance(SOON)
    await official.channels_closed()
    assert await official.refusal("interact", {"prompt": "Pet it"}) == "Client to streamer channel not open"
    assert await official.told(after="stream_started") == []


# Signaling, once it is up


async def test_a_socket_lost_is_the_end(official: OfficialClient, mock: MockOdyssey) -> None:
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


async def test_a_socket_closed_with_1000_makes_it_disconnected_and_nobody_is_called(
    official: OfficialClient, mock: MockOdyssey
) -> None:
    mock.faults.add(at="signaling.connected", do="close", code=1000, seconds=SOON)
    await official.connect(mock.api_key)
    await mock.advance(SOON)
    await official.reached("disconnected")
    refusal = await official.refusal("startStream", {"prompt": "A cat"})
    assert refusal is not None
    assert "disconnected" in refusal
    assert await official.told(after="connected") == [["status", "disconnected"]]


@pytest.mark.parametrize(
    ("reason", "message"), [("duration_limit_reached", TOO_LONG), ("streamer_disconnected", STREAMER_GONE)]
)
async def test_an_error_on_the_socket_is_fatal(
    official: OfficialClient, mock: MockOdyssey, reason: str, message: str
) -> None:
    mock.faults.add(at="signaling.connected", do="error", reason=reason, seconds=SOON)
    await official.connect(mock.api_key)
    await mock.advance(SOON)
    await official.happened("disconnected")
    told = await official.told(after="connected")
    assert told[:3] == [["status", "failed"], ["error", message, True], ["disconnected"]]
    mock.expect("error", kind="signaling", message={"type": "error", "reason": reason})


@pytest.mark.parametrize("do", ["not_json", "binary"])
async def test_nonsense_on_the_socket_is_thrown_where_nobody_catches_it(
    official: OfficialClient, mock: MockOdyssey, do: str
) -> None:
    mock.faults.add({"at": "signaling.connected", "do": do, "seconds": SOON})
    await official.connect(mock.api_key)
    await mock.advance(SOON)
    assert "JSON" in await official.uncaught()
    assert await official.start_stream("A cat") in mock.streams, "it goes on"
    assert await official.events("error") == []


# All of it


async def test_a_server_that_goes_away_and_comes_back(official: OfficialClient, mock: MockOdyssey) -> None:
    first = await official.connect(mock.api_key)
    mock.faults.add(at="server", do="away", seconds=5, times=1)
    assert await official.refusal("listSimulations", {}) == "Failed to fetch"
    await official.happened("disconnected")
    assert await official.told(after="connected") == [["status", "failed"], ["error", CUT, True], ["disconnected"]]
    assert await official.refusal("listSimulations", {}) == "Failed to fetch", "nobody listens there"

    await mock.advance(5)
    assert (await official.call("listSimulations", {}))["jobs"] == []
    second = await official.connect(mock.api_key)
    assert second["isConnected"]
    assert second["sessionId"] != first["sessionId"]
    assert first["sessionId"] in mock.sessions, "held, for its grace"
    await official.frame_showing(None)
