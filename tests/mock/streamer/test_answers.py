"""When a client is told: after the frame that shows what it asked for, and not one frame before."""

import json

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.recordings.streams import StreamRecord
from odyssey_mock.streamer.messages import Start, Update
from odyssey_mock.streamer.pump import FramePump
from odyssey_mock.streamer.streaming import Streaming


class Bench:
    """A `Streaming` whose frames are made by hand: nothing runs, and what it says is kept."""

    def __init__(self, mock: MockOdyssey) -> None:
        self.said: list[str] = []
        self.streams = mock.streams
        self.streaming = Streaming(
            mock.backend,
            session_id="session",
            account_id="account",
            may_bypass=True,
            send=lambda text: self.said.append(json.loads(text)["type"]),
        )
        self.pump = FramePump(
            self.streaming.idle_timeline(),
            codec="h264",
            fps=20,
            bitrate=None,
            now=lambda: 0.0,
            on_frame=self.streaming.frame_made,
        )
        self.streaming.use(self.pump)

    @property
    def latest(self) -> StreamRecord:
        return [*self.streams.values()][-1]

    def make_frame(self) -> None:
        """What the pump does for one frame, without drawing it."""
        index = self.pump.next_index
        self.pump.next_index += 1
        self.streaming.frame_made(self.latest.timeline, index)


@pytest.fixture
def bench(odyssey_mock: MockOdyssey) -> Bench:
    return Bench(odyssey_mock)


async def test_a_stream_is_announced_with_its_first_frame(bench: Bench) -> None:
    await bench.streaming.take(Start(prompt="A cat"))
    assert bench.said == []
    bench.make_frame()
    assert bench.said == ["stream_started"]
    bench.make_frame()
    assert bench.said == ["stream_started"]


async def test_an_update_is_acknowledged_with_the_frame_that_shows_it(bench: Bench) -> None:
    await bench.streaming.take(Start(prompt="A cat"))
    bench.make_frame()
    timeline = bench.latest.timeline
    # Frame 1 is being made, as the pump does it, when the update comes: frame 2 is the first to show it.
    bench.pump.next_index += 1
    await bench.streaming.take(Update(prompt="A dog"))
    bench.streaming.frame_made(timeline, 1)
    assert bench.said == ["stream_started"]
    assert (timeline.at(1).revision, timeline.at(2).revision) == (0, 1)
    bench.make_frame()
    assert bench.said == ["stream_started", "update_acknowledged"]


async def test_frames_of_another_timeline_answer_nothing(bench: Bench) -> None:
    await bench.streaming.take(Start(prompt="A cat"))
    bench.streaming.frame_made(bench.streaming.idle_timeline(), 99)
    assert bench.said == []


async def test_what_waited_when_the_connection_goes_is_never_answered(bench: Bench) -> None:
    await bench.streaming.take(Start(prompt="A cat"))
    bench.make_frame()
    await bench.streaming.take(Update(prompt="A dog"))
    bench.streaming.gone()
    bench.make_frame()
    assert bench.said == ["stream_started"]
    assert bench.latest.ended_at is not None
