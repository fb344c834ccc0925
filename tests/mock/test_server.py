"""Tests that `MockOdyssey` starts and stops fast, leaks nothing, and follows its settings."""

import asyncio
import contextlib
import gc
import logging
import re
import socket
import threading
import warnings

import httpx
import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect

from odyssey_mock import (
    AccountSettings,
    Jobs,
    JournalTimeoutError,
    ManualClock,
    MockOdyssey,
    RealClock,
    Settings,
    SettingsError,
    UnknownSettingError,
    server,
)
from odyssey_mock.core.entropy import SeededEntropy, SystemEntropy
from odyssey_mock.core.network import ListenError
from odyssey_mock.rtc.streamer_peer import AiortcStreamerPeer
from tests.support.raw import raw_peer
from tests.support.streams import start
from tests.support.tls_contexts import NO_CERTIFICATES

LIMIT = 5.0
OUR_LOGGERS = ("odyssey_mock", "uvicorn", "websockets.server", "starlette")


async def token_of(mock: MockOdyssey, http: httpx.AsyncClient) -> str:
    answer = await http.post(f"{mock.url}/auth/token", json={"api_key": mock.api_key})
    token: str = answer.json()["access_token"]
    return token


async def test_each_mock_has_its_own_port_and_key() -> None:
    async with (
        MockOdyssey() as one,
        MockOdyssey() as other,
        httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        assert one.url != other.url
        assert one.api_key != other.api_key
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", one.url)
        assert re.fullmatch(r"ody_[A-Za-z0-9_-]{4,}", one.api_key)
        for mock in (one, other):
            assert await token_of(mock, http)
            assert len(mock.journal.entries) == 1


async def test_stun_responder_listens_on_its_port() -> None:
    async with MockOdyssey() as mock:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, pytest.raises(OSError, match="in use"):
            taken.bind(("127.0.0.1", mock.backend.stun_port))


async def test_many_starts_are_fast_and_leak_nothing() -> None:
    loop = asyncio.get_running_loop()

    async def cycle(http: httpx.AsyncClient) -> float:
        began = loop.time()
        async with MockOdyssey() as mock:
            await http.get(f"{mock.url}/_mock/health")
        return loop.time() - began

    async with httpx.AsyncClient(trust_env=False, headers={"Connection": "close"}, verify=NO_CERTIFICATES) as http:
        await cycle(http)
        gc.collect()  # files that earlier tests have left open in cycles would be closed during this one
        process = psutil.Process()
        before = (process.num_fds(), threading.active_count(), len(asyncio.all_tasks()))
        took = [await cycle(http) for _ in range(200)]
        assert (process.num_fds(), threading.active_count(), len(asyncio.all_tasks())) == before
    # Check the minimum, because other load on the machine makes single cycles slower.
    assert min(took) < 0.05


async def open_socket(mock: MockOdyssey, http: httpx.AsyncClient) -> tuple[ClientConnection, str]:
    """Open a signaling socket and receive its first message; return the socket and the session token."""
    headers = {"Authorization": f"Bearer {await token_of(mock, http)}"}
    session = (await http.post(f"{mock.url}/sessions/request", json={}, headers=headers)).json()
    body = {"session_id": session["session_id"]}
    token = (await http.post(f"{mock.url}/sessions/token", json=body, headers=headers)).json()["session_token"]
    websocket = await connect(f"{session['signalling_url']}/client/{session['session_id']}?token={token}", proxy=None)
    await websocket.recv()
    return websocket, token


async def test_exit_closes_connections_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
            async with MockOdyssey() as mock:
                websocket, _ = await open_socket(mock, http)
                began = asyncio.get_running_loop().time()
            assert asyncio.get_running_loop().time() - began < 2.0
            async with asyncio.timeout(LIMIT):
                await websocket.wait_closed()
            with pytest.raises(httpx.TransportError):
                await http.get(f"{mock.url}/_mock/health")
        gc.collect()


async def test_keys_and_tokens_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with MockOdyssey() as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
            websocket, token = await open_socket(mock, http)
            await websocket.close()
            await mock.wait_for("state", "session", to="waiting")
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith(OUR_LOGGERS))
    assert token not in ours
    assert mock.api_key not in ours
    assert token not in mock.journal.to_jsonl()


async def test_loggers_of_other_servers_are_unchanged() -> None:
    access = logging.getLogger("uvicorn.access")
    before = (access.propagate, access.level, list(access.handlers), logging.getLogger("uvicorn.error").level)
    async with MockOdyssey():
        pass
    assert (access.propagate, access.level, list(access.handlers), logging.getLogger("uvicorn.error").level) == before


async def test_unfinished_request_does_not_delay_the_exit() -> None:
    async with MockOdyssey() as mock:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(mock.url.rpartition(":")[2]))
        writer.write(b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < LIMIT
    async with asyncio.timeout(LIMIT):
        # The server cuts the connection, with or without a response.
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
    writer.close()


async def test_exit_cuts_session_that_does_not_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    close = AiortcStreamerPeer.close

    async def stuck(peer: AiortcStreamerPeer) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await close(peer)

    monkeypatch.setattr(AiortcStreamerPeer, "close", stuck)
    monkeypatch.setattr(server, "CLOSE_SESSIONS", 0.05)
    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        async with MockOdyssey() as mock:
            websocket, _ = await open_socket(mock, http)
        async with asyncio.timeout(LIMIT):
            await websocket.wait_closed()
    assert "sessions did not end" in caplog.text


async def test_sessions_end_though_jobs_fail_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(jobs: Jobs) -> None:
        await close(jobs)
        raise RuntimeError("no end")

    close = Jobs.close
    monkeypatch.setattr(Jobs, "close", broken)
    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        with pytest.raises(RuntimeError, match="no end"):
            async with MockOdyssey() as mock:
                websocket, _ = await open_socket(mock, http)
        async with asyncio.timeout(LIMIT):
            await websocket.wait_closed()
    mock.expect("session", kind="state", to="closed", event="shut_down")


async def test_journal_is_readable_after_the_exit() -> None:
    async with MockOdyssey() as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        await token_of(mock, http)
    assert [entry.name for entry in mock.journal.entries] == ["POST /auth/token"]
    assert mock.url in repr(mock)


async def test_url_before_entering_raises_an_error() -> None:
    mock = MockOdyssey()
    with pytest.raises(RuntimeError, match="enter it first"):
        _ = mock.url
    assert repr(mock) == "<MockOdyssey not running>"


async def test_mock_cannot_be_entered_twice() -> None:
    async with MockOdyssey() as mock:
        with pytest.raises(RuntimeError, match="already running"):
            await mock.__aenter__()
        assert mock.journal.entries == ()


async def test_used_port_raises_and_leaks_nothing() -> None:
    async with MockOdyssey() as mock:
        port = int(mock.url.rpartition(":")[2])
        gc.collect()  # as above
        before = psutil.Process().num_fds()
        with pytest.raises(ListenError, match=f"port {port}"):
            async with MockOdyssey(port=port):
                pass
        assert psutil.Process().num_fds() == before


async def test_settings_can_be_object_and_keywords() -> None:
    assert MockOdyssey(Settings(fps=10), streamers=3).settings == Settings(fps=10, streamers=3)
    with pytest.raises(UnknownSettingError, match="did you mean 'streamers'"):
        MockOdyssey(streamer=3)  # type: ignore[call-arg]  # a type checker reports it too
    with pytest.raises(SettingsError, match="fps must be"):
        MockOdyssey(fps=0)


async def test_given_clock_overrides_the_settings() -> None:
    assert isinstance(MockOdyssey().clock, RealClock)
    assert isinstance(MockOdyssey(clock="manual").clock, ManualClock)
    assert isinstance(MockOdyssey(Settings(clock="manual")).clock, ManualClock)
    clock = ManualClock(start=5.0)
    async with MockOdyssey(clock=clock) as mock:
        await mock.advance(1)
        assert mock.clock is clock
        assert clock.time() == 6.0


async def test_advanced_real_clock_ends_stream_at_its_limit() -> None:
    async with MockOdyssey(stream_duration=150) as mock, raw_peer(mock) as peer:
        stream = await start(peer)
        await mock.advance(149)
        assert mock.streams[stream].ended_at is None
        await mock.advance(1)
        assert mock.streams[stream].ended_at is not None
        assert (await peer.hear())["reason"] == "session_timeout"


async def test_video_continues_while_the_clock_is_paused() -> None:
    async with MockOdyssey(stream_duration=0.2, portrait_size=(176, 320)) as mock, raw_peer(mock) as peer:
        mock.clock.pause()
        stream = await start(peer)
        assert peer.track is not None
        for _ in range(10):  # half a second of video
            await peer.track.recv()
        assert mock.streams[stream].ended_at is None
        mock.clock.resume()
        assert (await peer.hear())["reason"] == "session_timeout"


async def test_clock_advances_to_its_next_deadline() -> None:
    async with MockOdyssey(clock="manual") as mock:
        before = mock.clock.time()
        expected = mock.clock.call_later(150, "limit", lambda: None)
        assert await mock.advance_to_next() is expected
        assert mock.clock.time() == before + 150
        assert await mock.advance_to_next() is None


async def test_same_seed_gives_the_same_key() -> None:
    assert MockOdyssey(seed=3).api_key == MockOdyssey(seed=3).api_key
    assert MockOdyssey(entropy=SeededEntropy(3)).api_key == MockOdyssey(seed=3).api_key
    assert MockOdyssey(seed=3).api_key != MockOdyssey(seed=4).api_key


class NotedEntropy(SystemEntropy):
    """A source of randomness that notes the sizes of its tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def token(self, nbytes: int) -> str:
        self.sizes.append(nbytes)
        return super().token(nbytes)


async def test_secrets_are_generated_when_they_are_needed() -> None:
    entropy = NotedEntropy()
    async with MockOdyssey(entropy=entropy) as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        assert (await http.get(f"{mock.url}/regions")).status_code == 401
        assert entropy.sizes == [18], "expected only the API key"
        access_token = await token_of(mock, http)
        assert entropy.sizes == [18, 32], "expected the API key and an access token"
        headers = {"Authorization": f"Bearer {access_token}"}
        session = (await http.post(f"{mock.url}/sessions/request", json={}, headers=headers)).json()["session_id"]
        for _ in range(2):
            body = {"session_id": session}
            assert (await http.post(f"{mock.url}/sessions/token", json=body, headers=headers)).status_code == 200
        assert entropy.sizes == [18, 32, 32], "expected in addition the secret that signs the tokens of all sessions"


async def test_api_key_is_the_first_configured_key() -> None:
    async with MockOdyssey(keys={"ody_first": AccountSettings(), "ody_second": AccountSettings()}) as mock:
        assert mock.api_key == "ody_first"
        async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
            assert await token_of(mock, http)


async def test_wait_timeout_shows_the_nearest_entry() -> None:
    async with MockOdyssey() as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        await token_of(mock, http)
        assert (await mock.wait_for("rest", "POST /auth/token", status=200)).index == 0
        with pytest.raises(JournalTimeoutError, match="status: expected 401, got 200"):
            await mock.wait_for("rest", "POST /auth/token", 0.001, status=401)


async def test_url_of_wildcard_host_is_reachable() -> None:
    async with MockOdyssey(host="0.0.0.0") as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        assert mock.url.startswith("http://127.0.0.1:")
        assert (await http.get(f"{mock.url}/_mock/health")).status_code == 200


async def test_error_in_the_block_is_propagated() -> None:
    with pytest.raises(LookupError, match="raised by the test"):
        async with MockOdyssey():
            raise LookupError("raised by the test")


async def test_ended_mock_is_not_told_of_later_deadlines() -> None:
    clock = ManualClock()
    async with MockOdyssey(clock=clock) as first:
        pass
    async with MockOdyssey(clock=clock) as second:
        clock.call_later(1, "a later deadline", lambda: None)
        await second.advance(1)
        second.expect("a later deadline", count=1)
    first.expect_none("a later deadline")
