"""Tests that the client reconnects after losing its socket or peer, and that the stream continues."""

import asyncio
from itertools import pairwise

import pytest

from odyssey_client import AdvancedConfig, ConnectionStatus, MediaStream, Odyssey
from odyssey_mock import FrameStamp, MockOdyssey, read_stamp
from tests.support.leftovers import nothing_left

SMALL = (176, 320)
LIMIT_S = 20.0
QUICK = AdvancedConfig(initial_retry_delay_ms=20, max_retry_delay_ms=40, peer_timeout_s=1.0)


class Seen:
    """Records the stamp and the timestamp of each received frame."""

    def __init__(self) -> None:
        self.stamps: list[FrameStamp] = []
        self.times_ms: list[float] = []
        self._more = asyncio.Event()

    async def collect(self, stream: MediaStream) -> None:
        async for frame in stream.frames(buffer=512):
            stamp = read_stamp(frame.luma)
            assert stamp is not None, (
                f"expected a readable stamp on every frame, got none on the frame at {frame.timestamp_ms} ms"
            )
            self.stamps.append(stamp)
            self.times_ms.append(frame.timestamp_ms)
            self._more.set()

    async def more(self, count: int) -> None:
        """Wait until `count` more frames have arrived."""
        wanted = len(self.stamps) + count
        async with asyncio.timeout(LIMIT_S):
            while len(self.stamps) < wanted:
                self._more.clear()
                await self._more.wait()


class Statuses:
    """Records the statuses that a client reports. Of equal statuses in a row, only the first is recorded."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._more = asyncio.Event()

    def __call__(self, status: ConnectionStatus) -> None:
        if not self.told or self.told[-1] != str(status):
            self.told.append(str(status))
            self._more.set()

    async def until(self, *last: str) -> None:
        """Wait until the list of recorded statuses ends with `last`."""
        async with asyncio.timeout(LIMIT_S):
            while tuple(self.told[-len(last) :]) != last:
                self._more.clear()
                await self._more.wait()


def check(seen: Seen, tag: int | None) -> None:
    """Assert that no frame shows another stream than `tag`, and that frame indexes and timestamps increase.

    Frames of the idle scene belong to no stream. Only their timestamps are checked.
    """
    ours = [stamp for stamp in seen.stamps if stamp.stream_tag is not None]
    assert {stamp.stream_tag for stamp in ours} == {tag}
    assert all(after.frame_index > before.frame_index for before, after in pairwise(ours))
    assert all(after > before for before, after in pairwise(seen.times_ms))


async def test_stream_continues_after_socket_and_peer_are_lost() -> None:
    statuses, seen = Statuses(), Seen()
    up: list[MediaStream] = []
    down: list[int] = []
    async with (
        nothing_left(),
        MockOdyssey(clock="manual", portrait_size=SMALL) as mock,
        Odyssey(mock.api_key, api_url=mock.url, advanced=QUICK) as client,
        asyncio.TaskGroup() as tasks,
    ):
        mock.faults.extend(
            [
                {"at": "signaling.connected", "do": "close", "code": 1011, "seconds": 10, "times": 1},
                {"at": "peer.connected", "do": "vanish", "seconds": 10, "times": 1, "after": 1},
            ]
        )
        stream = await client.connect(
            on_status_change=statuses, on_connected=up.append, on_disconnected=lambda: down.append(1)
        )
        collecting = tasks.create_task(seen.collect(stream))
        stream_id = await client.start_stream("A harbour in the morning")
        tag = mock.streams[stream_id].timeline.tag
        session = client.current_session_id
        await seen.more(10)
        before = statuses.told.copy()

        await mock.advance(10)  # closes the socket
        await statuses.until("connected", "reconnecting", "connected")
        await seen.more(10)
        await client.interact("Fog comes in")
        await seen.more(10)

        await mock.advance(10)  # drops the peer of the second connection without any closing message
        await statuses.until("reconnecting", "connected", "reconnecting", "connected")
        await seen.more(10)
        applied = await client.interact("The fog lifts")
        await seen.more(10)

        check(seen, tag)
        assert seen.stamps[-1].prompt_revision == 2
        assert client.last_applied_prompt == applied
        assert client.media_stream is stream
        assert client.current_session_id == session, (
            f"expected the same session {session} after reconnecting, got {client.current_session_id}"
        )
        assert statuses.told == [*before, "reconnecting", "connected", "reconnecting", "connected"]
        await client.end_stream()
        await client.disconnect()
        await collecting
    assert (len(up), len(down)) == (1, 1), (
        f"expected one call each of on_connected and on_disconnected, got {len(up)} and {len(down)} calls"
    )
    record = mock.streams[stream_id]
    assert record.timeline.frames is not None
    assert record.timeline.frames > max(stamp.frame_index for stamp in seen.stamps)


async def test_closed_session_is_replaced_by_new_one() -> None:
    statuses = Statuses()
    told: list[str] = []
    async with (
        nothing_left(),
        MockOdyssey(clock="manual", portrait_size=SMALL, session_grace=0) as mock,
        Odyssey(mock.api_key, api_url=mock.url, advanced=QUICK) as client,
    ):
        mock.faults.add(at="signaling.connected", do="close", code=1011, seconds=10, times=1)
        await client.connect(
            on_status_change=statuses,
            on_stream_error=told.append,
            on_stream_ended=lambda: told.append("ended"),
        )
        session = client.current_session_id
        await client.start_stream("A harbour")
        await mock.advance(10)
        await statuses.until("connected", "reconnecting", "connected")
        assert client.current_session_id != session
        assert told == ["session_lost", "ended"]
        assert await client.start_stream("Another harbour") in mock.streams, (
            "expected start_stream() to return the id of a stream of the mock, got an unknown id"
        )


@pytest.mark.parametrize(("mode", "code"), [("off", "signaling_failed"), ("same_session", "session_lost")])
async def test_reconnect_mode_limits_reconnecting(mode: str, code: str) -> None:
    statuses: Statuses = Statuses()
    fatal: list[Exception] = []
    advanced = AdvancedConfig(reconnect=mode, initial_retry_delay_ms=20, max_retry_delay_ms=40)  # type: ignore[arg-type]  # parametrized
    async with (
        nothing_left(),
        MockOdyssey(clock="manual", portrait_size=SMALL, session_grace=0) as mock,
        Odyssey(mock.api_key, api_url=mock.url, advanced=advanced) as client,
    ):
        mock.faults.add(at="signaling.connected", do="close", code=1011, seconds=10, times=1)
        await client.connect(
            on_status_change=statuses, on_error=lambda error, is_fatal: fatal.append(error) if is_fatal else None
        )
        await mock.advance(10)
        await statuses.until("failed")
        assert [getattr(each, "code", None) for each in fatal] == [code]
        assert ("reconnecting" in statuses.told) == (mode != "off")


async def test_client_reconnects_after_server_was_unreachable() -> None:
    statuses, seen = Statuses(), Seen()
    patient = AdvancedConfig(initial_retry_delay_ms=50, max_retry_delay_ms=100, max_retries=100)
    async with (
        nothing_left(),
        MockOdyssey(clock="manual", portrait_size=SMALL) as mock,
        Odyssey(mock.api_key, api_url=mock.url, advanced=patient) as client,
        asyncio.TaskGroup() as tasks,
    ):
        stream = await client.connect(on_status_change=statuses)
        collecting = tasks.create_task(seen.collect(stream))
        stream_id = await client.start_stream("A harbour")
        await seen.more(5)
        await mock.go_away()
        await statuses.until("connected", "reconnecting")
        await mock.come_back()
        await statuses.until("reconnecting", "connected")
        await seen.more(5)
        check(seen, mock.streams[stream_id].timeline.tag)
        await client.disconnect()
        await collecting
