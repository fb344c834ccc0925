"""Tests that the mock's HTTP and WebSocket messages conform to the contract, for successful and rejected requests.

The tests send raw HTTP and WebSocket messages. A fixture in `tests/conftest.py` checks the journal against the contract
after each test. The test itself checks only that the mock sent the expected response.
"""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.http.usage_error_forms import DetailForm
from odyssey_mock.verification.conformance import Conformance
from tests.support.raw import RawApi, raw_peer, raw_socket, receive


@pytest.fixture
async def http(odyssey_mock: MockOdyssey) -> AsyncIterator[httpx.AsyncClient]:
    """Yield an HTTP client without an access token."""
    # Without `verify=False` httpx creates a TLS context, which takes longer than most of these tests.
    async with httpx.AsyncClient(base_url=odyssey_mock.url, trust_env=False, verify=False) as client:
        yield client


@pytest.fixture
async def api(odyssey_mock: MockOdyssey) -> AsyncIterator[RawApi]:
    """Yield an API client with an access token for the mock's API key."""
    async with RawApi(odyssey_mock) as api:
        yield api


def rest_calls(mock: MockOdyssey) -> list[tuple[str, int]]:
    return [(entry.name, entry.data["status"]) for entry in mock.journal.find("rest")]


async def test_requests_up_to_a_session_succeed(odyssey_mock: MockOdyssey, api: RawApi) -> None:
    regions = (await api.http.get("/regions")).json()["regions"]
    for region in regions:
        assert (await api.http.get(region["ping_url"])).is_success
    latencies = {region["id"]: 9999 if region is regions[0] else 12.5 for region in regions}
    session = (await api.http.post("/sessions/request", json={"region_latencies": latencies})).json()
    assert session["region"] == regions[1]["id"]
    await api.token_for(session["session_id"])
    config = await api.http.get(session["signalling_url"].replace("ws", "http", 1) + "/config")
    assert config.json()["iceServers"]
    await api.http.post("/telemetry", json={"events": [{"name": "connected"}]})

    statuses = dict(rest_calls(odyssey_mock))
    assert all(200 <= status < 300 for status in statuses.values())
    assert set(statuses) == {
        "POST /auth/token",
        "GET /regions",
        "GET /ping/{region}",
        "POST /sessions/request",
        "POST /sessions/token",
        "GET /signaling/{streamer_id}/config",
        "POST /telemetry",
    }


async def test_whole_session_conforms_to_the_contract(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({"type": "keepalive"})
        candidate = "candidate:1 1 udp 2113937151 8a4c5a3e.local 51234 typ host"
        await peer.say_on_socket({"type": "ice_candidate", "candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0})
        peer.say({"type": "update", "prompt": "Too early"})
        assert (await peer.hear())["type"] == "interactive_stream_error"
        peer.say({"type": "interactive_stream_start", "prompt": "A cat", "portrait": False, "broadcast": False})
        assert (await peer.hear())["type"] == "stream_started"
        peer.say({"type": "update", "prompt": "It stretches"})
        assert (await peer.hear())["type"] == "update_acknowledged"
        peer.say({"type": "interactive_stream_end"})
        assert (await peer.hear())["type"] == "stream_ended"
        await peer.say_on_socket({"type": "client_disconnecting"})
        await odyssey_mock.wait_for("state", "session", to="closed")

    said = {
        (entry.kind, entry.data["from"], entry.name)
        for entry in odyssey_mock.journal.entries
        if entry.kind in {"signaling", "channel"}
    }
    assert said == {
        ("signaling", "server", "offer"),
        ("signaling", "client", "answer"),
        ("signaling", "client", "keepalive"),
        ("signaling", "client", "ice_candidate"),
        ("signaling", "client", "client_disconnecting"),
        ("channel", "client", "interactive_stream_start"),
        ("channel", "client", "update"),
        ("channel", "client", "interactive_stream_end"),
        ("channel", "server", "stream_started"),
        ("channel", "server", "update_acknowledged"),
        ("channel", "server", "stream_ended"),
        ("channel", "server", "interactive_stream_error"),
    }


@pytest.mark.parametrize(
    ("api_key", "status"),
    [
        ("ody_anything_well_formed", 200),
        ("ody_invalid", 401),
        ("ody_invalid_too", 401),
        ("ody_suspended", 403),
        ("sk-of-another-service", 422),
        ("ody_x", 422),
        ("", 422),
        (None, 422),
        (7, 422),
    ],
)
async def test_key_responses_conform_to_the_contract(http: httpx.AsyncClient, api_key: object, status: int) -> None:
    assert (await http.post("/auth/token", json={"api_key": api_key})).status_code == status


@pytest.mark.parametrize("form", ["object", "string"])
@pytest.mark.parametrize(
    ("api_key", "status", "code"),
    [
        ("ody_monthly_limit", 429, "MONTHLY_LIMIT_REACHED"),
        ("ody_concurrent_limit", 429, "CONCURRENT_LIMIT_REACHED"),
        ("ody_rate_limited", 429, "RATE_LIMITED"),
        ("ody_no_capacity", 503, None),
    ],
)
async def test_test_key_rejections_conform_to_the_contract(
    api_key: str, status: int, code: str | None, form: DetailForm
) -> None:
    async with MockOdyssey(usage_error_form=form) as mock, RawApi(mock, api_key) as api:
        answer = await api.http.post("/sessions/request", json={})
    assert answer.status_code == status
    detail = answer.json()["detail"]
    assert isinstance(detail, dict) == (form == "object" and status == 429)
    if isinstance(detail, dict):
        assert detail["error"] == code
    Conformance().check_journal(mock.journal.entries)


@pytest.mark.odyssey(concurrent_sessions=1)
async def test_concurrent_limit_conforms_to_the_contract(api: RawApi) -> None:
    await api.request_session()
    answer = await api.http.post("/sessions/request", json={})
    assert answer.status_code == 429
    assert answer.json()["detail"]["details"] == {"active_count": 1, "limit": 1}


@pytest.mark.odyssey(streamers=1)
async def test_missing_capacity_conforms_to_the_contract(odyssey_mock: MockOdyssey, api: RawApi) -> None:
    await api.request_session()
    async with RawApi(odyssey_mock, "ody_somebody_else") as other:
        assert (await other.http.post("/sessions/request", json={})).status_code == 503


PROTECTED = [("GET", "/regions"), ("POST", "/sessions/request"), ("POST", "/sessions/token")]


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer unknown", "Basic b2R5OnNleQ=="])
@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_unauthenticated_requests_conform_to_the_contract(
    http: httpx.AsyncClient, method: str, path: str, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = await http.request(method, path, headers=headers, json={} if method == "POST" else None)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.odyssey(clock="manual")
@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_expired_token_conforms_to_the_contract(
    odyssey_mock: MockOdyssey, api: RawApi, method: str, path: str
) -> None:
    await odyssey_mock.advance(3600)
    answer = await api.http.request(method, path, json={"session_id": "any"} if method == "POST" else None)
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/auth/token", "/sessions/request", "/sessions/token"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 60_000])
async def test_invalid_bodies_conform_to_the_contract(api: RawApi, path: str, body: bytes) -> None:
    assert (await api.http.post(path, content=body)).status_code == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/token", {}),
        ("/sessions/token", {}),
        ("/sessions/token", {"session_id": 7}),
        ("/sessions/request", {"region_latencies": []}),
        ("/sessions/request", {"region_latencies": {"us-east-1": "near"}}),
        ("/sessions/request", {"region_latencies": {"us-east-1": -1}}),
        ("/sessions/request", {"region_latencies": {"us-east-1": "41.5"}}),
        ("/sessions/request", {"region_latencies": {"us-east-1": True}}),
    ],
)
async def test_invalid_fields_are_named_in_the_response(api: RawApi, path: str, body: object) -> None:
    answer = await api.http.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "body"


async def test_infinite_latency_of_a_region_is_rejected(api: RawApi) -> None:
    answer = await api.http.post("/sessions/request", content=b'{"region_latencies": {"us-east-1": 1e999}}')
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "region_latencies", "us-east-1"]


async def test_session_of_another_account_is_not_found(odyssey_mock: MockOdyssey, api: RawApi) -> None:
    session = await api.request_session()
    async with RawApi(odyssey_mock, "ody_somebody_else") as other:
        for session_id in (session["session_id"], "no-such-session"):
            answer = await other.http.post("/sessions/token", json={"session_id": session_id})
            assert answer.status_code == 404


async def test_unknown_region_is_not_found(http: httpx.AsyncClient) -> None:
    assert (await http.get("/ping/atlantis")).status_code == 404


@pytest.mark.off_contract("unknown routes")
@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", "/sessions", 404), ("PUT", "/regions", 405)]
)
async def test_unknown_routes_and_methods_are_rejected(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize("path", ["/auth/token", "/regions", "/ping/us-east-1", "/sessions/request", "/nowhere"])
async def test_preflights_pass_on_every_route(http: httpx.AsyncClient, path: str) -> None:
    asked = {
        "Origin": "https://page.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = await http.options(path, headers=asked)
    assert answer.is_success
    assert answer.headers["Access-Control-Allow-Origin"] in {"*", "https://page.example"}


@pytest.mark.parametrize("path", ["/regions", "/nowhere"])
@pytest.mark.off_contract("an unknown route")
async def test_web_pages_can_read_errors_and_headers(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"Origin": "https://page.example"})
    assert answer.is_error
    assert answer.headers["Access-Control-Allow-Origin"] in {"*", "https://page.example"}
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.off_contract("invalid telemetry")
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"events": 7}', b'{"events": [7]}'])
@pytest.mark.parametrize("authorization", [None, "Bearer unknown"])
async def test_telemetry_never_fails_a_client(http: httpx.AsyncClient, body: bytes, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    assert (await http.post("/telemetry", content=body, headers=headers)).is_success


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
async def test_socket_with_invalid_token_gets_an_error(api: RawApi, token: str) -> None:
    async with raw_socket(await api.request_session(), token) as socket:
        assert (await receive(socket))["type"] == "error"


@pytest.mark.off_contract("invalid messages")
@pytest.mark.parametrize(
    "message", ["{", "null", "[]", "{}", '{"type": "offer"}', '{"type": {}}', '{"type": "update"}']
)
async def test_invalid_message_gets_an_error(odyssey_mock: MockOdyssey, message: str) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket(message)
        assert (await peer.hear())["type"] == "interactive_stream_error"
        peer.say(message)
        assert (await peer.hear())["type"] == "interactive_stream_error"


async def test_no_secret_reaches_the_journal(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        secrets = [
            odyssey_mock.api_key,
            api.http.headers["Authorization"].removeprefix("Bearer "),
            await api.token_for(session["session_id"]),
        ]
        async with raw_socket(session, secrets[-1]) as socket:
            assert (await receive(socket))["type"] == "offer"
    written = json.dumps([entry.to_json() for entry in odyssey_mock.journal.entries])
    assert not [secret for secret in secrets if secret in written]
