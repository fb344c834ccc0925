"""A protocol-level client that connects to one session repeatedly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from websockets.asyncio.client import ClientConnection

from odyssey_mock import FrameStamp, MockOdyssey, read_stamp
from odyssey_mock.sessions.session import Session
from tests.support.raw import LIMIT, Message, RawApi, RawPeer, raw_socket

SMALL = (176, 320)


@dataclass
class Visits:
    """A session of the mock, with methods that connect peers to the session and wait for its states."""

    mock: MockOdyssey
    api: RawApi
    requested: Message
    session: Session

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[ClientConnection]:
        """Open another signaling socket of the session with a new session token, and yield it."""
        token = await self.api.token_for(self.session.id)
        async with raw_socket(self.requested, token) as socket:
            yield socket

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[RawPeer]:
        """Open another signaling socket, connect a peer through it, and yield the peer."""
        async with self.socket() as socket, RawPeer(socket) as peer:
            yield peer

    @asynccontextmanager
    async def halfway(self) -> AsyncIterator[RawPeer]:
        """Open another signaling socket; yield a peer that begins to connect through it.

        The peer answers the offer in a background task. It is not connected yet when it is yielded.
        """
        async with self.socket() as socket:
            peer = RawPeer(socket)
            entering = asyncio.create_task(peer.__aenter__())
            try:
                yield peer
            finally:
                entering.cancel()
                await asyncio.wait([entering])
                await peer.connection.close()

    async def reaches(self, state: str, *, since: int = 0) -> None:
        """Wait until the session enters `state`; ignore journal entries before index `since`."""
        await self.mock.wait_for("state", "session", session=self.session.id, to=state, since=since)

    async def lose(self, socket: ClientConnection) -> None:
        """Abort a signaling socket without a close frame, and wait until the session enters the state `held`."""
        since = self.mock.journal.next_index
        socket.transport.abort()
        await self.reaches("held", since=since)

    def slot_is_free(self) -> bool:
        """Return whether the mock has removed the session."""
        return not self.mock.sessions


@asynccontextmanager
async def visits(mock: MockOdyssey) -> AsyncIterator[Visits]:
    """Request a session and yield it as `Visits`. No client is connected to the session yet."""
    async with RawApi(mock) as api:
        requested = await api.request_session()
        yield Visits(mock, api, requested, mock.sessions[requested["session_id"]])


async def picture(peer: RawPeer) -> VideoFrame:
    """Return the next decoded frame that the peer receives."""
    assert peer.track is not None
    async with asyncio.timeout(LIMIT):
        frame = await peer.track.recv()
    assert isinstance(frame, VideoFrame)
    return frame


def stamp_of(frame: VideoFrame) -> FrameStamp:
    """Return the stamp of a frame. Fail the test if the stamp is unreadable."""
    stamp = read_stamp(frame.to_ndarray(format="gray"))
    assert stamp is not None
    return stamp


async def stamps(peer: RawPeer, count: int, *, tag: int | None) -> list[FrameStamp]:
    """Return the stamps of the next `count` frames of the stream with the tag `tag`. Skip frames of other streams."""
    read: list[FrameStamp] = []
    while len(read) < count:
        stamp = stamp_of(await picture(peer))
        read += [stamp] if stamp.stream_tag == tag else []
    return read


def grow(read: list[FrameStamp]) -> bool:
    """Return whether the frame indexes strictly increase."""
    return all(before.frame_index < after.frame_index for before, after in pairwise(read))


async def track_ends(peer: RawPeer) -> None:
    """Read frames until the track ends."""
    assert peer.track is not None
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                await peer.track.recv()
            except MediaStreamError:
                return


async def close_code(socket: ClientConnection) -> tuple[int, str]:
    """Wait until the socket is closed; return the close code and reason."""
    async with asyncio.timeout(LIMIT):
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""


async def round_trip(socket: ClientConnection) -> None:
    """Send a WebSocket ping and wait for the pong. By then, all earlier messages of both sides have arrived."""
    async with asyncio.timeout(LIMIT):
        await (await socket.ping())


async def goes(peer: RawPeer, *states: str) -> str:
    """Wait until the connection state of `peer` is one of `states`; return the state."""
    async with asyncio.timeout(LIMIT):
        while (state := peer.connection.connectionState) not in states:
            changed = asyncio.Event()
            peer.connection.once("connectionstatechange", changed.set)
            await changed.wait()
    return state
