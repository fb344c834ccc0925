"""Fake ICE connections, whose peers answer consent checks in time, late, or not at all."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aioice import Connection, ice, stun

type Accept = Callable[[Connection], None]

PASSWORD = "password"


def response(transaction_id: bytes) -> stun.Message:
    """Return the response of the peer to a check."""
    message = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id)
    message.add_message_integrity(PASSWORD.encode())
    return message


class _Peer:
    """The peer of the connection: both its nominated pair and the protocol of this pair."""

    def __init__(self, answers: str) -> None:
        self.protocol, self.remote_addr = self, ("192.0.2.7", 50_000)
        self.sent = 0
        self._answers: Iterator[str] = iter(answers)
        self._late: list[asyncio.Event] = []
        self.transactions: dict[bytes, stun.Transaction] = {}
        self._checks: dict[object, bytes] = {}
        self._late_responses: list[bytes] = []

    def send_stun(self, message: stun.Message, _: object) -> None:
        """Receive a request, as the protocol of a pair sends it. Repetitions of a check are lost."""
        check = message.attributes["PRIORITY"]
        if check in self._checks:
            return
        self._checks[check] = message.transaction_id
        self.sent += 1
        for late in self._late_responses:
            self._respond(late)
        self._late_responses.clear()
        match next(self._answers, "never"):
            case "y":
                self._respond(message.transaction_id)
            case "l":
                self._late_responses.append(message.transaction_id)

    def _respond(self, transaction_id: bytes) -> None:
        if (transaction := self.transactions.get(transaction_id)) is not None:
            transaction.response_received(response(transaction_id), self.remote_addr)

    async def request(self, *_: object, **__: object) -> None:
        self.sent += 1
        for late in self._late:
            late.set()
        match next(self._answers, "never"):
            case "y":
                return
            case "l":
                self._late.append(asyncio.Event())
                await self._late[-1].wait()
            case "n":
                raise stun.TransactionTimeout
            case _:
                await asyncio.Event().wait()


class _FakeConnection:
    def __init__(self, pair: object) -> None:
        self._nominated = {1: pair}
        self._query_consent_task: object = None
        self.remote_password = PASSWORD
        self.query_consent: Callable[[], Any]
        self.is_closed = False
        self._numbers = itertools.count(1)

    def build_request(self, *_: object, **__: object) -> stun.Message:
        return stun.Message(stun.Method.BINDING, stun.Class.REQUEST, attributes={"PRIORITY": next(self._numbers)})

    async def close(self) -> None:
        self.is_closed = True


async def checks_until_closed(monkeypatch: pytest.MonkeyPatch, accept: Accept, answers: str) -> int:
    """Return the number of consent checks that a connection sends until it closes itself.

    Args:
        monkeypatch: Makes the intervals of aioice short.
        accept: The function `accept_late_consent` of a package.
        answers: A character for each check. "y": the peer answers at once, "l": after the next check was sent, "n": not
            within the time limit. It does not answer later checks.
    """
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.001)
    monkeypatch.setattr(stun, "RETRY_RTO", 0.05)
    peer = _Peer(answers)
    connection = _FakeConnection(peer)
    accept(cast("Connection", connection))
    async with asyncio.timeout(10):
        await connection.query_consent()
    assert connection.is_closed
    return peer.sent


class _SlowPath(asyncio.DatagramTransport):
    """A transport for `protocol` whose peer answers the n-th request after the n-th delay, or never if it is None."""

    def __init__(self, protocol: ice.StunProtocol, delays: Sequence[float | None]) -> None:
        super().__init__()
        self._protocol = protocol
        self._delays = iter(delays)

    def sendto(self, data: Any, addr: Any = None) -> None:  # Any: as in asyncio
        delay = next(self._delays, None)
        if delay is not None:
            answer = bytes(response(stun.parse_message(data).transaction_id))
            asyncio.get_running_loop().call_later(delay, self._protocol.datagram_received, answer, addr)


async def first_round_trip(
    accept: Callable[[Connection, Callable[[float], None]], None], delays: Sequence[float | None]
) -> float:
    """Return the first round trip of a connection.

    Args:
        accept: The function `accept_late_consent` of a package.
        delays: Seconds to the response to each request; None if the request is lost.
    """
    protocol = ice.StunProtocol(cast("Connection", None))
    protocol.connection_made(_SlowPath(protocol, delays))
    connection = _FakeConnection(SimpleNamespace(protocol=protocol, remote_addr=("192.0.2.7", 50_000)))
    measured: asyncio.Queue[float] = asyncio.Queue()
    accept(cast("Connection", connection), measured.put_nowait)
    checking = asyncio.create_task(connection.query_consent())
    async with asyncio.timeout(30):
        seconds = await measured.get()
    checking.cancel()
    await asyncio.wait([checking])
    assert protocol.transactions == {}
    return seconds
