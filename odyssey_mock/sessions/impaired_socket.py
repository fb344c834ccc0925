"""`ImpairedSocket`, a client's signaling socket whose messages pass through an impaired network."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import override

from odyssey_mock.client_networks import ClientNetwork
from odyssey_mock.impairment.profile import Direction
from odyssey_mock.sessions.signaling_socket import SEND_LIMIT, SignalingSocket

FLUSH_LIMIT = 1.0
"""Maximum seconds by which delayed messages delay the close of the socket. Those of a silence are lost."""

MOST_ARRIVED = 100
"""Maximum number of delayed messages of a client. The mock then reads no further ones (TCP flow control)."""

MOST_UNSENT = 1000
"""Maximum number of delayed messages to a client, as many as wait in the session's inbox: each may have a reply.

Further messages wait `SEND_LIMIT` and are then dropped, as those to a client that does not read.
"""


class ImpairedSocket(SignalingSocket):
    """A signaling socket whose messages `network` delays, in both directions. All stay in order.

    The network does not delay the opening and closing of the socket. Messages are lost only if the socket is closed
    during a silence. While the network is not impaired, messages pass at once, and no task runs. `end` ends the tasks
    of delayed messages.
    """

    def __init__(self, socket: SignalingSocket, network: ClientNetwork) -> None:
        self._socket = socket
        self._network = network
        self._arrived: asyncio.Queue[tuple[str | bytes | Exception | None, float]] = asyncio.Queue(MOST_ARRIVED)
        """Messages that were received, and the times of the event loop at which they arrived; at the end, the exception
        with which the socket failed, if it did."""
        self._reader: asyncio.Task[None] | None = None
        self._is_closed = False
        """Whether the client has closed the socket, which the network does not delay."""
        self._unsent: deque[tuple[str | bytes, float]] = deque()
        """Messages to send, and the times of the event loop at which the mock sent them."""
        self._room = asyncio.Semaphore(MOST_UNSENT)
        """Has a place for each further message to send."""
        self._sender: asyncio.Task[None] | None = None

    @property
    @override
    def base_url(self) -> str:
        return self._socket.base_url

    @property
    @override
    def close_code(self) -> int | None:
        return self._socket.close_code

    @override
    async def receive(self) -> str | bytes | None:
        if self._reader is None:
            if not self._network.is_impaired("signaling"):
                return await self._socket.receive()
            self._reader = asyncio.create_task(self._read(), name="reader of a delayed signaling socket")
        while True:
            data, arrived = await self._arrived.get()
            if isinstance(data, Exception):
                raise data
            if data is None or await self._deliver("from_client", data, arrived):
                return data

    @override
    async def send(self, data: str | bytes) -> None:
        if self._sender is not None and self._sender.done():
            self._sender.result()  # sending an earlier message has failed: raises the exception
        if self._sender is None and not self._room.locked() and not self._network.is_impaired("signaling"):
            await self._socket.send(data)
            return
        try:
            async with asyncio.timeout(SEND_LIMIT):
                await self._room.acquire()
        except TimeoutError:
            return
        self._unsent.append((data, asyncio.get_running_loop().time()))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all(), name="sender of a delayed signaling socket")

    @override
    async def close(self, code: int, reason: str = "", *, why: str = "") -> None:
        if self._sender is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_LIMIT):
                    await asyncio.wait([self._sender])
        await self._socket.close(code, reason, why=why)

    async def end(self) -> None:
        """End the tasks that deliver delayed messages; the messages are lost.

        If sending has failed, the exception is raised.
        """
        tasks = [task for task in (self._reader, self._sender) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _read(self) -> None:
        data: str | bytes | None = b""
        try:
            while data is not None:
                data = await self._socket.receive()
                if data is None:
                    self._end_of_socket()
                await self._arrived.put((data, asyncio.get_running_loop().time()))
        except Exception as error:
            self._end_of_socket()
            await self._arrived.put((error, asyncio.get_running_loop().time()))  # `receive` raises it

    def _end_of_socket(self) -> None:
        self._is_closed = True
        self._network.wake()

    async def _deliver(self, direction: Direction, data: str | bytes, sent: float) -> bool:
        return await self._network.deliver(direction, "signaling", len(data), sent, is_closed=lambda: self._is_closed)

    async def _send_all(self) -> None:
        while self._unsent:
            data, sent = self._unsent[0]
            if await self._deliver("to_client", data, sent):
                await self._socket.send(data)
            self._unsent.popleft()
            self._room.release()
        self._sender = None
