"""Tests of the latency profiles: how long each request and step takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from odyssey_client import ConnectionStatus, Odyssey, OdysseyApiError
from odyssey_mock import MockOdyssey
from odyssey_mock.faults.catalog import POINTS
from odyssey_mock.latency import LATENCIES, connecting, seconds
from odyssey_mock.sessions.messages import Start
from odyssey_mock.sessions.session_identity import SessionIdentity
from odyssey_mock.sessions.stream_setup import StreamSetup
from odyssey_mock.settings import LatencyProfile
from odyssey_mock.sim.run import run
from odyssey_mock.sim.world import World
from tests.support.http_points import HTTP_POINTS, ask, token_of
from tests.support.latency_clock import LatencyClock
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT, RawApi, RawPeer, raw_peer
from tests.support.recordings import remembered
from tests.support.simulations import submit
from tests.support.streams import START, start
from tests.support.tls_contexts import NO_CERTIFICATES

GRAIN = 1e-3
NO_DELAY = {"rest.regions.ping"}
"""Points of the table that take no time in any profile."""


@asynccontextmanager
async def running(
    profile: LatencyProfile = "realistic", **settings: Any
) -> AsyncIterator[tuple[MockOdyssey, LatencyClock]]:
    clock = LatencyClock()
    async with MockOdyssey(clock=clock, latency=profile, **settings) as mock:
        yield mock, clock


@asynccontextmanager
async def instant_http(mock: MockOdyssey) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """Yield an HTTP client and an access token that was issued without latency."""
    async with httpx.AsyncClient(trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES) as http:
        profile = mock.settings.latency
        mock.change_settings(latency="instant")
        token = await token_of(mock, http)
        mock.change_settings(latency=profile)
        yield http, token


@asynccontextmanager
async def instant_peer(mock: MockOdyssey, profile: LatencyProfile = "realistic") -> AsyncIterator[RawPeer]:
    """Yield a connected peer whose session has the latencies of `profile`. The delays of connecting were skipped."""
    # A session keeps the profile with which it was requested, so its delays are passed here.
    assert isinstance(mock.clock, LatencyClock)
    mock.change_settings(latency=profile)
    async with mock.clock.passing():
        opened = raw_peer(mock)
        peer = await opened.__aenter__()
    try:
        yield peer
    finally:
        await opened.__aexit__(None, None, None)


# The table


def test_table_has_every_http_point() -> None:
    points = LATENCIES.keys() - {"recording"}
    assert points <= POINTS.keys()
    assert set(HTTP_POINTS) <= points
    assert {point for point, row in LATENCIES.items() if not row.realistic} == NO_DELAY


@pytest.mark.parametrize("point", LATENCIES)
def test_slow_takes_longer_than_realistic(point: str) -> None:
    assert seconds("instant", point) == 0
    assert point in NO_DELAY or 0 < seconds("realistic", point) < seconds("slow", point)


# Requests


@pytest.mark.parametrize("profile", ["realistic", "slow"])
@pytest.mark.parametrize("point", sorted(set(HTTP_POINTS) - NO_DELAY))
async def test_response_comes_after_the_latency(point: str, profile: LatencyProfile) -> None:
    async with running(profile) as (mock, clock), instant_http(mock) as (http, token):
        asking = asyncio.create_task(ask(mock, http, point, token))
        await clock.until_delayed(point)
        await mock.advance(seconds(mock.settings.latency, point) - GRAIN)
        assert not asking.done()
        await mock.advance(GRAIN)
        async with asyncio.timeout(LIMIT):
            assert (await asking).status_code < 500
        assert clock.delayed == []


async def test_fault_delays_in_addition() -> None:
    async with running() as (mock, clock), instant_http(mock) as (http, token):
        mock.faults.add(at="rest.regions.list", do="delay", seconds=10, times=1)
        asking = asyncio.create_task(ask(mock, http, "rest.regions.list", token))
        await clock.until_delayed("rest.regions.list")
        await mock.advance(0.1)
        await mock.wait_for("fault", "rest.regions.list")
        await mock.advance(9.9)
        assert not asking.done()
        await mock.advance(0.1)
        assert (await asking).status_code == 200


@pytest.mark.parametrize("point", sorted(set(HTTP_POINTS) - NO_DELAY))
async def test_given_up_request_is_handled_unless_it_reads(point: str) -> None:
    async with nothing_left(), running() as (mock, clock), instant_http(mock) as (http, token):
        since = mock.journal.next_index
        asking = asyncio.create_task(ask(mock, http, point, token))
        await clock.until_delayed(point)
        asking.cancel()
        async with asyncio.timeout(LIMIT):
            while not (entries := [each for each in mock.journal.find("rest") if each.index >= since]):
                await mock.journal.reach(mock.journal.next_index)
        (entry,) = entries
        is_handled = entry.data["status"] is not None
        assert is_handled == (entry.data["method"] != "GET"), (
            f"expected the mock to handle the cancelled request {entry.name} unless its method is GET, "
            f"got status {entry.data['status']} (None: not handled)"
        )
        assert clock.delayed == []
        assert (len(mock.sessions), len(mock.jobs)) == (
            int(point == "rest.sessions.request"),
            int(point == "rest.simulations.create"),
        )


async def test_request_cut_off_by_server_is_not_handled() -> None:
    async with nothing_left(), running() as (mock, clock), instant_http(mock) as (http, token):
        asking = asyncio.create_task(ask(mock, http, "rest.sessions.request", token))
        await clock.until_delayed("rest.sessions.request")
        await mock.go_away()
        with pytest.raises(httpx.TransportError):
            await asking
        await mock.wait_for("rest", "POST /sessions/request", status=None)
        assert (dict(mock.sessions), clock.delayed) == ({}, [])


async def test_request_during_reset_gets_a_response() -> None:
    async with nothing_left(), running() as (mock, clock), instant_http(mock) as (http, token):
        asking = asyncio.create_task(ask(mock, http, "rest.sessions.request", token))
        await clock.until_delayed("rest.sessions.request")
        await mock.reset()
        await mock.advance(1)
        assert (await asking).status_code == 401, (
            f"expected 401, because the reset made the access token invalid, got {asking.result().status_code}"
        )


async def test_closing_mock_ends_delayed_requests() -> None:
    async with nothing_left(), httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        async with running() as (mock, clock):
            asking = asyncio.create_task(http.post(f"{mock.url}/auth/token", json={"api_key": mock.api_key}))
            await clock.until_delayed("rest.auth.token")
        with pytest.raises(httpx.TransportError):
            await asking
        mock.expect("POST /auth/token", status=None)


async def test_profile_changes_for_new_requests() -> None:
    async with running("instant") as (mock, clock), instant_http(mock) as (http, token):
        mock.change_settings(latency="slow")
        asking = asyncio.create_task(ask(mock, http, "rest.regions.list", token))
        await clock.until_delayed("rest.regions.list")
        mock.change_settings(latency="instant")
        assert (await ask(mock, http, "rest.regions.list", token)).status_code == 200
        await mock.advance(1)
        assert (await asking).status_code == 200


# Live sessions


async def test_connect_takes_the_time_of_its_steps() -> None:
    async with running() as (mock, clock), Odyssey(mock.api_key, api_url=mock.url) as client:
        began = clock.time()
        async with clock.passing():
            await client.connect()
        steps = ["rest.auth.token", "rest.regions.list", "rest.sessions.request", "rest.sessions.token"]
        steps += ["signaling.config", "signaling.upgrade", "signaling.offer", "signaling.answer"]
        assert [each for each in clock.passed if each != "signaling.candidate"] == steps
        assert clock.time() - began == pytest.approx(0.3 + 0.1 + 0.8 + 0.2 + 0.1 + 0.2 + 1.0 + 0.4, abs=GRAIN)
        await client.disconnect()


async def test_stream_messages_take_their_time() -> None:
    async with running() as (mock, _), instant_peer(mock) as peer:
        peer.say({**START, "broadcast": True})
        await mock.wait_for("channel", "interactive_stream_start")
        await mock.advance(1.5 - GRAIN)
        assert not mock.streams
        await mock.advance(GRAIN)
        assert (await peer.hear())["type"] == "stream_started"
        await mock.advance(1.0 - GRAIN)
        mock.expect_none("broadcast_ready")
        await mock.advance(GRAIN)
        assert (await peer.hear())["type"] == "broadcast_ready"
        peer.say({"type": "update", "prompt": "It rains"})
        await mock.wait_for("channel", "update")
        await mock.advance(0.8)
        assert (await peer.hear())["type"] == "update_acknowledged"
        peer.say({"type": "interactive_stream_end"})
        await mock.wait_for("channel", "interactive_stream_end")
        await mock.advance(0.3 - GRAIN)
        mock.expect_none("stream_ended")
        await mock.advance(GRAIN)
        assert (await peer.hear())["type"] == "stream_ended"


async def test_messages_keep_their_order() -> None:
    async with running() as (mock, clock), instant_peer(mock) as peer:
        peer.say(START)
        await clock.until_delayed("stream.start")
        await mock.advance(1.5)
        stream_id = (await peer.hear())["stream_id"]
        peer.say({"type": "update", "prompt": "It rains"})
        peer.say({"type": "interactive_stream_end"})
        await clock.until_delayed("stream.interact", "stream.end")
        await mock.advance(0.8 - GRAIN)
        assert mock.streams[stream_id].ended_at is None, (
            "expected the stream to end only after the earlier interaction, but it has ended"
        )
        await mock.advance(GRAIN)
        assert mock.streams[stream_id].ended_at is not None
        assert len(mock.streams[stream_id].timeline.changes) == 2


@pytest.mark.parametrize("end", ["disconnect", "reset", "vanish"])
async def test_session_that_ends_leaves_no_delayed_messages(end: str) -> None:
    async with nothing_left(), running(session_grace=0) as (mock, clock), instant_peer(mock) as peer:
        peer.say({**START, "broadcast": True})
        await clock.until_delayed("stream.start")
        (session,) = mock.sessions.values()
        match end:
            case "disconnect":
                await peer.say_on_socket({"type": "client_disconnecting"})
                await mock.wait_for("state", "session", to="closed")
            case "reset":
                await mock.reset()
            case "vanish":
                session.vanish()
                await peer.connection.close()
                await peer.socket.close(1011)
                await mock.wait_for("state", "session", to="closed")
        assert clock.delayed == []
        await mock.advance(60)
        assert (dict(mock.sessions), dict(mock.streams)) == ({}, {})


async def test_broadcast_is_announced_after_latency_and_fault() -> None:
    async with running() as (mock, _), instant_peer(mock) as peer:
        mock.faults.add(at="stream.broadcast", do="late", seconds=4)
        peer.say({**START, "broadcast": True})
        await mock.wait_for("channel", "interactive_stream_start")
        await mock.advance(1.5)
        assert (await peer.hear())["type"] == "stream_started"
        await mock.advance(4.9)
        mock.expect_none("broadcast_ready")
        await mock.advance(0.1)
        assert (await peer.hear())["type"] == "broadcast_ready"


async def test_running_session_keeps_its_profile() -> None:
    async with running() as (mock, clock), instant_peer(mock) as slow, instant_peer(mock, "instant") as fast:
        await start(fast)
        slow.say(START)
        await clock.until_delayed("stream.start")


async def test_delayed_offer_ends_with_the_client() -> None:
    async with nothing_left(), running() as (mock, clock):
        async with clock.passing(), RawApi(mock) as api:
            session = await api.request_session()
            token = await api.token_for(session["session_id"])
        url = f"{session['signalling_url']}/client/{session['session_id']}?token={token}"
        opening = asyncio.create_task(_opened(url))
        await clock.until_delayed("signaling.upgrade")
        await mock.advance(0.2)
        socket = await opening
        await clock.until_delayed("signaling.offer")
        await socket.close()
        await mock.wait_for("state", "session", to="waiting")
        assert clock.delayed == []
        mock.expect_none("offer")


async def _opened(url: str) -> ClientConnection:
    return await connect(url, proxy=None)


INACTIVITY = 40
"""The default of the setting `inactivity` in seconds."""


@pytest.mark.parametrize("profile", ["realistic", "slow"])
@pytest.mark.parametrize(
    ("point", "message"),
    [
        ("stream.start", START),
        ("stream.interact", {"type": "update", "prompt": "It rains"}),
        ("stream.end", {"type": "interactive_stream_end"}),
    ],
)
async def test_message_that_waits_counts_as_activity(point: str, message: object, profile: LatencyProfile) -> None:
    async with running() as (mock, clock), instant_peer(mock, profile) as peer:
        (session,) = mock.sessions.values()
        delay = seconds(profile, point)
        await mock.advance(INACTIVITY - delay / 2)
        peer.say(message)
        await clock.until_delayed(point)
        await mock.advance(delay)
        assert (session.state, clock.delayed) == ("connected", [])
        if point == "stream.start":
            assert (await peer.hear())["type"] == "stream_started"
        else:
            await mock.advance(INACTIVITY)
            assert session.state == "closed", (
                f"expected the session to be closed, because its client was inactive too long, got {session.state}"
            )


async def test_start_may_wait_longer_than_the_inactivity_limit() -> None:
    async with running(inactivity=3) as (mock, clock), instant_peer(mock, "slow") as peer:
        peer.say(START)
        await clock.until_delayed("stream.start")
        await mock.advance(8)
        assert (await peer.hear())["type"] == "stream_started"


async def test_preparation_of_a_stream_counts_as_activity(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    prepare = StreamSetup.prepare

    async def prepare_slowly(self: StreamSetup, message: Start, identity: SessionIdentity) -> Any:
        begun.set()
        await may_end.wait()
        return await prepare(self, message, identity)

    monkeypatch.setattr(StreamSetup, "prepare", prepare_slowly)
    async with running("instant") as (mock, _), instant_peer(mock, "instant") as peer:
        peer.say(START)
        async with asyncio.timeout(LIMIT):
            await begun.wait()
        async with asyncio.timeout(LIMIT):
            await mock.advance(INACTIVITY)
        may_end.set()
        assert (await peer.hear())["type"] == "stream_started"


@pytest.mark.parametrize("grace", [2, 10])
@pytest.mark.parametrize("profile", ["instant", "realistic", "slow"])
def test_lost_client_returns_in_every_profile(profile: LatencyProfile, grace: float) -> None:
    async def scenario(world: World) -> list[str]:
        told: list[str] = []
        returned = asyncio.Event()

        def tell(status: ConnectionStatus) -> None:
            told.append(str(status))
            if told[-2:] == ["reconnecting", "connected"] or status == "failed":
                returned.set()

        world.mock.faults.add(at="signaling.connected", do="close", code=1011, seconds=1, times=1)
        client = world.client()
        await client.connect(on_status_change=tell)
        session = client.current_session_id
        await returned.wait()
        assert client.current_session_id == session, (
            f"expected the client to resume the session {session}, got {client.current_session_id}"
        )
        await client.disconnect()
        return told

    went = run(7, scenario, settings={"latency": profile, "session_grace": grace})
    assert (went.error, went.left) == (None, ())
    assert went.result is not None
    assert went.result[-3:] == ["reconnecting", "connected", "disconnected"]


@pytest.mark.parametrize("profile", ["realistic", "slow"])
@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("session_grace", "the lost client did not return within 5 s (setting `session_grace`)"),
        ("dangling_session", "no peer connected within 5 s (setting `dangling_session`)"),
    ],
)
async def test_connect_limits_leave_time_for_the_delays(setting: str, why: str, profile: LatencyProfile) -> None:
    async with running("instant", **{setting: 5}) as (mock, clock):
        if setting == "session_grace":
            async with instant_peer(mock, profile) as peer:
                peer.socket.transport.abort()
                await mock.wait_for("state", "session", to="held")
        else:
            mock.change_settings(latency=profile)
            async with clock.passing(), RawApi(mock) as api:
                await api.request_session()
        delay = connecting(profile)
        await mock.advance(5 + delay - GRAIN)
        mock.expect_none("session", to="closed")
        await mock.advance(GRAIN)
        closed = mock.expect("session", to="closed")
        assert closed.why == f"{why} and {delay:g} s for the delays of a connect (setting `latency`)"


# Recordings and jobs


async def test_recording_is_missing_at_first() -> None:
    async with running() as (mock, clock), instant_http(mock) as (http, token):
        live, simulated = remembered(mock, recording_delay=15), remembered(mock)
        assert await _recordings(mock, clock, http, token) == {simulated}
        await mock.advance(15)
        assert await _recordings(mock, clock, http, token) == {live, simulated}


async def test_recording_exists_fifteen_seconds_after_the_end() -> None:
    async with running() as (mock, _):
        record = mock.streams[remembered(mock, recording_delay=15)]
        await mock.advance(15 - GRAIN)
        assert not mock.recordings.is_available(record)
        await mock.advance(GRAIN)
        assert mock.recordings.is_available(record)


@pytest.mark.parametrize(("profile", "later"), [("instant", "slow"), ("slow", "instant"), ("realistic", "slow")])
async def test_recording_keeps_the_profile_of_its_session(profile: LatencyProfile, later: LatencyProfile) -> None:
    async with running("instant") as (mock, clock), instant_peer(mock, profile) as peer:
        peer.say(START)
        await mock.wait_for("channel", "interactive_stream_start")
        async with clock.passing():
            stream_id = (await peer.hear())["stream_id"]
            peer.say({"type": "interactive_stream_end"})
            assert (await peer.hear())["type"] == "stream_ended"
        record = mock.streams[stream_id]
        delay = seconds(profile, "recording")
        assert mock.recordings.is_available(record) == (profile == "instant")
        mock.change_settings(latency=later)
        assert mock.recordings.is_available(record) == (profile == "instant")
        await mock.advance(delay)
        assert mock.recordings.is_available(record)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "has ended; its recording takes 15 s after its end (setting `latency`), of which 11.0 s are left"),
        (
            {"ended_at": None},
            "is still running; its recording takes 15 s after its end (setting `latency`)",
        ),
    ],
)
async def test_missing_recording_states_its_cause(fields: dict[str, Any], why: str) -> None:
    async with running() as (mock, _), instant_http(mock) as (http, token):
        stream_id = remembered(mock, recording_delay=15, **fields)
        mock.change_settings(latency="instant")
        await mock.advance(4)
        answer = await http.get(f"{mock.url}/recordings/{stream_id}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 404
        entry = mock.expect("GET /recordings/{stream_id}", status=404)
        assert entry.why == f"the stream {stream_id} {why}"


async def _recordings(mock: MockOdyssey, clock: LatencyClock, http: httpx.AsyncClient, token: str) -> set[str]:
    """Return the ids of the recordings that a client can list and get."""
    headers = {"Authorization": f"Bearer {token}"}
    async with clock.passing():
        listed = (await http.get(f"{mock.url}/stream-recordings", headers=headers)).json()["recordings"]
        shown = {each: await http.get(f"{mock.url}/recordings/{each}", headers=headers) for each in mock.streams}
    found = {stream_id for stream_id, response in shown.items() if response.status_code == 200}
    assert {each["stream_id"] for each in listed} == found
    return found


async def test_each_stage_of_a_job_takes_longer() -> None:
    async with running() as (mock, clock):
        async with clock.passing(), RawApi(mock) as api:
            job_id = await submit(api.http)
        record, began = mock.jobs[job_id], clock.time()
        await mock.advance(60)
        assert [(state, round(at - began, 3)) for state, at in record.history] == [
            ("pending", 0),
            ("dispatched", 3.2),
            ("processing", 5.4),
            ("completed", 8.4),
        ]


# With odyssey_client


async def live_session(client: Odyssey, mock: MockOdyssey) -> None:
    """Run a live session, and get its recording as soon as it exists."""
    await client.connect()
    stream_id = await client.start_stream("A cat on a windowsill")
    assert "rain" in await client.interact("It starts to rain")
    await client.end_stream()
    with pytest.raises(OdysseyApiError) as missing:
        await client.get_recording(stream_id)
    assert missing.value.code == "recording_not_found"
    await mock.advance(15)
    assert (await client.get_recording(stream_id)).stream_id == stream_id
    await client.disconnect()


async def test_live_session_under_a_manual_clock() -> None:
    async with (
        running(fps=10) as (mock, clock),
        Odyssey(mock.api_key, api_url=mock.url) as client,
        clock.passing(),
        asyncio.timeout(LIMIT),
    ):
        await live_session(client, mock)


async def test_live_session_under_a_scaled_clock() -> None:
    async with (
        MockOdyssey(speed=20, fps=10, latency="realistic") as mock,
        Odyssey(mock.api_key, api_url=mock.url) as client,
        asyncio.timeout(LIMIT),
    ):
        began = mock.clock.time()
        await live_session(client, mock)
        assert mock.clock.time() - began > 15 + 3.1 + 1.5 + 0.8 + 0.3


def test_live_session_in_simulated_time() -> None:
    took: list[float] = []

    async def scenario(world: World) -> None:
        client = world.client()
        began = world.loop.time()
        await client.connect()
        took.append(world.loop.time() - began)
        await client.start_stream("A cat")
        took.append(world.loop.time() - began - took[0])
        await client.disconnect()

    went = run(7, scenario, settings={"latency": "realistic"})
    assert (went.error, went.left) == (None, ())
    connecting, starting = took
    assert 3 <= connecting < 4, (
        "expected connect() to take 3 to 4 s, the sum of its delays without a request for ICE servers, "
        f"got {connecting} s"
    )
    assert 1.5 <= starting < 2
