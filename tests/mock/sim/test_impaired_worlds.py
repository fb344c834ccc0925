"""Tests of the setting `network_profile` in simulated time: what the user of `odyssey_client` notices."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from odyssey_client import Odyssey
from odyssey_mock.settings import NetworkSetting
from odyssey_mock.sim.run import run
from odyssey_mock.sim.world import World
from tests.support.simulated_worlds import play, wait

FPS = 10


async def frame_times(client: Odyssey, seconds: float) -> list[float]:
    """Return the times of the frames that the client gets in the next `seconds`."""
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def read() -> None:
        assert client.media_stream is not None
        async for _ in client.media_stream.frames(buffer=256):
            times.append(loop.time())  # noqa: PERF401 - the task is cancelled

    task = asyncio.create_task(read())
    await wait(seconds)
    task.cancel()
    return times


def freezes(times: Sequence[float]) -> list[float]:
    """Return the intervals between frames that are freezes (webrtc-stats: the mean interval and 150 ms, at least)."""
    return [later - earlier for earlier, later in pairwise(times) if later - earlier >= 3 / FPS]


@dataclass(frozen=True)
class Seen:
    """What the user of the client has seen: statuses with their times, and the times of the frames."""

    statuses: list[tuple[str, float]]
    frames: list[float]
    reply_s: float
    """Seconds until the interaction was acknowledged."""
    video: Mapping[str, Any]  # Any: JSON
    """The report `inbound-rtp` of `Odyssey.stats`; empty with light peers."""
    pair: Mapping[str, Any]  # Any: JSON
    """The report `candidate-pair`; empty with light peers."""


def watched(network: NetworkSetting, seconds: float) -> Callable[[World], Awaitable[Seen]]:
    """Return a scenario: connect, start a stream, impair the network, interact, and watch."""

    async def scenario(world: World) -> Seen:
        client, loop = world.client(), asyncio.get_running_loop()
        statuses: list[tuple[str, float]] = []
        await client.connect(on_status_change=lambda status: statuses.append((status.value, loop.time())))
        await client.start_stream("a cat")
        world.mock.change_settings(network_profile=network)
        statuses.clear()
        begun = loop.time()
        await client.interact("a dog")
        reply_s = loop.time() - begun
        frames = await frame_times(client, seconds)
        reports: list[Any] = [*client.stats().values()]  # Any: JSON
        by_type: dict[str, Mapping[str, Any]] = {each["type"]: each for each in reports}  # Any: JSON
        seen = Seen(
            [(status, when - begun) for status, when in statuses],
            [when - begun for when in frames],
            reply_s,
            by_type.get("inbound-rtp", {}),
            by_type.get("candidate-pair", {}),
        )
        await client.disconnect()
        return seen

    return scenario


def seen_with_real_peers(network: NetworkSetting, seconds: float) -> Seen:
    went = run(1, watched(network, seconds), fidelity="full", settings={"fps": FPS, "portrait_size": (176, 320)})
    assert went.error is None
    assert went.result is not None
    return went.result


def test_delay_applies_to_messages_and_their_replies() -> None:
    good = play(watched(None, 1), fps=FPS)
    late = play(watched({"delay": 0.2}, 1), fps=FPS)
    assert late.reply_s - good.reply_s == pytest.approx(0.4, abs=0.1)


def test_client_connects_again_behind_a_tunnel() -> None:
    """The tunnel begins after 10 s. The client misses the video after 5 s, and has it again when the tunnel ends."""
    seen = play(watched("tunnel", 50), fps=FPS)
    statuses, times = zip(*seen.statuses, strict=True)
    assert [*dict.fromkeys(statuses)] == ["reconnecting", "connected"]
    lost, restored = times[0], times[-1]
    assert lost == pytest.approx(15.5, abs=1)
    assert restored == pytest.approx(30, abs=0.5)
    (freeze,) = freezes(seen.frames)
    assert freeze == pytest.approx(20.2, abs=0.5)
    assert seen.frames[-1] > 49


def test_video_goes_on_with_30_percent_loss() -> None:
    """Real peers repeat lost packets and request key frames: the video freezes, but the connection stays."""
    seen = seen_with_real_peers({"loss": 0.3}, 20)
    assert seen.statuses == []
    assert 60 < len(seen.frames) < 195, f"expected fewer than 200 frames in 20 s, got {len(seen.frames)}"
    assert freezes(seen.frames)
    assert max(freezes(seen.frames)) < 5
    video = seen.video
    assert video["packetsLost"] / (video["packetsReceived"] + video["packetsLost"]) == pytest.approx(0.25, abs=0.1)
    assert 0 < video["retransmittedPacketsReceived"] <= video["packetsLost"]
    assert video["nackCount"] > 10
    assert video["pliCount"] > 0
    assert video["freezeCount"] > 3
    assert video["framesDropped"] > 0
    assert video["framesReceived"] == video["framesDropped"] + video["jitterBufferEmittedCount"]
    assert video["jitterBufferDelay"] / video["jitterBufferEmittedCount"] > 0.01
    assert 1 < video["totalFreezesDuration"] < 20


def test_statistics_show_delay_of_satellite() -> None:
    seen = seen_with_real_peers("satellite", 10)
    assert seen.pair["currentRoundTripTime"] == pytest.approx(2 * 0.279, abs=0.02)
    assert seen.reply_s == pytest.approx(2 * 0.279, abs=0.05)
    assert seen.video["packetsLost"] == 0
    assert freezes(seen.frames) == []


def test_same_seed_loses_same_packets_in_world() -> None:
    first, second = (seen_with_real_peers("lossy-wifi", 5) for _ in range(2))
    assert first.video["packetsLost"] > 0
    assert first == second
