"""Tests of every way in which a spectator's connection can end, over real HTTP and WebRTC."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import override

import httpx
import pytest
import pytest_asyncio
from aiortc import RTCPeerConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_mock import MockOdyssey
from odyssey_mock.broadcasts.broadcast import DELETABLE_FOR, Broadcast
from odyssey_mock.http.app import Service
from odyssey_mock.rtc.spectator_peer import AiortcSpectatorPeer
from odyssey_mock.system_network import SystemNetwork
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT, raw_peer
from tests.support.stand_ins import StandIns, opened, stand_ins
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.whep import FRAGMENT, SDP, Live, RawSpectator, go_live, live

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320))


async def why(mock: MockOdyssey, number: int = 1) -> str:
    """Wait until the journal records that spectator `number` is gone; return the recorded reason."""
    entry = await mock.wait_for("state", "spectator", LIMIT, to="gone", spectator=number)
    return str(entry.data["why"])


@pytest_asyncio.fixture
async def broadcast(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> AsyncIterator[Live]:
    """Yield a live broadcast. The HTTP client has already sent a request, so its connection to the mock is open."""
    async with live(odyssey_mock) as begun:
        await http.get("/config")
        yield begun


async def test_delete_before_connecting_ends_the_spectator(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, broadcast: Live
) -> None:
    async with nothing_left(), RawSpectator(broadcast, connects=False) as spectator:
        assert [(await http.delete(spectator.resource)).status_code for _ in range(2)] == [200, 404]
        assert await why(odyssey_mock) == "it was deleted"
    assert not odyssey_mock.broadcasts[broadcast.stream_id].spectators


CLIENT = contextvars.ContextVar("CLIENT", default=False)
"""Set in the context of each task of the client's peer, so that the test can find these tasks.

aiortc keeps no references to them.
"""


ICE_STATES = ("new", "checking", "completed")


async def reach(connection: RTCPeerConnection, state: str) -> None:
    """Wait until the ICE connection state is `state` or a later state in `ICE_STATES`."""
    async with asyncio.timeout(LIMIT):
        while ICE_STATES.index(connection.iceConnectionState) < ICE_STATES.index(state):
            changed = asyncio.Event()
            connection.once("iceconnectionstatechange", changed.set)
            await changed.wait()


@pytest.mark.parametrize("state", ICE_STATES)
async def test_delete_while_connecting_ends_the_spectator(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, broadcast: Live, state: str
) -> None:
    context = contextvars.copy_context()
    context.run(CLIENT.set, True)
    async with nothing_left():
        async with RawSpectator(broadcast, connects=False) as spectator:
            await asyncio.create_task(spectator.connect(), context=context)
            await reach(spectator.connection, state)
            assert (await http.delete(spectator.resource)).status_code == 200
            assert await why(odyssey_mock) == "it was deleted"
        for task in asyncio.all_tasks():
            if task.get_context().get(CLIENT):
                task.cancel()
                await asyncio.wait([task])
    assert not odyssey_mock.broadcasts[broadcast.stream_id].spectators


async def test_delete_while_watching_closes_the_peer(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, broadcast: Live
) -> None:
    async with nothing_left(), RawSpectator(broadcast) as spectator:
        await spectator.frame()
        assert [(await http.delete(spectator.resource)).status_code for _ in range(3)] == [200, 404, 404]
        await spectator.closed()
        assert await why(odyssey_mock) == "it was deleted"
        patched = await http.patch(spectator.resource, headers=FRAGMENT, content="a=ice-ufrag:x\r\n")
        assert patched.status_code == 404


async def test_closed_peer_connection_ends_the_spectator(odyssey_mock: MockOdyssey, broadcast: Live) -> None:
    async with nothing_left():
        async with RawSpectator(broadcast) as spectator:
            await spectator.frame()
        assert await why(odyssey_mock) == "its peer connection was lost or closed"
    assert not odyssey_mock.broadcasts[broadcast.stream_id].spectators


@pytest.mark.odyssey(clock="manual")
@pytest.mark.parametrize(
    ("seconds", "statuses"), [(0, [200, 404]), (DELETABLE_FOR, [200, 404]), (DELETABLE_FOR + 0.1, [404, 404])]
)
async def test_closed_peer_can_be_deleted_for_a_while(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, broadcast: Live, seconds: float, statuses: list[int]
) -> None:
    async with RawSpectator(broadcast) as spectator:
        await spectator.frame()
    assert await why(odyssey_mock) == "its peer connection was lost or closed"
    await odyssey_mock.advance(seconds)
    patched = await http.patch(spectator.resource, headers=FRAGMENT, content="a=ice-ufrag:x\r\n")
    assert patched.status_code == 404
    assert [(await http.delete(spectator.resource)).status_code for _ in range(2)] == statuses


@pytest.mark.off_contract("sends fake SDP")
async def test_closing_peer_can_be_deleted_once(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, peers: StandIns
) -> None:
    broadcast = opened(odyssey_mock.backend)
    resource = (await post(http, broadcast)).headers["Location"]
    peer = await peers.asked()
    peer.lost()
    assert [(await http.delete(resource)).status_code for _ in range(2)] == [200, 404]
    assert await why(odyssey_mock) == "its peer connection was lost or closed"


@pytest.mark.off_contract("sends fake SDP")
@pytest.mark.parametrize("end", ["the spectator leaves", "the stream ends", "the peer closes, then the stream ends"])
async def test_spectator_ended_by_the_mock_is_not_deletable(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, peers: StandIns, end: str
) -> None:
    broadcast = opened(odyssey_mock.backend)
    resource = (await post(http, broadcast)).headers["Location"]
    peer = await peers.asked()
    if end == "the spectator leaves":
        (spectator,) = broadcast.spectators.values()
        spectator.leave("dropped by the test")
    if end == "the peer closes, then the stream ends":
        peer.lost()
    if "stream ends" in end:
        broadcast.end()
    assert (await http.delete(resource)).status_code == 404


@pytest.mark.off_contract("sends fake SDP")
async def test_memory_of_closed_peers_is_bounded(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, peers: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odyssey_mock.broadcasts.broadcast._MOST_CLOSED", 2)
    broadcast = opened(odyssey_mock.backend)
    resources = []
    for _ in range(3):
        resources.append((await post(http, broadcast)).headers["Location"])
        peers[-1].lost()
    assert [(await http.delete(resource)).status_code for resource in resources] == [404, 200, 200]


async def test_vanished_client_ends_the_spectator(odyssey_mock: MockOdyssey, broadcast: Live) -> None:
    async with RawSpectator(broadcast) as spectator, RawSpectator(broadcast) as other:
        await other.frame()
        await spectator.frame()
        (ice,) = {each.receiver.transport.transport for each in spectator.connection.getTransceivers()}
        (served, _) = odyssey_mock.broadcasts[broadcast.stream_id].spectators.values()
        assert isinstance(served._peer, AiortcSpectatorPeer)
        (theirs,) = {each.sender.transport.transport for each in served._peer._connection.getTransceivers()}
        # The test closes the mock's ICE connection as failed consent checks (RFC 7675) would do after half a minute.
        await theirs._connection.close()
        assert await why(odyssey_mock) == "its peer connection was lost or closed"
        assert ice.state == "completed", f"expected the client's ICE connection to stay completed, got {ice.state}"
        await other.frame()
    await why(odyssey_mock, 2)


@pytest.fixture
def peers() -> Iterator[StandIns]:
    with stand_ins() as made:
        yield made


def post(http: httpx.AsyncClient, broadcast: Broadcast, offer: str = "h264") -> "asyncio.Task[httpx.Response]":
    path = f"/broadcast/{broadcast.stream_id}/whep"
    return asyncio.create_task(http.post(path, params={"token": broadcast.token}, headers=SDP, content=offer))


def nothing_of(broadcast: Broadcast) -> bool:
    return not broadcast.spectators and not [each for each in asyncio.all_tasks() if "spectator" in each.get_name()]


@pytest.mark.odyssey(clock="manual")
@pytest.mark.off_contract("sends fake SDP")
async def test_disconnect_before_answer_times_out_the_spectator(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, peers: StandIns
) -> None:
    peers.answering = False
    broadcast = opened(odyssey_mock.backend)
    posting = post(http, broadcast)
    peer = await peers.asked()
    posting.cancel()
    await asyncio.wait([posting])
    peer.may_answer.set()
    await odyssey_mock.wait_for("state", "spectator", to="answered")
    await odyssey_mock.advance(10)
    assert await why(odyssey_mock) == "it did not connect in time"
    assert nothing_of(broadcast)


@pytest.mark.off_contract("sends fake SDP")
async def test_cancelled_request_ends_the_spectator(odyssey_mock: MockOdyssey, peers: StandIns) -> None:
    peers.answering = False
    broadcast = opened(odyssey_mock.backend)
    transport = httpx.ASGITransport(Service(odyssey_mock.backend, odyssey_mock.go_away))
    async with httpx.AsyncClient(transport=transport, base_url=odyssey_mock.url) as http:
        posting = post(http, broadcast)
        peer = await peers.asked()
        posting.cancel()
        await asyncio.wait([posting])
        peer.may_answer.set()
        assert await why(odyssey_mock) == "its request was cut off"
        assert nothing_of(broadcast)


@pytest.mark.off_contract("sends fake SDP")
@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("the stream ends", "the stream has ended"),
        ("the mock is reset", "the stream has ended"),
        ("the peer is lost", "its peer connection was lost or closed"),
    ],
)
async def test_end_while_answering_the_offer_is_404(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, peers: StandIns, end: str, reason: str
) -> None:
    peers.answering = False
    broadcast = opened(odyssey_mock.backend)
    posting = post(http, broadcast)
    peer = await peers.asked()
    resetting: asyncio.Task[None] | None = None
    match end:
        case "the stream ends":
            broadcast.end()
        case "the mock is reset":
            resetting = asyncio.create_task(odyssey_mock.reset())
            await asyncio.wait([resetting], timeout=0)
        case _:
            peer.lost()
    peer.may_answer.set()
    answer = await posting
    assert (answer.status_code, answer.json()) == (
        404,
        {"status": "error", "error": f"the connection was closed before the SDP answer was sent: {reason}"},
    )
    if resetting is not None:
        await resetting
    else:
        assert await why(odyssey_mock) == reason
    assert nothing_of(broadcast)


class NoDescriptors(SystemNetwork):
    """A network whose `ice_addresses` raises EMFILE (too many open files) while `exhausted` is true."""

    exhausted = False

    @override
    def ice_addresses(self, loopback_only: bool) -> list[str]:
        if self.exhausted:
            raise OSError(24, "Too many open files")
        return super().ice_addresses(loopback_only)


async def test_exhausted_file_descriptors_are_a_503() -> None:
    network = NoDescriptors()
    async with (
        MockOdyssey(network=network) as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        broadcast = opened(mock.backend)
        await http.get("/config")
        async with nothing_left():
            network.exhausted = True
            answer = await post(http, broadcast)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert "raise the limit of its process (ulimit -n)" in answer.json()["error"]
            assert nothing_of(broadcast)
        network.exhausted = False
        status = (await post(http, broadcast)).status_code
        assert status == 400, f"expected 400 (invalid offer) after file descriptors became free, got {status}"


async def test_late_answer_is_a_503(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, peers: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odyssey_mock.broadcasts.spectator.ANSWER_LIMIT", 0.01)
    peers.answering = False
    answer = await post(http, opened(odyssey_mock.backend))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "its offer was not answered within 0.01 s" in answer.json()["error"]


async def test_bug_while_answering_is_a_500(peers: StandIns) -> None:
    async with (
        MockOdyssey() as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        broadcast = opened(mock.backend)
        assert (await post(http, broadcast, "broken")).status_code == 500
        defect = await mock.wait_for("note", "defect")
        assert "the fake peer failed" in defect.data["error"]
        assert await why(mock) == "its offer could not be answered: the fake peer failed"
        assert nothing_of(broadcast)


@pytest.mark.parametrize("end", ["reset", "leave"])
async def test_reset_or_stop_ends_spectators_in_every_state(end: str) -> None:
    async with nothing_left(), AsyncExitStack() as clients:
        mock = MockOdyssey(portrait_size=(176, 320))
        async with mock, raw_peer(mock) as host:
            broadcast = await go_live(mock, host)
            begun = mock.broadcasts[broadcast.stream_id]
            watching = await clients.enter_async_context(RawSpectator(broadcast))
            await watching.frame()
            await clients.enter_async_context(RawSpectator(broadcast, connects=False))
            deleted = await clients.enter_async_context(RawSpectator(broadcast, connects=False))
            async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
                await http.delete(deleted.resource)
                late = RawSpectator(broadcast, connects=False)
                content = await late.offer()
                posting = asyncio.create_task(
                    http.post(broadcast.whep, params={"token": broadcast.token}, headers=SDP, content=content)
                )
                while len(begun.spectators) < 4 and not posting.done():
                    await asyncio.wait([posting], timeout=0.001)
                await (mock.reset() if end == "reset" else mock.__aexit__(None, None, None))
                assert nothing_of(begun)
                await asyncio.wait([posting])
                assert posting.exception() is None
                assert posting.result().status_code in {201, 404}
            await late.connection.close()
            await watching.closed()


CANDIDATES = st.tuples(
    st.sampled_from(["1", "", "a b"]),
    st.sampled_from(["1", "2", "x", "99999999999"]),
    st.sampled_from(["udp", "UDP", "tcp", "sctp"]),
    st.sampled_from(["1", "-1", "x", str(2**64)]),
    st.sampled_from(["127.0.0.1", "::1", "0.0.0.0", "256.1.1.1", "host.invalid", "x.local", "ü", "fe80::1%lo"]),
    st.sampled_from(["9", "0", "65536", "-1", "x"]),
    st.sampled_from(["typ host", "typ srflx raddr 1.1.1.1 rport x", "typ relay", "typ other", "typ", ""]),
).map(lambda parts: f"candidate:{' '.join(parts)}")


@pytest.mark.off_contract("sends invalid candidates")
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CANDIDATES, min_size=1, max_size=20))
async def test_spectator_connects_despite_invalid_candidates(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, broadcast: Live, candidates: list[str]
) -> None:
    async with RawSpectator(broadcast, connects=False) as spectator:
        for candidate in candidates:
            fragment = f"m=video 9 X 0\r\na=mid:0\r\na={candidate}\r\n"
            answer = await http.patch(spectator.resource, headers=FRAGMENT, content=fragment)
            assert answer.status_code in {204, 400}, (
                f"expected 204 or 400 for the candidate {candidate!r}, got {answer.status_code}"
            )
        await spectator.connect()
        await spectator.frame()
    assert not odyssey_mock.journal.find("note", "defect")
