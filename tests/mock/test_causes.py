"""Tests of the field `why` of journal entries: refusals, faults and ends state their cause in one sentence."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from odyssey_client import AdvancedConfig, Odyssey, OdysseyError
from odyssey_mock import AccountSettings, ExpectationError, MockOdyssey
from odyssey_mock.core.journal import Entry, Kind
from odyssey_mock.core.redaction import REDACTED
from tests.support.raw import RawApi, raw_socket, receive
from tests.support.streams import start
from tests.support.visits import SMALL, visits

small = pytest.mark.odyssey(portrait_size=SMALL)


async def submit(api: RawApi, prompt: str = "A cat") -> None:
    """Submit a simulation job with one script of 2 s."""
    script = [{"timestamp_ms": 0, "start": {"prompt": prompt}}, {"timestamp_ms": 2000, "end": {}}]
    body = {"script": script, "portrait": True, "output_video": True}
    (await api.http.post("/simulation-jobs", json=body)).raise_for_status()


def why_of(mock: MockOdyssey, kind: Kind, name: str, **where: Any) -> str:
    """Return the cause (`why`) in the latest matching entry of the journal."""
    return mock.journal.find(kind, name, **where)[-1].why


# Requests


@pytest.mark.off_contract("sends invalid requests")
@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (("POST", "/sessions/request", {"json": {"region_latencies": 3}}), "body.region_latencies: Input should be a "),
        (("POST", "/sessions/request", {"content": b"{"}), "body.1: JSON decode error: "),
        (("GET", "/nothing", {}), "the service has no route GET /nothing"),
        (("PUT", "/regions", {}), "/regions has no method PUT; expected GET, HEAD"),
        (("GET", "/recordings/nope", {}), "Recording not found in this account; "),
        (("GET", "/regions", {"headers": {"Authorization": ""}}), "expected the header `Authorization: Bearer` with "),
        (
            ("GET", "/regions", {"headers": {"Authorization": "Basic x"}}),
            "expected the header `Authorization: Bearer` ",
        ),
        (("GET", "/regions", {"headers": {"Authorization": "Bearer x"}}), "expected an access token from POST /auth/"),
        (("POST", "/auth/token", {"json": {"api_key": "ody_suspended"}}), "API keys that begin with ody_suspended "),
        (("POST", "/auth/token", {"json": {"api_key": "nope"}}), "body.api_key: String should match pattern "),
        (("POST", "/sessions/token", {"json": {"session_id": "s"}}), "Session not found: "),
        (("GET", "/artifacts/none/video.mp4", {}), ""),
        (("GET", "/ping/nowhere", {}), "Region not found; "),
        (("DELETE", "/whep/none/none", {}), ""),
        (("GET", "/hls/none/index.m3u8", {}), ""),
    ],
)
async def test_refused_request_states_its_cause(
    odyssey_mock: MockOdyssey, request_: tuple[str, str, Mapping[str, Any]], why: str
) -> None:
    method, path, arguments = request_
    async with RawApi(odyssey_mock) as api:
        answer = await api.http.request(method, path, **arguments)
    assert answer.status_code >= 400
    entry = odyssey_mock.journal.find("rest")[-1]
    assert entry.why.startswith(why)
    assert entry.why


@pytest.mark.odyssey(keys={"ody_known": AccountSettings()})
async def test_unknown_key_names_the_setting(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock, "ody_known") as api:
        await api.http.post("/auth/token", json={"api_key": "ody_other"})
    why = why_of(odyssey_mock, "rest", "POST /auth/token")
    assert why == "expected one of the 1 keys of the setting `keys`, got another key"
    assert "ody_other" not in odyssey_mock.journal.to_jsonl()


@pytest.mark.odyssey(concurrent_sessions=1)
async def test_session_limit_names_setting_and_sessions(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        await api.request_session()
        await api.http.post("/sessions/request", json={})
    why = why_of(odyssey_mock, "rest", "POST /sessions/request")
    assert why == "the account has 1 session (1 waiting) (setting `concurrent_sessions`: 1)"


@pytest.mark.odyssey(streamers=0)
async def test_missing_streamer_names_the_setting(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        await api.http.post("/sessions/request", json={})
    why = why_of(odyssey_mock, "rest", "POST /sessions/request")
    assert why == "all streamers are in use: 0 sessions of all accounts (setting `streamers`: 0)"


@pytest.mark.odyssey(clock="manual", access_token_lifetime=60)
async def test_expired_token_names_the_setting(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        await odyssey_mock.advance(61)
        await api.http.post("/sessions/request", json={})
    why = why_of(odyssey_mock, "rest", "POST /sessions/request")
    assert why == (
        "the access token expired 1.0 s ago; it was valid for 60 s (setting `access_token_lifetime`); request a new one"
    )


@pytest.mark.odyssey(clock="manual", access_token_lifetime=10)
async def test_expired_token_states_its_own_lifetime_after_changes(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api, RawApi(odyssey_mock) as other:
        odyssey_mock.change_settings(access_token_lifetime=5000)
        await odyssey_mock.advance(11)
        await other.http.post("/auth/token", json={"api_key": odyssey_mock.api_key})
        await api.http.get("/regions")
    why = why_of(odyssey_mock, "rest", "GET /regions")
    assert why == (
        "the access token expired 1.0 s ago; it was valid for 10 s (setting `access_token_lifetime`); request a new one"
    )


@pytest.mark.off_contract("sends invalid headers")
@pytest.mark.parametrize(
    ("header", "got"),
    [
        ("ody_hush_hush", "a header without a known scheme"),
        ("SECRETSECRET", "a header without a known scheme"),
        ("SECRETSECRET x", "a header without a known scheme"),
        ("Token ody_hush_hush", "the scheme 'Token'"),
        ("BASIC SECRETSECRET", "the scheme 'BASIC'"),
        ("Bearer", "the scheme without a token"),
        ("", "none"),
    ],
)
async def test_cause_contains_no_key_from_the_header(odyssey_mock: MockOdyssey, header: str, got: str) -> None:
    async with RawApi(odyssey_mock) as api:
        await api.http.get("/regions", headers={"Authorization": header})
    why = why_of(odyssey_mock, "rest", "GET /regions")
    assert why.endswith(f"of POST /auth/token, got {got}")
    written = odyssey_mock.journal.to_jsonl()
    assert "SECRET" not in written
    assert "hush" not in written


@pytest.mark.off_contract("sends invalid requests")
@pytest.mark.parametrize(
    ("method", "path", "arguments"),
    [
        ("POST", "/auth/token", {"json": "ody_hush_hush"}),
        ("POST", "/auth/token", {"json": ["ody_hush_hush"]}),
        ("POST", "/auth/token", {"json": {"apiKey": "ody_hush_hush"}}),
        ("POST", "/auth/token", {"json": {"ody_hush_hush": True}}),
        ("POST", "/auth/token", {"json": {"api_key": {"value": "ody_hush_hush"}}}),
        ("POST", "/auth/token?key=ody_hush_hush", {"json": {}}),
        ("POST", "/auth/ody_hush_hush", {"json": {}}),
        ("POST", "/sessions/token", {"json": {"session_id": "ody_hush_hush"}}),
    ],
)
async def test_journal_contains_no_key_from_a_request(
    odyssey_mock: MockOdyssey, method: str, path: str, arguments: Mapping[str, Any]
) -> None:
    async with RawApi(odyssey_mock) as api:
        assert (await api.http.request(method, path, **arguments)).status_code >= 400
    written = odyssey_mock.journal.to_jsonl()
    assert "ody_..." in written or REDACTED in written
    assert "hush" not in odyssey_mock.journal.to_jsonl()


@pytest.mark.odyssey(
    faults=[
        {"at": "rest.sessions.request", "do": "delay", "seconds": 0.01, "times": 1},
        {"at": "rest.sessions.request", "do": "no_answer", "times": 1},
    ],
    concurrent_sessions=1,
    streamers=0,
)
async def test_request_names_its_fault_and_refusal(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        await api.http.post("/sessions/request", json={})
        assert why_of(odyssey_mock, "rest", "POST /sessions/request").startswith(
            "fault-1 (rest.sessions.request delay) acts on this request; all streamers are in use"
        )
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await api.http.post("/sessions/request", json={})
        await odyssey_mock.wait_for("rest", "POST /sessions/request", status=None)
    assert why_of(odyssey_mock, "rest", "POST /sessions/request") == (
        "fault-2 (rest.sessions.request no_answer) acts on this request"
    )
    assert why_of(odyssey_mock, "fault", "rest.sessions.request") == (
        "fault-2 (rest.sessions.request no_answer) fired, time 1 of 1"
    )


# Streams


@pytest.mark.parametrize(
    ("settings", "message", "why"),
    [
        ({}, {"prompt": "[error:odd] A cat"}, "the prompt contains the marker [error:odd]"),
        ({}, {"prompt": "[moderated] A cat"}, "the prompt contains the marker [moderated]"),
        (
            {"image_to_video": False},
            {"input_image_base64": "data:image/png;base64,AAAA"},
            "the client sent an image, and the setting `image_to_video` is False",
        ),
        (
            {"max_image_bytes": 10},
            {"input_image_base64": "data:image/png;base64,AAAA"},
            "the image of the start message cannot be used (setting `max_image_bytes`: 10): ",
        ),
        (
            {"bypass_privilege": False},
            {"bypass_vlm_expansion": True},
            "the client sent bypass_vlm_expansion, and its account lacks the privilege (setting `bypass_privilege`)",
        ),
        (
            {"faults": [{"at": "stream.start", "do": "error", "reason": "odd"}]},
            {},
            "fault-1 (stream.start error) rejects the message",
        ),
        ({}, {"prompt": 7}, "clientToStreamer: interactive_stream_start.prompt: expected a valid string, got a number"),
    ],
)
async def test_refused_start_states_its_cause(
    settings: Mapping[str, Any], message: Mapping[str, Any], why: str
) -> None:
    async with MockOdyssey(portrait_size=SMALL, **settings) as mock, visits(mock) as to, to.peer() as peer:
        peer.say({"type": "interactive_stream_start", "prompt": "A cat", **message})
        assert (await peer.hear())["type"] == "interactive_stream_error"
        assert why_of(mock, "channel", "interactive_stream_error").startswith(why)


@pytest.mark.odyssey(clock="manual", portrait_size=SMALL)
async def test_rejections_of_a_stream_state_their_causes(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        peer.say({"type": "update", "prompt": "It looks out"})
        await peer.hear()
        no_stream = why_of(odyssey_mock, "channel", "interactive_stream_error")
        assert no_stream == "the client sent an update while no stream was running"
        stream = await start(peer)
        peer.say({"type": "interactive_stream_start", "prompt": "A dog"})
        await peer.hear()
        twice = why_of(odyssey_mock, "channel", "interactive_stream_error")
        assert twice == f"the client sent another start while stream {stream} was running"
        peer.say({"type": "update", "prompt": "It sleeps [stall]"})
        withheld = await odyssey_mock.wait_for("note", "reply withheld")
        assert withheld.data == {"type": "update_acknowledged", "why": "the prompt contains the marker [stall]"}
        to.session.break_stream("odd", "broken by the test")
        assert [(await peer.hear())["type"] for _ in range(2)] == ["interactive_stream_error", "stream_ended"]
        assert why_of(odyssey_mock, "channel", "interactive_stream_error") == "Session.break_stream was called"
        await start(peer)
        await odyssey_mock.advance(150)
        limit = "has run for 150 s (setting `stream_duration`)"
        assert why_of(odyssey_mock, "channel", "interactive_stream_error") == f"the stream {limit}"
        assert why_of(odyssey_mock, "state", "session") == f"a stream {limit}"
        assert why_of(odyssey_mock, "state", "socket", by="server") == f"a stream {limit}"
        assert why_of(odyssey_mock, "state", "stream", to="closed") == f"the stream {limit}"


@pytest.mark.parametrize(
    ("fault", "ended_by"),
    [
        ({"do": "end"}, "fault-1 (stream.running end) ends the running stream"),
        ({"do": "end", "seconds": 1}, "fault-1 (stream.running end) ends the running stream"),
        ({"do": "error", "reason": "model_crash"}, "fault-1 (stream.running error) fails the running stream"),
    ],
)
@pytest.mark.odyssey(clock="manual", portrait_size=SMALL)
async def test_stream_ended_by_a_fault_names_it(
    odyssey_mock: MockOdyssey, fault: Mapping[str, Any], ended_by: str
) -> None:
    odyssey_mock.faults.add({"at": "stream.running", **fault})
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await start(peer)
        await odyssey_mock.advance(1)
        await odyssey_mock.wait_for("channel", "stream_ended")
    assert why_of(odyssey_mock, "state", "stream", to="idle") == ended_by
    assert why_of(odyssey_mock, "channel", "stream_ended") == ended_by


@small
async def test_stream_of_an_ended_session_states_its_cause(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await start(peer)
        await odyssey_mock.sessions[to.session.id].shut_down()
    ends = odyssey_mock.journal.find("state", "stream", to="closed")
    assert [each.why for each in ends] == ["the mock was stopped or reset, or ended the session"]


# Simulations


@pytest.mark.parametrize(
    ("fault", "stream_why", "job_why"),
    [
        (
            None,
            "odd (requested by [error:...] in the prompt of the start at 0 ms)",
            "1 of 1 streams failed: script 0: odd (requested by [error:...] in the prompt of the start at 0 ms)",
        ),
        (
            {"at": "job.script", "do": "fail", "message": "broken"},
            "fault-1 (job.script fail) makes the stream fail",
            "1 of 1 streams failed: script 0: broken",
        ),
        (
            {"at": "job.processing", "do": "fail"},
            "odd (requested by [error:...] in the prompt of the start at 0 ms)",
            "fault-1 (job.processing fail) makes the job fail",
        ),
        ({"at": "job.pending", "do": "fail"}, None, "fault-1 (job.pending fail) makes the job fail"),
        (
            {"at": "job.dispatched", "do": "lose_worker"},
            None,
            (
                "the worker was lost in attempt 1 of 1 (setting simulation_retries: 0); fault-1 (job.dispatched "
                "lose_worker) loses the worker"
            ),
        ),
    ],
)
@pytest.mark.odyssey(clock="manual", simulation_retries=0)
async def test_failed_job_states_its_cause(
    odyssey_mock: MockOdyssey, fault: Mapping[str, Any] | None, stream_why: str | None, job_why: str
) -> None:
    if fault is not None:
        odyssey_mock.faults.add(fault)
    async with RawApi(odyssey_mock) as api:
        await submit(api, "[error:odd] A cat")
        await odyssey_mock.advance(600)
    assert why_of(odyssey_mock, "state", "simulation", to="failed") == job_why
    failed = odyssey_mock.journal.find("state", "simulation stream", to="failed")
    assert [each.why for each in failed] == ([] if stream_why is None else [stream_why])


@pytest.mark.parametrize("point", ["job.pending", "job.dispatched", "job.processing"])
@pytest.mark.odyssey(clock="manual")
async def test_job_whose_worker_is_lost_states_the_cause(odyssey_mock: MockOdyssey, point: str) -> None:
    odyssey_mock.faults.add({"at": point, "do": "lose_worker", "times": 1})
    async with RawApi(odyssey_mock) as api:
        await submit(api)
        await odyssey_mock.advance(600)
    lost = odyssey_mock.journal.find("state", "simulation", to="pending")
    forgotten = odyssey_mock.journal.find("state", "simulation stream", to="forgotten")
    why = f"fault-1 ({point} lose_worker) loses the worker"
    assert [each.why for each in lost] == ([] if point == "job.pending" else [why])
    assert [each.why for each in forgotten] == ([why] if point == "job.processing" else [])


# Sessions and sockets


@pytest.mark.odyssey(clock="manual", portrait_size=SMALL)
async def test_limits_of_a_session_state_their_setting(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer():
        await odyssey_mock.advance(40)
    why = "for 40 s no stream ran, and the client sent no message about one (setting `inactivity`)"
    assert why_of(odyssey_mock, "state", "session") == why
    assert why_of(odyssey_mock, "state", "socket", by="server") == why


@small
async def test_reset_states_the_cause_to_the_client(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        entries: list[Entry] = []
        odyssey_mock.journal.observe(entries.append)
        await odyssey_mock.reset()
        await receive(peer.socket)
    why = "the mock was stopped or reset, or ended the session"
    assert [each.why for each in entries if each.name == "error"] == [why]


@pytest.mark.off_contract("sends a forged token")
async def test_rejected_socket_states_its_cause(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        async with raw_socket(session, "forged") as socket:
            reason = (await receive(socket))["reason"]
            await odyssey_mock.wait_for("state", "socket", to="closed")
    assert why_of(odyssey_mock, "signaling", "error") == reason
    assert why_of(odyssey_mock, "state", "socket", to="closed") == reason


@pytest.mark.odyssey(portrait_size=SMALL, faults=[{"at": "signaling.connected", "do": "close", "code": 1011}])
async def test_socket_closed_by_a_fault_names_it(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer():
        await odyssey_mock.wait_for("state", "socket", to="closed")
    assert why_of(odyssey_mock, "state", "socket", to="closed") == "fault-1 (signaling.connected close) closes it"


@pytest.mark.parametrize(
    ("code", "stale_session", "becomes"),
    [(1000, 0, "closed"), (1000, 40, "closed"), (1001, 40, "closed"), (1011, 0, "held"), (1011, 40, "held")],
)
async def test_session_whose_socket_a_fault_closed_names_it(code: int, stale_session: float, becomes: str) -> None:
    async with MockOdyssey(
        portrait_size=SMALL,
        stale_session=stale_session,
        faults=[{"at": "signaling.connected", "do": "close", "code": code}],
    ) as mock:
        async with visits(mock) as to, to.peer():
            await mock.wait_for("state", "session", to=becomes)
        why = f"fault-1 (signaling.connected close) closes the socket with {code}"
        ended = next(each for each in mock.journal.find("state", "session") if each.data["from"] == "connected")
        assert (ended.data["to"], ended.why) == (becomes, why)


@pytest.mark.odyssey(clock="manual", session_token_lifetime=600)
async def test_unused_session_states_its_latest_lifetime(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        odyssey_mock.change_settings(session_token_lifetime=20)
        await api.http.post("/sessions/token", json={"session_id": session["session_id"]})
        await odyssey_mock.advance(21)
    assert why_of(odyssey_mock, "state", "session") == (
        "all tokens of the session expired before a client connected; the latest was issued for 20 s (setting "
        "`session_token_lifetime`)"
    )


@pytest.mark.odyssey(portrait_size=SMALL)
async def test_undisturbed_session_has_no_causes(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    await odyssey_client.start_stream("A cat")
    await odyssey_client.interact("Pet the cat")
    await odyssey_client.end_stream()
    await odyssey_client.disconnect()
    await odyssey_mock.wait_for("state", "session", to="closed")
    assert [entry for entry in odyssey_mock.journal.entries if entry.why] == []


@pytest.mark.odyssey(portrait_size=SMALL, streamers=0)
async def test_failed_expectation_shows_the_cause(odyssey_mock: MockOdyssey) -> None:
    async with Odyssey(
        odyssey_mock.api_key, api_url=odyssey_mock.url, advanced=AdvancedConfig(queue_timeout_s=0)
    ) as client:
        with pytest.raises(OdysseyError):
            await client.connect()
    with pytest.raises(ExpectationError, match=r"got 503; why: all streamers are in use: .*`streamers`: 0"):
        odyssey_mock.expect("POST /sessions/request", status=200)
