"""Tests of what steps of `odyssey-mock verify` work with: replies, frames, and the end of what costs."""

import asyncio
import gc
import json
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from odyssey_client import ClientCredentials
from odyssey_client.errors import (
    AccountSuspendedError,
    ConcurrentLimitReachedError,
    ConnectTimeoutError,
    MonthlyLimitReachedError,
    OdysseyError,
    PeerError,
    QueueTimeoutError,
    RateLimitError,
)
from odyssey_client.media.frames import VideoFrame
from odyssey_client.models import JSON
from odyssey_client.system import default_platform
from odyssey_client.trace.recorder import Recorder
from odyssey_mock import MockOdyssey
from odyssey_mock.verification import stage as module
from odyssey_mock.verification import steps
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


async def test_bodies_above_the_limit_are_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MockOdyssey() as mock:
        stage.shared.api_url = mock.url
        length = len((await stage.send("GET", "/openapi.json", is_authorized=False)).content)
        monkeypatch.setattr(module, "BODY_LIMIT", length - 1)
        with pytest.raises(StepError, match=rf"expected a body of at most {length - 1} bytes, got more"):
            await stage.send("GET", "/openapi.json", is_authorized=False)
        monkeypatch.setattr(module, "BODY_LIMIT", length)
        assert (await stage.send("GET", "/openapi.json", is_authorized=False)).json()["openapi"]
        await stage.aclose()


async def test_regions_are_pinged_at_the_same_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ping waits until all were sent."""
    urls = [f"http://region-{number}.example/ping" for number in range(3)]
    pings = asyncio.Barrier(len(urls))
    asked: list[str] = []

    async def send(_: str, url: str, **options: Any) -> httpx.Response:
        if url == "/regions":
            return httpx.Response(200, json={"regions": [{"ping_url": each} for each in urls]})
        assert options["limit"] == 3.0
        asked.append(url)
        await asyncio.wait_for(pings.wait(), 30)
        raise StepError("the pings were sent")

    monkeypatch.setattr(stage, "send", send)
    listed = await stage.send("GET", "/regions")
    await steps._ping_regions(stage, listed)
    assert sorted(asked) == urls


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [(404, "#EXTM3U\n", None), (200, "#EXTM3U\n#EXT-X-VERSION:7\n", None), (200, "#EXTM3U\na.m4s?token=x\n", True)],
)
async def test_only_playlists_with_entries_are_noted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, status: int, text: str, expected: bool | None
) -> None:
    async def send(*_: object, **__: object) -> httpx.Response:
        return httpx.Response(status, text=text)

    monkeypatch.setattr(stage, "send", send)
    monkeypatch.setattr(steps, "_PLAYLIST_LIMIT_S", -1.0)
    await steps._playlist(stage, "http://127.0.0.1:9/hls/index.m3u8?token=x")
    playlist = stage.facts.get("playlist")
    assert (playlist["entries_have_token"] if isinstance(playlist, dict) else None) is expected


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
    ends: list[str] = []

    async def make() -> str:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cancelled")
        return "never"

    async def undo(made: str) -> None:
        raise AssertionError(f"expected nothing to undo, got {made}")

    caller = asyncio.create_task(stage.made(make(), undo))
    await asked.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ends == ["cancelled"]


@pytest.mark.parametrize(
    ("error", "has_opened_session", "openings"),
    [
        (QueueTimeoutError("busy"), True, 2),
        (QueueTimeoutError("busy"), False, 1),
        (ConcurrentLimitReachedError("busy"), True, 2),
        (ConcurrentLimitReachedError("busy"), False, 1),
        (RateLimitError("busy", details={"retry_after_seconds": 0.001}), False, 2),
        (RateLimitError("busy", details={"retry_after_seconds": 3600}), True, 1),
        (MonthlyLimitReachedError("used up"), True, 1),
        (AccountSuspendedError("suspended"), True, 1),
    ],
)
async def test_only_refusals_that_may_pass_are_tried_again(
    error: OdysseyError, has_opened_session: bool, openings: int, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SESSION_WAIT_S", 0.001)
    stage.shared.has_opened_session = has_opened_session
    opened = 0

    async def open_session() -> None:
        nonlocal opened
        opened += 1
        raise error

    with pytest.raises(type(error)):
        await stage.granted(open_session)
    assert opened == openings
    assert stage.shared.has_opened_session is has_opened_session


async def test_opened_session_is_remembered(stage: Stage) -> None:
    async def open_session() -> str:
        return "a session"

    assert await stage.granted(open_session) == "a session"
    assert stage.shared.has_opened_session


async def test_cleanup_does_not_replace_error_of_step(stage: Stage) -> None:
    async def cleanup() -> None:
        raise KeyError("not expected")

    async def step() -> None:
        try:
            raise StepError("the step failed")
        finally:
            await stage.uninterrupted(cleanup())

    with pytest.raises(StepError, match=r"^the step failed$"):
        await step()


def test_error_is_retrieved_when_caller_is_cancelled(stage: Stage) -> None:
    reported: list[dict[str, Any]] = []

    async def cancel() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        began, may_end = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            began.set()
            await may_end.wait()
            raise KeyError("not expected")

        caller = asyncio.create_task(stage.uninterrupted(work()))
        await began.wait()
        caller.cancel()
        may_end.set()
        await asyncio.wait([caller])
        assert caller.cancelled()

    asyncio.run(cancel())
    gc.collect()
    assert reported == []


def test_deeply_nested_json_is_none() -> None:
    assert steps._json(httpx.Response(200, content=b"[" * 200_000)) is None


async def test_cleanup_says_whether_it_succeeded(stage: Stage) -> None:
    async def fail() -> None:
        raise KeyError("not expected")

    assert await stage.uninterrupted(asyncio.sleep(0))  # noqa: TID251 - no time passes
    assert not await stage.uninterrupted(fail())


async def test_limits_of_client_and_step_are_told_apart(stage: Stage) -> None:
    with pytest.raises(ConnectTimeoutError, match="8 s"):
        async with module.limited(stage, 30, "the broadcast"):
            raise ConnectTimeoutError("no video within 8 s")


async def test_handshake_without_answer_says_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_ENDED_SESSION_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        assert await steps._ended_session(stage, ClientCredentials("session", url, "token", 600)) is None
