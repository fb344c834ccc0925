"""Noticing that video has stopped though nobody said so: a sender that is frozen or cut off."""

from __future__ import annotations

from odyssey_client.media import MediaStream
from odyssey_client.seams import Clock

SILENCE_LIMIT_S = 10.0
"""Seconds without a frame after which the sender counts as lost. Frames flow as long as a connection lasts
(protocol.md section 4), and ICE alone would take 30 s to notice."""


async def until_silent(stream: MediaStream, clock: Clock) -> None:
    """Return once no frame has come for `SILENCE_LIMIT_S`, or up to twice that."""
    received = -1
    while stream.frames_received != received:
        received = stream.frames_received
        await clock.sleep(SILENCE_LIMIT_S)
