"""Where signaling is, which ICE servers it names, and how its end is told."""

import asyncio
from typing import Any

import pytest

from odyssey_client import ClientCredentials, ServiceUnreachableError, SystemClock, SystemNetwork
from odyssey_client.connection import signaling
from odyssey_client.connection.messages import ServiceError
from odyssey_client.connection.signaling import (
    IceServer,
    SignalingLostError,
    fetch_ice_servers,
    open_signaling,
    read_ice_servers,
    signaling_base,
)
from tests.client.connection.scripted import Session, scripted


def credentials(url: str) -> ClientCredentials:
    return ClientCredentials("session", url, "secret-token", 600)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("ws://host/", "ws://host"),
        ("WSS://host:1/a//", "wss://host:1/a"),
        ("https://host/a?query#part", "wss://host/a"),
        ("http://[::1]:80", "ws://[::1]:80"),
    ],
)
def test_the_base_is_a_websocket_url_without_an_end(url: str, base: str) -> None:
    assert signaling_base(credentials(url)) == base


@pytest.mark.parametrize(
    ("body", "servers"),
    [
        ({"iceServers": []}, []),
        ({"iceServers": [{"urls": "stun:host"}]}, [IceServer(["stun:host"])]),
        (
            {"iceServers": [{"urls": ["turn:host", "http://host", 7], "username": "u", "credential": "c"}]},
            [IceServer(["turn:host"], "u", "c")],
        ),
        ({"iceServers": [{"urls": []}, {}, None, 7, {"urls": {"a": 1}}]}, []),
        ({"iceServers": [{"urls": "stun:host", "username": 7}]}, [IceServer(["stun:host"])]),
    ],
)
def test_ice_servers_are_read_and_nonsense_among_them_is_left_out(body: object, servers: list[IceServer]) -> None:
    assert read_ice_servers(body) == servers


def test_the_password_of_a_server_is_not_in_its_repr() -> None:
    assert "secret" not in repr(IceServer(["turn:host"], "user", "secret"))


@pytest.mark.parametrize("answer", [ServiceUnreachableError("refused"), ValueError("HTTP 500"), None, [], {"a": 1}])
async def test_without_an_answer_there_are_no_ice_servers(answer: Any) -> None:
    asked: list[str] = []

    async def fetch(url: str) -> object:
        asked.append(url)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await fetch_ice_servers(credentials("wss://host/path"), fetch, SystemClock()) == []
    assert asked == ["https://host/path/config"]


async def test_an_answer_that_does_not_come_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signaling, "CONFIG_LIMIT_S", 0.01)

    async def fetch(_: str) -> object:
        await asyncio.Event().wait()
        return None

    async with asyncio.timeout(5):
        assert await fetch_ice_servers(credentials("ws://host"), fetch, SystemClock()) == []


async def report(session: Session) -> None:
    await session.send({"type": "of the future"})
    await session.send({"type": "error", "reason": "streamer_not_available"})
    await session.socket.close(1011, "restarting")


async def test_messages_come_in_order_and_then_how_the_socket_was_closed() -> None:
    async with scripted(report) as theirs, open_signaling(theirs, SystemNetwork(), SystemClock()) as socket:
        assert await socket.receive() == ServiceError("streamer_not_available")
        for call in (socket.receive, lambda: socket.send("keepalive")):
            with pytest.raises(SignalingLostError) as lost:
                await call()
            assert (lost.value.close_code, lost.value.close_reason) == (1011, "restarting")
        await socket.keep_alive(0.001)  # returns: there is nothing to keep alive


async def test_a_socket_that_does_not_open_names_the_address_and_not_the_token() -> None:
    async with scripted(report) as gone:
        pass
    with pytest.raises(SignalingLostError, match=gone.signaling_url) as lost:
        async with open_signaling(credentials(gone.signaling_url), SystemNetwork(), SystemClock()):
            raise AssertionError("it opened")
    assert lost.value.close_code is None
    assert "secret" not in str(lost.value)
