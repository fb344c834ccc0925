"""Tests of signaling sockets in the journal: opening, closing side, and close code (RFC 6455 section 7.4)."""

from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import ClientConnection

from odyssey_mock import MockOdyssey
from tests.support.raw import RawApi, raw_socket, receive

GOODBYE = '{"type": "client_disconnecting"}'


async def leave(socket: ClientConnection) -> None:
    await socket.send(GOODBYE)
    await socket.wait_closed()


async def close(socket: ClientConnection) -> None:
    await socket.close(4000, "reconnecting")


async def break_off(socket: ClientConnection) -> None:
    socket.transport.abort()


@pytest.mark.parametrize(
    ("end", "by", "code", "why"),
    [
        (leave, "server", 1000, ""),
        (close, "client", 4000, "the client closed it with 4000"),
        (break_off, "client", 1005, "the socket broke, or the client closed it without a code"),
    ],
    ids=["client_disconnecting", "closed by the client", "connection lost"],
)
async def test_socket_opening_and_closing_are_recorded(
    odyssey_mock: MockOdyssey, end: Callable[[ClientConnection], Awaitable[None]], by: str, code: int, why: str
) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
        async with raw_socket(session, token) as socket:
            await receive(socket)
            await end(socket)
            await odyssey_mock.wait_for("state", "socket", to="closed")
    opened, closed = odyssey_mock.journal.find("state", "socket")
    assert opened.data == {"to": "open"}
    assert closed.data == {"to": "closed", "code": code, "by": by, **({"why": why} if why else {})}
    assert {entry.session for entry in (opened, closed)} == {session["session_id"]}
    assert None not in {opened.account, closed.account}


async def test_rejected_socket_is_closed_by_the_server(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        async with raw_socket(session, "no-token") as socket:
            await receive(socket)
            await socket.wait_closed()
    odyssey_mock.expect_in_order(
        [("socket", {"to": "open"}), "error", ("socket", {"to": "closed", "code": 1008, "by": "server"})]
    )
