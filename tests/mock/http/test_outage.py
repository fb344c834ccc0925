"""Tests of outages: the server cuts connections, keeps its state, and leaks nothing."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidMessage

from odyssey_mock import MockOdyssey
from tests.support.http_points import token_of
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT, RawApi, raw_peer, raw_socket, receive
from tests.support.simulations import job, submit
from tests.support.streams import START
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.whep import RawSpectator, live

SMALL = (176, 320)


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES)


async def refused(mock: MockOdyssey) -> bool:
    """Return whether the mock's port refuses a new connection."""
    try:
        _, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", int(mock.url.rpartition(":")[2])), LIMIT
        )
    except ConnectionRefusedError:
        return True
    writer.close()
    await writer.wait_closed()
    return False


async def test_server_comes_back_on_the_same_address() -> None:
    async with nothing_left(), client() as http, MockOdyssey() as mock:
        url = mock.url
        await mock.go_away()
        assert await refused(mock)
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{url}/_mock/health")
        await mock.come_back()
        assert mock.url == url
        assert (await http.get(f"{url}/_mock/health")).status_code == 200
        assert [entry.data["to"] for entry in mock.journal.find("state", "server")] == ["away", "up"]


async def test_server_comes_back_after_the_given_time() -> None:
    async with nothing_left(), MockOdyssey(clock="manual") as mock:
        await mock.go_away(30)
        await mock.advance(29.9)
        assert await refused(mock)
        await mock.advance(0.1)
        assert not await refused(mock)
        assert not mock.clock.pending


async def test_last_outage_call_sets_time_of_return() -> None:
    async with nothing_left(), MockOdyssey(clock="manual") as mock:
        await mock.go_away(10)
        await mock.go_away(20)
        await mock.advance(10)
        assert await refused(mock)
        await mock.go_away()
        await mock.advance(1000)
        assert await refused(mock)
        await mock.go_away(5)
        await mock.come_back()
        await mock.come_back()
        assert not await refused(mock)
        assert not mock.clock.pending
        assert [entry.data["to"] for entry in mock.journal.find("state", "server")] == ["away", "up"]


async def test_port_stays_reserved_during_an_outage() -> None:
    async with MockOdyssey() as mock:
        address = ("127.0.0.1", int(mock.url.rpartition(":")[2]))
        await mock.go_away()
        for shares in (False, True):
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, shares)
                with pytest.raises(OSError, match="in use"):
                    other.bind(address)
        await mock.come_back()
        assert not await refused(mock)


async def test_idle_connections_and_active_requests_are_cut() -> None:
    async with nothing_left(), client() as http, MockOdyssey() as mock:
        mock.faults.add(at="whep.config", do="no_answer")
        asking = asyncio.create_task(http.get(f"{mock.url}/config"))
        await mock.wait_for("fault", "whep.config")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(mock.url.rpartition(":")[2]))
        writer.write(b"GET /_mock/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        await mock.go_away()
        with pytest.raises(httpx.TransportError):
            await asking
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), LIMIT) == b""
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("turns", range(6))
async def test_client_connecting_during_go_away_is_cut(turns: int) -> None:
    async with nothing_left(), MockOdyssey() as mock:
        port = int(mock.url.rpartition(":")[2])
        with socket.socket() as connecting:
            connecting.setblocking(False)
            loop = asyncio.get_running_loop()
            # The kernel accepts the connection at once. The server then has `turns` loop iterations to serve it.
            connecting.connect_ex(("127.0.0.1", port))
            for _ in range(turns):
                await asyncio.wait([asyncio.ensure_future(turn())])
            await mock.go_away()
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(connecting, b"GET /_mock/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert await asyncio.wait_for(loop.sock_recv(connecting, 100), LIMIT) == b""


async def turn() -> None:
    """Run one iteration of the event loop."""


async def test_socket_is_cut_and_its_session_kept() -> None:
    async with nothing_left(), MockOdyssey(portrait_size=SMALL) as mock, RawApi(mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
        async with raw_socket(session, token) as socket:
            assert (await receive(socket))["type"] == "offer"
            await mock.go_away()
            with pytest.raises(ConnectionClosedError) as closed:
                await asyncio.wait_for(socket.recv(), LIMIT)
            assert closed.value.rcvd is None
        assert session["session_id"] in mock.sessions
        await mock.come_back()
        async with raw_socket(session, token) as socket:
            assert (await receive(socket))["type"] == "offer"


async def test_tokens_jobs_and_journal_are_kept() -> None:
    async with nothing_left(), MockOdyssey(clock="manual") as mock, client() as http:
        http.base_url = httpx.URL(mock.url)
        http.headers["Authorization"] = f"Bearer {await token_of(mock, http)}"
        job_id = await submit(http)
        await mock.go_away(30)
        await mock.advance(60)
        assert (await job(http, job_id))["status"] == "completed"
        assert mock.journal.find("rest", "POST /simulation-jobs")


async def test_stream_continues_for_the_session_grace() -> None:
    async with nothing_left(), MockOdyssey(clock="manual", portrait_size=SMALL, session_grace=10) as mock:
        async with raw_peer(mock) as peer:
            peer.say(START)
            stream_id = (await peer.hear())["stream_id"]
            await mock.go_away(5)
            await mock.wait_for("state", "session", to="held")
            await mock.advance(9)
            assert mock.streams[stream_id].ended_at is None
            await mock.advance(1)
            await mock.wait_for("state", "session", to="closed")
            assert mock.streams[stream_id].ended_at is not None
        assert not mock.sessions


async def test_spectators_can_reconnect_after_an_outage() -> None:
    async with nothing_left(), MockOdyssey(clock="manual", portrait_size=SMALL) as mock, live(mock) as broadcast:
        async with RawSpectator(broadcast):
            await mock.wait_for("state", "spectator", to="connected")
            await mock.go_away(1)
            await mock.wait_for("state", "spectator", to="gone")
        await mock.advance(1)
        async with RawSpectator(broadcast) as again:
            await again.frame()


async def test_peers_are_not_closed_properly() -> None:
    async with (
        nothing_left(),
        MockOdyssey(portrait_size=SMALL) as mock,
        live(mock) as broadcast,
        RawSpectator(broadcast) as spectator,
    ):
        await spectator.frame()
        await mock.go_away()
        # Wait until both peers are closed. The host's peer closes with its socket.
        for name, state in (("spectator", "gone"), ("socket", "closed")):
            await mock.wait_for("state", name, to=state)
        await mock.come_back()
        # Loopback delivers at once: a proper close would have arrived before this response.
        assert not await refused(mock)
        peers = (spectator.connection, broadcast.host.connection)
        assert [each.connectionState for each in peers] == ["connected", "connected"]


async def test_reset_ends_an_outage() -> None:
    async with nothing_left(), MockOdyssey(clock="manual") as mock:
        await mock.go_away(60)
        await mock.reset()
        assert not await refused(mock)
        assert not mock.clock.pending


async def test_closed_mock_ignores_outages() -> None:
    async with nothing_left():
        async with MockOdyssey() as mock:
            pass
        await mock.go_away(60)
        assert not mock.clock.pending
        await mock.come_back()
        assert not mock.journal.find("state", "server")


async def test_invalid_outage_time_changes_nothing() -> None:
    async with nothing_left(), MockOdyssey(clock="manual") as mock:
        await mock.go_away(60)
        for seconds in (-1.0, float("nan")):
            with pytest.raises(ValueError, match="must be a number, 0 or more"):
                await mock.go_away(seconds)
        await mock.advance(60)
        assert not await refused(mock)


async def test_exit_during_an_outage_leaks_nothing() -> None:
    async with nothing_left():
        async with MockOdyssey(portrait_size=SMALL) as mock:
            async with raw_peer(mock):
                await mock.go_away(3600)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 2.0
        await mock.come_back()
        assert await refused(mock)
        assert [entry.data["to"] for entry in mock.journal.find("state", "server")] == ["away"]


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_exit_during_come_back_leaks_nothing(when: str) -> None:
    async with nothing_left():
        async with MockOdyssey() as mock:
            await mock.go_away()
            back = asyncio.create_task(mock.come_back())
            if when == "meanwhile":
                await asyncio.wait([back], timeout=0)
        await back
        assert await refused(mock)


@pytest.mark.parametrize("moment", range(4))
async def test_concurrent_outage_calls_alternate_away_and_up(moment: int) -> None:
    async with nothing_left(), MockOdyssey() as mock:
        calls: list[Callable[[], Awaitable[None]]] = [mock.go_away, mock.come_back, mock.go_away, mock.come_back]
        await asyncio.gather(*(call() for call in calls[moment:] + calls[:moment]))
        await mock.come_back()
        assert not await refused(mock)
        changes = [entry.data["to"] for entry in mock.journal.find("state", "server")]
        assert changes == ["away", "up"] * (len(changes) // 2)


async def test_server_can_go_away_many_times() -> None:
    async with nothing_left(), client() as http, MockOdyssey() as mock:
        for _ in range(50):
            await mock.go_away()
            await mock.come_back()
            assert (await http.get(f"{mock.url}/_mock/health")).status_code == 200


async def test_server_fault_starts_an_outage() -> None:
    async with nothing_left(), client() as http, MockOdyssey(clock="manual") as mock:
        fault = mock.faults.add(at="server", do="away", seconds=60, after=1, times=1)
        assert (await http.get(f"{mock.url}/config")).status_code == 200
        assert (await http.get(f"{mock.url}/_mock/health")).status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await http.get(f"{mock.url}/config")
        assert await refused(mock)
        assert (fault.passed, fault.fired) == (2, 1)
        away, request = (mock.journal.find("fault", "server"), mock.journal.find("rest", "GET /config"))
        assert away[0].index < request[1].index
        assert request[1].data["status"] is None
        await mock.advance(60)
        assert (await http.get(f"{mock.url}/config")).status_code == 200


async def test_server_fault_matches_account_of_an_upgrade() -> None:
    async with nothing_left(), MockOdyssey(clock="manual") as mock:
        async with RawApi(mock) as mine, RawApi(mock, "ody_another") as other:
            sessions = [await api.request_session() for api in (mine, other)]
            tokens = [
                await api.token_for(session["session_id"]) for api, session in zip((mine, other), sessions, strict=True)
            ]
        mock.faults.add(at="server", do="away", seconds=60, match={"account": "ody_another"})
        async with raw_socket(sessions[0], tokens[0]) as socket:
            assert (await receive(socket))["type"] == "offer"
            with pytest.raises(InvalidMessage):
                async with raw_socket(sessions[1], tokens[1]):
                    pass
        assert await refused(mock)


async def test_go_away_before_entering_raises_an_error() -> None:
    with pytest.raises(RuntimeError, match="not running"):
        await MockOdyssey().go_away()


async def test_outages_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with MockOdyssey(portrait_size=SMALL) as mock, raw_peer(mock):
        await mock.go_away()
        await mock.come_back()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("odyssey_mock")] == []
