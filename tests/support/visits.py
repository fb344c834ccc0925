"""A client of the wire that comes to one session as often as it likes, and what it sees there."""

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
    """One session of `mock`, and the way to it."""

    mock: MockOdyssey
    api: RawApi
    requested: Message
    session: Session

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[ClientConnection]:
        """Another socket, with a token of its own."""
        token = await self.api.token_for(self.session.id)
        async with raw_socket(self.requested, token) as socket:
            yield socket

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[RawPeer]:
        """Another socket with a peer on it, connected."""
        async with self.socket() as socket, RawPeer(socket) as peer:
            yield peer

    @asynccontextmanager
    async def halfway(self) -> AsyncIterator[RawPeer]:
        """Another socket with a peer on it that has answered, and may never come up."""
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
        """Wait until the session has come to that state, after entry `since` of the journal."""
        await self.mock.wait_for("state", "session", session=self.session.id, to=state, since=since)

    async def lose(self, socket: ClientConnection) -> None:
        """Break a socket without a word, and wait until the session is held."""
        since = self.mock.journal.next_index
        socket.transport.abort()
        await self.reaches("held", since=since)

    def slot_is_free(self) -> bool:
        """Whether the session counts for nobody any more."""
        return not self.mock.sessions


@asynccontextmanager
async def visits(mock: MockOdyssey) -> AsyncIterator[Visits]:
    """A session that nobody has come to yet."""
    async with RawApi(mock) as api:
        requested = await api.request_session()
        yield Visits(mock, api, requested, mock.sessions[requested["session_id"]])


async def picture(peer: RawPeer) -> VideoFrame:
    """The next frame, decoded."""
    assert peer.track is not None
    async with asyncio.timeout(LIMIT):
        frame = await peer.track.recv()
    assert isinstance(frame, VideoFrame)
    return frame


def stamp_of(frame: VideoFrame) -> FrameStamp:
    """What the stamp on a frame says."""
    stamp = read_stamp(frame.to_ndarray(format="gray"))
    assert stamp is not None
    return stamp


async def stamps(peer: RawPeer, count: int, *, tag: int | None) -> list[FrameStamp]:
    """The stamps of the next frames of the stream with that tag."""
    read: list[FrameStamp] = []
    while len(read) < count:
        stamp = stamp_of(await picture(peer))
        read += [stamp] if stamp.stream_tag == tag else []
    return read


def grow(read: list[FrameStamp]) -> bool:
    """Whether each frame comes after the one before it, and none twice."""
    return all(before.frame_index < after.frame_index for before, after in pairwise(read))


async def track_ends(peer: RawPeer) -> None:
    """Read the track to its end."""
    assert peer.track is not None
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                await peer.track.recv()
            except MediaStreamError:
                return


async def close_code(socket: ClientConnection) -> tuple[int, str]:
    """Wait until the socket is closed; with what, and why."""
    async with asyncio.timeout(LIMIT):
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""


async def round_trip(socket: ClientConnection) -> None:
    """Wait until what was sent on the socket, either way, has come."""
    async with asyncio.timeout(LIMIT):
        await (await socket.ping())


async def goes(peer: RawPeer, *states: str) -> str:
    """Wait until the client's own end of the peer connection is in one of those states."""
    async with asyncio.timeout(LIMIT):
        while (state := peer.connection.connectionState) not in states:
            changed = asyncio.Event()
            peer.connection.once("connectionstatechange", changed.set)
            await changed.wait()
    return state
