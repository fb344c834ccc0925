"""Tests of what steps of `odyssey-mock verify` work with: replies, frames, and the end of what costs."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from odyssey_client.errors import PeerError
from odyssey_client.media.frames import VideoFrame
from odyssey_client.models import JSON
from odyssey_client.system import default_platform
from odyssey_client.trace.recorder import Recorder
from odyssey_mock.verification import stage as module
from odyssey_mock.verification.stage import Frames, Shared, Stage, StepError, TappedNetwork

ERROR = "interactive_stream_error"


@pytest.fixture
def stage() -> Stage:
    platform = default_platform()
    recorder = Recorder(now=platform.clock.monotonic, began_at=0.0)
    return Stage(Shared(api_key="ody_key", api_url="http://127.0.0.1:9"), platform, recorder)


def tapped(*replies: JSON) -> TappedNetwork:
    """Return a network on which the service sends some messages as soon as the client sends one."""
    network = TappedNetwork(default_platform().network)

    def send(_: str) -> bool:
        network.received += [json.dumps(reply) for reply in replies]
        return True

    network._peer = cast("Any", SimpleNamespace(send=send))
    return network


async def test_message_of_another_type_is_no_reply(stage: Stage) -> None:
    reply: JSON = {"type": ERROR, "reason": "invalid_message"}
    network = tapped({"type": "weather_report"}, ["not an object"], reply)
    assert await stage.say(network, {"type": "odyssey_testkit"}, 5.0, (ERROR,)) == reply


async def test_missing_reply_is_none(stage: Stage) -> None:
    assert await stage.say(tapped({"type": "weather_report"}), {"type": "odyssey_testkit"}, 0.0, (ERROR,)) is None


async def lost(count: int) -> AsyncIterator[VideoFrame]:
    for number in range(count):
        yield cast("VideoFrame", SimpleNamespace(width=2, height=2, timestamp_ms=50.0 * number))
    raise PeerError("the peer connection failed")


async def test_lost_video_is_named(stage: Stage) -> None:
    async with Frames(lost(2)) as frames:
        with pytest.raises(StepError, match=r"the video ended after 2 frames, expected 3: the peer connection failed"):
            await stage.until(lambda: frames.has(3), 5.0, "3 frames")


async def test_error_of_the_video_is_retrieved() -> None:
    """Lose the connection while the reader ends."""
    reported: list[dict[str, Any]] = []
    reading = asyncio.Event()

    async def lost_at_the_end() -> AsyncIterator[VideoFrame]:
        reading.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise PeerError("the peer connection failed") from None
        yield cast("VideoFrame", None)

    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with Frames(lost_at_the_end()) as frames:
        await reading.wait()
    del frames
    gc.collect()
    assert reported == []


async def test_creation_that_is_cancelled_is_undone(stage: Stage) -> None:
    """Cancel the caller before the service answers, and again while the job is being cancelled."""
    asked, answer, ending, may_end = (asyncio.Event() for _ in range(4))
    undone: list[str] = []

    async def make() -> str:
        asked.set()
        await answer.wait()
        return "a job"

    async def undo(made: str) -> None:
        ending.set()
        await may_end.wait()
        undone.append(made)

    caller = asyncio.create_task(stage.made(make(), undo))
    await asked.wait()
    caller.cancel()
    answer.set()
    await ending.wait()
    caller.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert undone == ["a job"]


async def test_creation_without_an_answer_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CREATION_LIMIT_S", 0.01)
    asked = asyncio.Event()

    async def make() -> str:
        asked.set()
        await asyncio.Event().wait()
        return "never"

    async def undo(made: str) -> None:
        raise AssertionError(f"expected nothing to undo, got {made}")

    caller = asyncio.create_task(stage.made(make(), undo))
    await asked.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
