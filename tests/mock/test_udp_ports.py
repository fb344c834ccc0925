"""Tests of the settings `udp_ports` and `udp_addresses` with real sessions and spectators, and of their errors."""

import asyncio
import re
import socket

import httpx
import pytest

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.core.network import ListenError
from tests.support.leftovers import nothing_left
from tests.support.raw import RawApi, RawPeer, raw_peer, raw_socket, receive
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.udp_ranges import free_range
from tests.support.whep import SDP, RawSpectator, go_live

SMALL = (176, 320)


def candidates(sdp: str) -> set[tuple[str, int]]:
    """Return address and port of each candidate in a description."""
    return {(address, int(port)) for address, port in re.findall(r"candidate:\S+ 1 udp \d+ (\S+) (\d+) ", sdp)}


def stun_port(config: httpx.Response) -> int:
    url: str = config.json()["iceServers"][0]["urls"]
    return int(url.rpartition(":")[2])


async def test_stun_and_peers_use_the_range_in_order() -> None:
    with free_range(3) as ports:
        async with (
            nothing_left(),
            MockOdyssey(udp_ports=str(ports), portrait_size=SMALL) as mock,
            RawApi(mock) as api,
            raw_peer(mock) as host,
        ):
            assert {port for _, port in candidates(host.connection.remoteDescription.sdp)} == {ports.first + 1}
            assert stun_port(await api.http.get("/config")) == ports.first
            live = await go_live(mock, host)
            async with RawSpectator(live) as spectator:
                await spectator.frame()
                assert {port for _, port in candidates(spectator.answer.text)} == {ports.last}


async def test_client_beyond_the_range_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with free_range(2) as ports:
        async with nothing_left(), MockOdyssey(udp_ports=str(ports)) as mock, RawApi(mock) as api:
            async with raw_peer(mock):
                session = await api.request_session()
                token = await api.token_for(session["session_id"])
                async with raw_socket(session, token) as socket_:
                    assert await receive(socket_) == {"type": "error", "reason": "streamer_not_available"}
                    await socket_.wait_closed()
                    assert socket_.close_code == 1013
                closed = mock.expect("socket", kind="state", session=session["session_id"], to="closed", code=1013)
                assert "set a larger range (udp_ports, --udp-ports)" in str(closed.data["why"])
                assert [record.message for record in caplog.records if f"range {ports} are in use" in record.message]
            await mock.wait_for("state", "session", to="closed")
            async with raw_peer(mock) as later:
                assert isinstance(later, RawPeer)
            assert not mock.journal.find(name="defect")


async def test_spectator_beyond_the_range_gets_503() -> None:
    with free_range(2) as ports:
        async with (
            nothing_left(),
            MockOdyssey(udp_ports=str(ports), portrait_size=SMALL) as mock,
            RawApi(mock) as api,
            raw_peer(mock) as host,
        ):
            live = await go_live(mock, host)
            spectator = RawSpectator(live)
            answer = await api.http.post(
                live.whep, params={"token": live.token}, headers=SDP, content=await spectator.offer()
            )
            await spectator.connection.close()
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert "set a larger range (udp_ports, --udp-ports)" in answer.json()["error"]
            assert not live.mock.broadcasts[live.stream_id].spectators


async def test_client_connects_although_the_advertised_address_is_unreachable() -> None:
    """The client learns the real address from the checks of the mock (a peer-reflexive candidate)."""
    async with (
        MockOdyssey(udp_addresses=["192.0.2.1"], portrait_size=SMALL) as mock,
        Odyssey(mock.api_key, api_url=mock.url) as client,
    ):
        stream = await client.connect()
        offer = mock.expect("offer", kind="signaling").data["message"]
        assert isinstance(offer, dict)
        assert {address for address, _ in candidates(str(offer["sdp"]))} == {"192.0.2.1"}
        await client.start_stream("A cat")
        async with asyncio.timeout(10):
            await anext(stream.frames())


async def test_stun_skips_a_port_in_use() -> None:
    with free_range(2) as ports, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", ports.first))
        async with (
            MockOdyssey(udp_ports=str(ports)) as mock,
            httpx.AsyncClient(base_url=mock.url, verify=NO_CERTIFICATES) as http,
        ):
            assert stun_port(await http.get("/config")) == ports.last


async def test_range_in_use_prevents_the_start() -> None:
    with (
        free_range(2) as ports,
        socket.socket(type=socket.SOCK_DGRAM) as one,
        socket.socket(type=socket.SOCK_DGRAM) as other,
    ):
        one.bind(("127.0.0.1", ports.first))
        other.bind(("127.0.0.1", ports.last))
        with pytest.raises(ListenError, match=rf"all UDP ports of the range {ports} are in use. Set another range"):
            await MockOdyssey(udp_ports=str(ports)).__aenter__()


async def test_range_without_rights_prevents_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    bind = socket.socket.bind

    def refuse(self: socket.socket, address: tuple[str, int]) -> None:
        if address[1] == 80:
            raise PermissionError(13, "Permission denied")
        bind(self, address)

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ListenError, match=r"UDP port 80: Permission denied\. Set another range \(udp_ports"):
        await MockOdyssey(udp_ports="80-90").__aenter__()
