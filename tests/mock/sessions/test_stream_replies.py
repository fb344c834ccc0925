"""Tests that a reply to a request is sent with the first frame that shows the requested change."""

import asyncio
import json

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.sessions.messages import End, InteractiveStreamError, Start, Update
from odyssey_mock.sessions.session_identity import SessionIdentity
from odyssey_mock.sessions.stream_controller import StreamController
from odyssey_mock.sessions.stream_setup import StreamSetup


class Bench:
    """A `StreamController` without a running frame pump: the test calls `make_frame` for each frame.

    The list `said` contains the type of each message that the controller has sent.
    """

    def __init__(self, mock: MockOdyssey) -> None:
        self.said: list[str] = []
        self.hung_up = 0
        self.streams = mock.streams
        backend = mock.backend
        self.identity = SessionIdentity(
            id="session",
            account_id="account",
            limits=backend.accounts.limits_of("account"),
            may_bypass=True,
            streamer_id="streamer",
            region="region",
        )
        self.setup = StreamSetup(
            settings=backend.settings.now,
            clock=backend.clock,
            entropy=backend.entropy,
            faults=backend.faults,
            make_frame_encoder=backend.frame_encoder,
            frame_turns=backend.session_factory.frame_turns,
            idle_scenes=backend.session_factory.idle_scenes,
        )
        self.streaming = StreamController(
            self.identity,
            clock=backend.clock,
            journal=backend.journal,
            faults=backend.faults,
            streams=backend.streams,
            broadcasts=backend.broadcasts,
            monitors=backend.monitors,
            setup=self.setup,
            keyframes=Keyframes(10),
            end_without_stream="silent",
            on_overdue=self._hang_up,
            transmit=lambda text: self.said.append(json.loads(text)["type"]),
            client_url=lambda: "http://mock.test",
        )
        self.pump = self.streaming.pump

    async def _hang_up(self) -> None:
        self.hung_up += 1

    @property
    def latest(self) -> StreamRecord:
        return [*self.streams.values()][-1]

    def make_frame(self) -> None:
        """Report the next frame to the controller, as the pump does, without drawing the frame."""
        index = self.pump.next_index
        self.pump.next_index += 1
        self.streaming.frame_made(self.latest.timeline, index)


@pytest.fixture
def bench(odyssey_mock: MockOdyssey) -> Bench:
    return Bench(odyssey_mock)


async def test_stream_started_is_sent_with_first_frame(bench: Bench) -> None:
    await bench.streaming.take(Start(prompt="A cat"))
    assert bench.said == []
    bench.make_frame()
    assert bench.said == ["stream_started"]
    bench.make_frame()
    assert bench.said == ["stream_started"]


async def test_update_is_acknowledged_with_its_first_frame(bench: Bench) -> None:
    await bench.streaming.take(Start(prompt="A cat"))
    bench.make_frame()
    timeline = bench.latest.timeline
    # The update arrives while the pump makes frame 1, so frame 2 is the first to show it.
    bench.pump.next_index += 1
    await bench.streaming.take(Update(prompt="A dog"))
    bench.streaming.frame_made(timeline, 1)
    assert bench.said == ["stream_started"]
    assert (timeline.at(1).revision, timeline.at(2).revision) == (0, 1)
    bench.make_frame()
    assert bench.said == ["stream_started", "update_acknowledged"]


async def test_frame_of_another_timeline_causes_no_reply(bench: Bench) -> None:
    await bench.streaming.take(Start(prompt="A cat"))
    bench.streaming.frame_made(bench.setup.idle(bench.identity).timeline, 99)
    assert bench.said == []


async def test_pending_update_is_dropped_with_the_connection(bench: Bench) -> None:
    await bench.streaming.take(Start(prompt="A cat"))
    bench.make_frame()
    await bench.streaming.take(Update(prompt="A dog"))
    bench.streaming.gone()
    bench.make_frame()
    assert bench.said == ["stream_started"]
    assert bench.latest.ended_at is not None


async def test_broken_stream_reports_error_then_end(bench: Bench) -> None:
    await bench.streaming.take(Start(prompt="A cat"))
    bench.make_frame()
    bench.streaming.broke(InteractiveStreamError("model_crash", "The model has crashed"))
    assert bench.said == ["stream_started", "interactive_stream_error", "stream_ended"]
    assert bench.latest.error == "model_crash: The model has crashed"
    await bench.streaming.take(Start(prompt="A dog"))
    bench.make_frame()
    assert bench.said[3:] == ["stream_started"]


async def test_stream_broken_before_first_frame_reports_error_only(bench: Bench) -> None:
    await bench.streaming.take(Start(prompt="A cat"))
    bench.streaming.broke(InteractiveStreamError("model_crash", "The model has crashed"))
    assert bench.said == ["interactive_stream_error"]


@pytest.mark.odyssey(clock="manual", stream_duration=150)
async def test_stream_duration_counts_from_first_frame(bench: Bench, odyssey_mock: MockOdyssey) -> None:
    await bench.streaming.take(Start(prompt="A cat"))
    await odyssey_mock.advance(1000)
    bench.make_frame()
    await odyssey_mock.advance(149.9)
    assert (bench.said, bench.hung_up) == (["stream_started"], 0)
    await odyssey_mock.advance(0.1)
    assert (bench.said, bench.hung_up) == (["stream_started", "interactive_stream_error"], 1)
    assert bench.latest.ended_at == odyssey_mock.clock.time()


@pytest.mark.odyssey(clock="manual", stream_duration=150)
async def test_each_stream_has_its_own_duration_limit(bench: Bench, odyssey_mock: MockOdyssey) -> None:
    for _ in range(3):
        await bench.streaming.take(Start(prompt="A cat"))
        bench.make_frame()
        await odyssey_mock.advance(100)
        await bench.streaming.take(End())
    await odyssey_mock.advance(1000)
    assert (bench.said, bench.hung_up) == (["stream_started", "stream_ended"] * 3, 0)


async def test_broken_stream_acknowledges_no_pending_update(bench: Bench, odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.faults.add(at="stream.running", do="error", reason="model_crash")
    await bench.streaming.take(Start(prompt="A cat"))
    await bench.streaming.take(Update(prompt="A dog"))
    bench.make_frame()
    assert bench.said == ["stream_started", "interactive_stream_error", "stream_ended"]


async def test_stream_is_discarded_if_connection_ends_first(bench: Bench) -> None:
    starting = asyncio.create_task(bench.streaming.take(Start(prompt="A cat", broadcast=True)))
    await asyncio.wait([starting], timeout=0)
    assert not starting.done(), "expected the start to wait until a thread has composed the scene, got a finished start"
    bench.streaming.gone()
    await starting
    assert (bench.said, dict(bench.streams), bench.streaming.stream) == ([], {}, None)


async def test_late_reply_is_dropped_with_the_connection(bench: Bench, odyssey_mock: MockOdyssey) -> None:
    await bench.streaming.take(Start(prompt="A cat [slow:60000]"))
    bench.make_frame()
    bench.streaming.gone()
    assert not [each for each in odyssey_mock.clock.pending if each.name.startswith("late")]
    assert bench.said == []


async def test_late_reply_to_an_end_is_dropped(bench: Bench, odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.faults.add(at="stream.end", do="late", seconds=60)
    await bench.streaming.take(Start(prompt="A cat"))
    bench.make_frame()
    await bench.streaming.take(End())
    assert [each for each in odyssey_mock.clock.pending if each.name.startswith("late")]
    bench.streaming.gone()
    assert not [each for each in odyssey_mock.clock.pending if each.name.startswith("late")]
