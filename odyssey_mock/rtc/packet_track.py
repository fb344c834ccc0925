"""A track of encoded video packets for one receiver."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import override

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from odyssey_mock.media.encoder import VideoPacket


class PacketTrack(MediaStreamTrack):
    """A video track of encoded packets, which are sent without being encoded again.

    Packets before the first key frame are dropped. Packets are queued until they are delivered (`deliver`) or taken
    (`recv`). The queue is bounded: if it is full, the track drops packets up to the next key frame.
    """

    kind = "video"

    def __init__(self, *, limit: int = 20) -> None:
        super().__init__()
        self.dropped = 0
        self._packets: deque[VideoPacket] = deque()
        self._limit = limit
        self._skipping = True
        self._finishing = False
        self._deliver: Callable[[VideoPacket], None] | None = None
        self._drained = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """Whether a packet was queued since the track was created, or since packets were dropped."""
        return not self._skipping

    def push(self, packet: VideoPacket) -> bool:
        """Deliver or queue a packet. Return False if it was dropped because the track waits for a key frame."""
        if self._finishing:
            return True
        if len(self._packets) >= self._limit:
            self.dropped += len(self._packets)
            self._packets.clear()
            self._skipping = True
        if self._skipping and not packet.is_keyframe:
            self.dropped += 1
            return False
        self._skipping = False
        if self._deliver is not None:
            self._deliver(packet)
            return True
        self._packets.append(packet)
        self._changed.set()
        return True

    def deliver(self, send: Callable[[VideoPacket], None]) -> None:
        """Call `send` with each queued packet, and from now on with each packet that is pushed, instead of queueing."""
        self._deliver = send
        while self._packets and self.readyState == "live":
            send(self._packets.popleft())
        if self._finishing:
            self.stop()

    @override
    async def recv(self) -> VideoPacket:
        while not self._packets:
            if self._finishing:
                self.stop()
            if self.readyState != "live":
                raise MediaStreamError("the track has ended")
            self._changed.clear()
            await self._changed.wait()
        return self._packets.popleft()

    def finish(self) -> None:
        """End the track after the queued packets; drop packets that are pushed later."""
        self._finishing = True
        self._changed.set()
        if self._deliver is not None:
            self.stop()

    async def drained(self) -> None:
        """Wait until the sender has taken the last packet and the end of the track.

        There is no timeout: if the sender was never started, this method waits until the track is stopped.
        """
        await self._drained.wait()

    @override
    def stop(self) -> None:
        super().stop()
        self._finishing = True
        self._deliver = None
        self._changed.set()
        self._drained.set()
