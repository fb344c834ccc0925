"""Candidates from STUN and TURN servers for one aioice connection, in place of aioice's own.

aioice uses one TURN server, and waits until all servers have answered. A service may name a TURN server by several
URLs, of which a firewall lets only some through: usually UDP is blocked, and TCP or TLS works.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate
from aioice.stun import TransactionFailed
from aioice.turn import TurnTransport, create_turn_endpoint

from odyssey_client.loopback import is_loopback
from odyssey_client.platform import IceServer
from odyssey_client.redaction import get_logger

logger = get_logger(__name__)

type TlsContext = Callable[[], Awaitable[ssl.SSLContext]]
"""A function that returns the context for TLS connections."""

SERVER_LIMIT_S = 2.0
"""Seconds to wait for STUN and TURN servers; candidates that take longer are left out."""

OTHERS_LIMIT_S = 0.2
"""Seconds to wait for the other servers once a TURN server has answered: its candidate is enough to connect."""

MAX_RELAYS = 5
"""Maximum number of TURN URLs to use; later ones are ignored. Each adds a candidate, and so connectivity checks."""

ALLOCATION_ATTEMPTS = 5
"""How often to try to allocate an address while the server calls the nonce stale, which coturn does at random."""

STALE_NONCE = 438
"""The error code of an invalid nonce (RFC 8489 section 14.8)."""

_PORT, _TLS_PORT = 3478, 5349
"""Default ports of STUN and TURN servers (RFC 7064, RFC 7065)."""

_URL = re.compile(
    r"(?P<scheme>stun|turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[^][?:/@\s]{1,253})(?::(?P<port>[0-9]{1,5}))?"
    r"(?:\?transport=(?P<transport>udp|tcp))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class _Server:
    """A STUN or TURN server at one URL."""

    host: str
    port: int
    transport: str | None = None
    """The transport of a TURN server: `udp` or `tcp`; None for a STUN server."""
    is_tls: bool = False
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return the URL."""
        if self.transport is None:
            return f"stun:{self.host}:{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"turn{'s' if self.is_tls else ''}:{host}:{self.port}?transport={self.transport}"


async def ask_servers(
    connection: Connection, component: int, servers: Iterable[IceServer], tls: TlsContext
) -> list[Candidate]:
    """Return the server-reflexive and relayed candidates from the servers, and add the sockets of the relayed ones.

    Servers that do not answer in time are left out. Call this function after the host candidates are gathered.

    Raises:
        OdysseyConfigError: a TURN server needs TLS, and ``tls`` cannot use a file with root certificates.
    """
    usable = [server for each in servers for server in _usable(each)]
    # A STUN server on this machine would only report addresses of host candidates, and a request to it would start a
    # thread for a name lookup.
    stun = [each for each in usable if each.transport is None and not is_loopback(each.host)][:1]
    turn = [each for each in usable if each.transport is not None][:MAX_RELAYS]
    # aioice has no public way to the sockets of a connection.
    hosts = [each for each in connection._protocols if ":" not in each.local_candidate.host]  # noqa: SLF001
    context = await tls() if any(each.is_tls for each in turn) else None
    reflexive = {
        asyncio.create_task(server_reflexive_candidate(host, (each.host, each.port))): each
        for each in stun
        for host in hosts
    }
    relayed = {asyncio.create_task(_relayed(connection, component, each, context)): each for each in turn}
    await _wait([*reflexive, *relayed], [*relayed])
    candidates = [task.result()[0] for task in reflexive if _failure(task) is None]
    sockets = [task.result() for task in relayed if _failure(task) is None]
    for each in sockets:
        connection._protocols.append(each)  # noqa: SLF001 - as above
        candidates.append(each.local_candidate)
    if turn and not sockets:
        logger.warning("no TURN server can be used; connecting without one (%s)", _failures(relayed.items()))
        unusable = _failures(reflexive.items())
    else:
        unusable = _failures([*reflexive.items(), *relayed.items()])
    if unusable:
        logger.info("ICE servers that cannot be used: %s", unusable)
    return candidates


def _failures(servers: Iterable[tuple[asyncio.Task[object], _Server]]) -> str:
    """Return the servers whose tasks failed, each with its reasons."""
    # Requests to one STUN server from several addresses often fail for the same reason.
    failures = (f"{each}: {why}" for task, each in servers if (why := _failure(task)) is not None)
    return "; ".join(dict.fromkeys(failures))


def _failure(task: asyncio.Task[object]) -> str | None:
    """Return why a task that has ended failed; None if it did not."""
    error = TimeoutError("no answer") if task.cancelled() else task.exception()
    return None if error is None else str(error) or type(error).__name__


async def _wait[T](tasks: Sequence[asyncio.Task[T]], relayed: Sequence[asyncio.Task[T]]) -> None:
    """Wait until the tasks have ended, and cancel those that take too long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SERVER_LIMIT_S
    pending = set(tasks)
    while pending and (left := end - loop.time()) > 0:
        done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if any(task in done and task.exception() is None for task in relayed):
            end = min(end, loop.time() + OTHERS_LIMIT_S)
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)


async def _relayed(connection: Connection, component: int, server: _Server, tls: ssl.SSLContext | None) -> StunProtocol:
    """Allocate an address on a TURN server; return the socket that uses it."""
    transport, protocol = await _allocated(connection, server, tls if server.is_tls else None)
    address, port = transport.get_extra_info("sockname")
    related_address, related_port = transport.get_extra_info("related_address")
    protocol.local_candidate = Candidate(
        foundation=candidate_foundation("relay", "udp", address),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "relay"),
        host=address,
        port=port,
        type="relay",
        related_address=related_address,
        related_port=related_port,
    )
    return protocol


async def _allocated(
    connection: Connection, server: _Server, tls: ssl.SSLContext | None
) -> tuple[TurnTransport, StunProtocol]:
    """Allocate an address, again with another socket if the server calls the nonce stale.

    coturn often does so over UDP, because it passes a new client to another thread after the first request. aioice then
    gives up.
    """
    for attempt in range(1, ALLOCATION_ATTEMPTS + 1):
        try:
            return await create_turn_endpoint(
                lambda: StunProtocol(connection),
                server_addr=(server.host, server.port),
                username=server.username,
                password=server.credential,
                ssl=tls,
                transport=server.transport or "udp",
            )
        except TransactionFailed as error:
            if error.response.error_code != STALE_NONCE or attempt == ALLOCATION_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def abort(protocol: StunProtocol) -> None:
    """Close the socket of a candidate at once, without a request to a TURN server, which could take half a minute."""
    transport = protocol.transport
    if isinstance(transport, TurnTransport):
        # aioice has no public way to this transport.
        transport._TurnTransport__inner_protocol.transport.abort()  # type: ignore[attr-defined]  # noqa: SLF001
    else:
        transport.abort()


def _usable(server: IceServer) -> Iterable[_Server]:
    """Return the STUN and TURN servers at the URLs of an ICE server (RFC 7064, RFC 7065)."""
    return (found for url in server.urls if (found := _read(url, server)) is not None)


def _read(url: str, server: IceServer) -> _Server | None:
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme, host, transport = match["scheme"], match["host"].strip("[]"), match["transport"]
    is_tls = scheme == "turns"
    port = int(match["port"]) if match["port"] else _TLS_PORT if is_tls else _PORT
    if not 0 < port < 2**16:
        return None
    if scheme == "stun":
        # aioice asks STUN servers only over IPv4.
        return None if transport or ":" in host else _Server(host, port)
    if is_tls and transport == "udp":
        return None  # TURN over DTLS
    return _Server(host, port, transport or ("tcp" if is_tls else "udp"), is_tls, server.username, server.credential)
