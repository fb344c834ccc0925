"""A fake ICE connection, whose peer answers consent checks in time, late, or not at all."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from aioice import Connection, ice, stun

type Accept = Callable[[Connection], None]


class _Peer:
    """The peer of the connection: both its nominated pair and the protocol of this pair."""

    def __init__(self, answers: str) -> None:
        self.protocol, self.remote_addr = self, ("192.0.2.7", 50_000)
        self.sent = 0
        self._answers: Iterator[str] = iter(answers)
        self._late: list[asyncio.Event] = []

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
    def __init__(self, peer: _Peer) -> None:
        self._nominated = {1: peer}
        self._query_consent_task: object = None
        self.remote_password = "password"
        self.query_consent: Callable[[], Any]
        self.is_closed = False

    def build_request(self, *_: object, **__: object) -> stun.Message:
        return stun.Message(stun.Method.BINDING, stun.Class.REQUEST)

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
