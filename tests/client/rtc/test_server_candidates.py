"""Tests of candidates from STUN and TURN servers: usable URLs, several servers, TLS, failures and closing."""

import asyncio
import itertools
import logging
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aioice import Candidate, Connection, stun
from aioice.ice import StunProtocol
from aioice.turn import create_turn_endpoint

from odyssey_client import OdysseyConfigError, SystemClock
from odyssey_client.platform import IceServer
from odyssey_client.rtc import peer_connection, server_candidates
from odyssey_client.rtc.server_candidates import ALLOCATION_ATTEMPTS, MAX_RELAYS, ask_servers
from odyssey_client.rtc.spectator_peer import AiortcSpectatorPeer
from tests.support import coturn
from tests.support.free_ports import free_port, missing_ipv6
from tests.support.leftovers import nothing_left
from tests.support.requirements import require
from tests.support.tls_contexts import NO_CERTIFICATES, no_tls
from tests.support.tls_server import certified

HERE = "127.0.0.1"
LIMIT = 20.0
"""Timeout in seconds. Answers of a server take milliseconds."""


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Record the kind, host and port of each request to a server. All requests fail."""
    found: list[tuple[str, str, int]] = []

    async def ask_stun(_: object, server: tuple[str, int]) -> None:
        found.append(("STUN", *server))
        raise OSError("network is down")

    async def ask_turn(*_: object, server_addr: tuple[str, int], transport: str, ssl: object, **__: object) -> None:
        found.append((f"TURN over {'TLS' if ssl else transport}", *server_addr))
        raise OSError("network is down")

    monkeypatch.setattr(server_candidates, "server_reflexive_candidate", ask_stun)
    monkeypatch.setattr(server_candidates, "create_turn_endpoint", ask_turn)
    return found


def with_hosts(*addresses: str) -> Connection:
    """Return a connection whose host candidates have these addresses."""
    connection = Connection(ice_controlling=True)
    for each in addresses:
        fake = SimpleNamespace(local_candidate=SimpleNamespace(host=each))
        connection._protocols.append(cast("StunProtocol", fake))
    return connection


async def no_certificates() -> ssl.SSLContext:
    return NO_CERTIFICATES


@pytest.mark.parametrize(
    ("url", "requested"),
    [
        ("stun:host:3479", ("STUN", "host", 3479)),
        ("stun:host", ("STUN", "host", 3478)),
        ("turn:host:3479?transport=tcp", ("TURN over tcp", "host", 3479)),
        ("turn:host", ("TURN over udp", "host", 3478)),
        ("turns:host", ("TURN over TLS", "host", 5349)),
        ("turn:[2001:db8::1]:3478", ("TURN over udp", "2001:db8::1", 3478)),
        ("stun:127.0.0.1:3478", None),  # it would report the address of a host candidate
        ("stun:[2001:db8::1]:3478", None),
        ("turn:2001:db8::1", None),
        ("turn:anna:secret@host", None),
        ("turn://host", None),
        ("turn:", None),
        ("stun:", None),
        ("stun:host:no-port", None),
        ("stun:host:65535", ("STUN", "host", 65535)),
        ("stun:host:65536", None),
        ("turn:host:0", None),
        ("turn:host?transport=tls", None),
        ("turns:host?transport=udp", None),
        ("stuns:host", None),
        ("stun:host?transport=tcp", None),
        ("http://host", None),
    ],
)
async def test_only_ice_servers_with_usable_urls_are_used(
    url: str, requested: tuple[str, str, int] | None, requests: list[tuple[str, str, int]]
) -> None:
    assert await ask_servers(with_hosts("192.0.2.7"), 1, [IceServer([url])], no_certificates) == []
    assert requests == ([] if requested is None else [requested])


async def test_failed_stun_server_is_logged_once(
    requests: list[tuple[str, str, int]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    servers = [IceServer(["stun:host:3478"])]
    assert await ask_servers(with_hosts("192.0.2.7", "192.0.2.8", "2001:db8::7"), 1, servers, no_tls) == []
    assert requests == [("STUN", "host", 3478)] * 2  # IPv4 only
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("INFO", "ICE servers that cannot be used: stun:host:3478: network is down")
    ]


async def test_warning_names_only_turn_servers(
    requests: list[tuple[str, str, int]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    servers = [IceServer(["stun:one:3478"]), turn("turn:two:3478")]
    assert await ask_servers(with_hosts("192.0.2.7"), 1, servers, no_tls) == []
    assert sorted(requests) == [("STUN", "one", 3478), ("TURN over udp", "two", 3478)]
    reason = "turn:two:3478?transport=udp: network is down"
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", f"no TURN server can be used; connecting without one ({reason})"),
        ("INFO", "ICE servers that cannot be used: stun:one:3478: network is down"),
    ]


async def test_number_of_relays_is_limited(requests: list[tuple[str, str, int]]) -> None:
    urls = [f"turn:host-{number}" for number in range(MAX_RELAYS + 1)]
    assert await ask_servers(with_hosts(), 1, [turn(*urls)], no_tls) == []
    assert requests == [("TURN over udp", f"host-{number}", 3478) for number in range(MAX_RELAYS)]


async def test_unusable_root_certificates_are_an_error(requests: list[tuple[str, str, int]]) -> None:
    async def unusable() -> ssl.SSLContext:
        raise OdysseyConfigError("no such file")

    with pytest.raises(OdysseyConfigError, match="no such file"):
        await ask_servers(with_hosts("192.0.2.7"), 1, [turn("turn:host", "turns:host")], unusable)
    assert requests == []


def turn(*urls: str, credential: str = coturn.PASSWORD) -> IceServer:
    return IceServer(list(urls), coturn.USERNAME, credential)


@asynccontextmanager
async def asked(*servers: IceServer, tls: server_candidates.TlsContext = no_tls) -> AsyncIterator[list[Candidate]]:
    """Ask the servers for a connection without host candidates, and yield its candidates."""
    connection = Connection(ice_controlling=True)
    async with nothing_left():
        async with asyncio.timeout(LIMIT):
            yield await ask_servers(connection, 1, servers, tls)
        await connection.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client wait for all servers, longer than a test may take."""
    monkeypatch.setattr(server_candidates, "SERVER_LIMIT_S", 2 * LIMIT)
    monkeypatch.setattr(server_candidates, "OTHERS_LIMIT_S", 2 * LIMIT)


async def test_relay_does_not_wait_for_silent_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    require(coturn.missing())
    monkeypatch.setattr(server_candidates, "SERVER_LIMIT_S", 2 * LIMIT)
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
    if missing := missing_ipv6():
        pytest.skip(missing)
    port = free_port("::1")
    server = turn(f"turn:[::1]:{port}?transport=tcp")
    async with coturn.running("::1", port=port, relay=HERE), asked(server) as found:
        assert [(each.type, each.host) for each in found] == [("relay", HERE)]


@pytest.mark.usefixtures("patient")
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


@pytest.mark.usefixtures("patient")
async def test_wrong_password_is_logged_without_it(caplog: pytest.LogCaptureFixture) -> None:
    require(coturn.missing())
    caplog.set_level(logging.DEBUG)
    server = turn(f"turn:{HERE}:{(port := free_port())}?transport=tcp", credential="wrong-sesame-2718")
    async with coturn.running(HERE, port=port), asked(server) as found:
        assert found == []
    (record,) = [each for each in caplog.records if "no TURN server can be used" in each.message]
    assert record.levelno == logging.WARNING
    assert f"turn:{HERE}:{port}?transport=tcp: " in record.message
    assert "(401 - " in record.message
    assert "wrong-sesame-2718" not in caplog.text


@pytest.mark.usefixtures("patient")
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

    monkeypatch.setattr(server_candidates, "create_turn_endpoint", refuse)
    async with coturn.running(HERE, port=port), asked(turn(f"turn:{HERE}:{port}?transport=tcp")) as found:
        assert len(found) == relays


@pytest.mark.usefixtures("patient")
async def test_peer_closes_although_its_turn_server_is_silent(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(coturn.missing())
    monkeypatch.setattr(peer_connection, "CLOSE_LIMIT_S", 0.2)
    server = turn(f"turn:{HERE}:{(port := free_port())}?transport=tcp")
    async with asyncio.timeout(LIMIT), coturn.running(HERE, port=port) as process, nothing_left():
        peer = AiortcSpectatorPeer(
            [HERE], SystemClock(), connected=_nothing, ended=_nothing, frame=_nothing, lost=_nothing, tls=no_tls
        )
        async with peer:
            assert " typ relay " in await peer.offer([server])
            os.kill(process.pid, signal.SIGSTOP)
            await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert "did not close within" in caplog.text


def _nothing(*_: object) -> None:
    """Ignore a callback."""
