"""Tests of candidates from STUN and TURN servers: usable URLs, several servers, TLS, failures and closing."""

import asyncio
import itertools
import logging
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from aioice import Candidate, Connection, stun
from aioice.turn import create_turn_endpoint

from odyssey_client import SystemClock
from odyssey_client.platform import IceServer
from odyssey_client.rtc import gathering, peer_connection
from odyssey_client.rtc.gathering import ALLOCATION_ATTEMPTS, MAX_RELAYS, ask_servers, can_be_asked
from odyssey_client.rtc.spectator_peer import AiortcSpectatorPeer
from tests.support import coturn
from tests.support.leftovers import nothing_left
from tests.support.requirements import require
from tests.support.tls_server import certified

HERE = "127.0.0.1"
LIMIT = 20.0
"""Timeout in seconds. Answers of a server take milliseconds."""


@pytest.mark.parametrize(
    ("url", "usable"),
    [
        ("stun:127.0.0.1:3478", True),
        ("turn:host:3478?transport=tcp", True),
        ("turn:host", True),
        ("turns:host", True),
        ("turn:[2001:db8::1]:3478", True),
        ("stun:[2001:db8::1]:3478", False),
        ("turn:2001:db8::1", False),
        ("turn:anna:secret@host", False),
        ("turn://host", False),
        ("turn:", False),
        ("stun:", False),
        ("stun:host:no-port", False),
        ("stun:host:65535", True),
        ("stun:host:65536", False),
        ("turn:host:0", False),
        ("turn:host?transport=tls", False),
        ("turns:host?transport=udp", False),
        ("stuns:host", False),
        ("stun:host?transport=tcp", False),
        ("http://host", False),
    ],
)
def test_only_ice_servers_with_usable_urls_are_used(url: str, usable: bool) -> None:
    assert can_be_asked(url) is usable


async def no_tls() -> ssl.SSLContext:
    raise AssertionError("expected no TLS context to be needed")


def free_port() -> int:
    with closing(socket.create_server((HERE, 0))) as probe:
        return int(probe.getsockname()[1])


def turn(*urls: str, credential: str = coturn.PASSWORD) -> IceServer:
    return IceServer(list(urls), coturn.USERNAME, credential)


@asynccontextmanager
async def asked(*servers: IceServer, tls: gathering.TlsContext = no_tls) -> AsyncIterator[list[Candidate]]:
    """Ask the servers for a connection without host candidates, and yield its candidates."""
    connection = Connection(ice_controlling=True)
    async with nothing_left():
        async with asyncio.timeout(LIMIT):
            yield await ask_servers(connection, 1, servers, tls)
        await connection.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client wait for all servers, longer than a test may take."""
    monkeypatch.setattr(gathering, "SERVER_LIMIT_S", 2 * LIMIT)
    monkeypatch.setattr(gathering, "OTHERS_LIMIT_S", 2 * LIMIT)


async def test_relay_does_not_wait_for_silent_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    require(coturn.missing())
    monkeypatch.setattr(gathering, "SERVER_LIMIT_S", 2 * LIMIT)
    port = free_port()
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as silent:
        silent.bind((HERE, 0))
        urls = [f"turn:{HERE}:{silent.getsockname()[1]}", f"turn:{HERE}:{port}?transport=tcp"]
        async with coturn.running(HERE, port=port), asked(turn(*urls)) as found:
            assert [(each.type, each.host) for each in found] == [("relay", HERE)]


@pytest.mark.usefixtures("patient")
async def test_every_url_of_a_turn_server_is_used() -> None:
    require(coturn.missing())
    port = free_port()
    urls = [f"turn:{host}:{port}?transport=tcp" for host in (HERE, "localhost")]
    async with coturn.running(HERE, port=port), asked(turn(*urls)) as found:
        assert [each.type for each in found] == ["relay", "relay"]
        assert len({each.port for each in found}) == 2


@pytest.mark.usefixtures("patient")
async def test_turn_server_may_have_an_ipv6_address() -> None:
    require(coturn.missing())
    port = free_port()
    server = turn(f"turn:[::1]:{port}?transport=tcp")
    async with coturn.running("::1", port=port, relay=HERE), asked(server) as found:
        assert [(each.type, each.host) for each in found] == [("relay", HERE)]


async def test_turn_over_tls_trusts_the_given_roots(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require(coturn.missing())
    certified(tmp_path, HERE)
    server = turn(f"turns:{HERE}:{(port := free_port())}")

    async def trusting() -> ssl.SSLContext:
        return await asyncio.to_thread(ssl.create_default_context, cafile=str(tmp_path / "certificate.pem"))

    async def of_system() -> ssl.SSLContext:
        return await asyncio.to_thread(ssl.create_default_context)

    async with coturn.running(HERE, port=port, certified=tmp_path):
        async with asked(server, tls=trusting) as found:
            assert [each.type for each in found] == ["relay"]
        async with asked(server, tls=of_system) as found:
            assert found == []
    assert f"(turns:{HERE}:{port}?transport=tcp: " in caplog.text
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


async def test_wrong_password_is_logged_without_it(caplog: pytest.LogCaptureFixture) -> None:
    require(coturn.missing())
    caplog.set_level(logging.DEBUG)
    server = turn(f"turn:{HERE}:{(port := free_port())}?transport=tcp", credential="wrong-sesame-2718")
    async with coturn.running(HERE, port=port), asked(server) as found:
        assert found == []
    (record,) = [each for each in caplog.records if "no TURN server can be used" in each.message]
    assert record.levelno == logging.WARNING
    assert f"turn:{HERE}:{port}?transport=tcp: " in record.message
    assert "wrong-sesame-2718" not in caplog.text


@pytest.mark.parametrize(("code", "stale", "relays"), [(438, ALLOCATION_ATTEMPTS - 1, 1), (438, 99, 0), (486, 1, 0)])
async def test_allocation_is_repeated_after_a_stale_nonce(
    code: int, stale: int, relays: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(coturn.missing())
    port = free_port()
    attempts = itertools.count()

    async def refuse(*given: Any, **named: Any) -> Any:  # Any: passed through unchanged
        if next(attempts) >= stale:
            return await create_turn_endpoint(*given, **named)
        response = stun.Message(message_method=stun.Method.ALLOCATE, message_class=stun.Class.ERROR)
        response.attributes["ERROR-CODE"] = (code, "")
        raise stun.TransactionFailed(response)

    monkeypatch.setattr(gathering, "create_turn_endpoint", refuse)
    async with coturn.running(HERE, port=port), asked(turn(f"turn:{HERE}:{port}?transport=tcp")) as found:
        assert len(found) == relays


async def test_number_of_relays_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "SERVER_LIMIT_S", 0.1)
    async with AsyncExitStack() as stack:
        silent = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(MAX_RELAYS + 1)]
        for each in silent:
            each.setblocking(False)
            each.bind((HERE, 0))
        async with asked(turn(*(f"turn:{HERE}:{each.getsockname()[1]}" for each in silent))) as found:
            assert found == []
        for each in silent[:-1]:
            assert each.recv(2048)
        with pytest.raises(BlockingIOError):
            silent[-1].recv(2048)


async def test_peer_closes_although_its_turn_server_is_silent(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(coturn.missing())
    monkeypatch.setattr(peer_connection, "CLOSE_LIMIT_S", 0.2)
    server = turn(f"turn:{HERE}:{(port := free_port())}?transport=tcp")
    async with asyncio.timeout(LIMIT), coturn.running(HERE, port=port) as process, nothing_left():
        peer = AiortcSpectatorPeer(
            [HERE], SystemClock(), connected=_nothing, ended=_nothing, frame=_nothing, lost=_nothing
        )
        async with peer:
            assert " typ relay " in await peer.offer([server])
            os.kill(process.pid, signal.SIGSTOP)
            await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert "did not close within" in caplog.text


def _nothing(*_: object) -> None:
    """Ignore a callback."""
