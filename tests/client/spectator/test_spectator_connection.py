"""Tests of the ways in which a `SpectatorConnection` ends: errors, closed resources, and calls of its callbacks."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, override

import av
import pytest

from odyssey_client import (
    AdvancedConfig,
    OdysseyConfigError,
    OdysseyError,
    PeerError,
    SpectatorConnection,
    connect_to_stream,
)
from odyssey_client.rtc import peer_connection
from odyssey_client.spectator import disconnect_callbacks
from tests.support.forks import run_python
from tests.support.leftovers import nothing_left
from tests.support.scripted_streamer import GreyTrack
from tests.support.whep_server import TOKEN, WhepServer, whep_server

LIMIT = 10.0


@asynccontextmanager
async def watching(
    advanced: AdvancedConfig | None = None, **options: Any
) -> AsyncIterator[tuple[WhepServer, SpectatorConnection]]:
    """Run a WHEP server, and connect a spectator. Yield server and spectator after the first frame has arrived."""
    async with asyncio.timeout(LIMIT), whep_server(**options) as server:
        spectator = await connect_to_stream(server.url, TOKEN, advanced=advanced)
        try:
            await anext(spectator.frames())
            yield server, spectator
        finally:
            await spectator.disconnect()


class Ended:
    """Records the argument of each call of its method `callback`: an error or None."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.got = asyncio.Event()

    def callback(self, error: OdysseyError | None) -> None:
        self.told.append(error)
        self.got.set()


async def test_end_of_broadcast_is_a_clean_end() -> None:
    ended = Ended()
    async with nothing_left(), watching() as (server, spectator):
        spectator.on_disconnect(ended.callback)
        frames = spectator.frames()
        await server.peers[0].close()
        await ended.got.wait()
        assert ended.told == [None]
        assert spectator.connection_state == "closed"
        async for _ in frames:
            pass  # ends without an error


async def test_repeated_disconnect_calls_the_callback_once() -> None:
    ended = Ended()
    async with watching() as (_, spectator):
        spectator.on_disconnect(ended.callback)
        await asyncio.gather(*[spectator.disconnect() for _ in range(3)])
        await spectator.disconnect()
    assert ended.told == [None]


class Stalls(GreyTrack):
    """A video track that sends five frames, and then no more, but does not end."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0

    @override
    async def recv(self) -> av.VideoFrame:
        self.frames += 1
        if self.frames > 5:
            await asyncio.Event().wait()
        return await super().recv()


async def test_stalled_video_fails_the_connection() -> None:
    ended = Ended()
    async with nothing_left(), watching(AdvancedConfig(peer_timeout_s=0.4), track=Stalls) as (_, spectator):
        spectator.on_disconnect(ended.callback)
        with pytest.raises(PeerError, match=r"no video for 0\.4 s"):
            async for _ in spectator.frames():
                pass
        assert spectator.connection_state == "failed"
        (error,) = ended.told
        assert isinstance(error, PeerError)


def lose() -> None:
    """Report a lost peer connection to the client, in the same `contextvars` context as aiortc does."""
    (peer,) = [each for each in peer_connection._open if each._connection.connectionState == "connected"]
    peer._context.run(peer._tell_lost, PeerError("ICE has failed"))


async def test_async_callback_finishes_after_loss_reported_by_aiortc() -> None:
    finished = asyncio.Event()
    spectators: list[SpectatorConnection] = []

    async def callback(error: OdysseyError | None) -> None:
        assert isinstance(error, PeerError)
        await spectators[0].disconnect()
        finished.set()

    async with nothing_left(), watching() as (_, spectator):
        spectators.append(spectator)
        spectator.on_disconnect(callback)
        lose()
        await finished.wait()
        assert spectator.connection_state == "failed"


async def test_raising_callbacks_do_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    called: list[str] = []

    def raises() -> None:
        called.append("raises")
        raise ValueError("the callback failed")

    async def raises_later() -> None:
        called.append("raises later")
        raise ValueError("the async callback failed")

    async def awaits() -> None:
        await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.01)
        called.append("awaits")

    async with watching() as (_, spectator):
        for callback in (raises, raises_later, awaits, lambda: called.append("plain")):
            spectator.on_disconnect(callback)
        await spectator.disconnect()
    assert sorted(called) == ["awaits", "plain", "raises", "raises later"]
    assert caplog.text.count("an on_disconnect callback raised an exception") == 2


async def test_cancelled_error_in_callback_does_not_stop_others() -> None:
    ended = Ended()
    cancelled = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    async with nothing_left(), watching() as (server, spectator):
        spectator.on_disconnect(cancelled.result)
        spectator.on_disconnect(ended.callback)
        await spectator.disconnect()
        assert ended.told == [None]
        assert server.asked[-1] == "DELETE /stream/whep/1"


async def test_callback_that_exits_still_closes_everything() -> None:
    async with nothing_left(), watching() as (server, spectator):
        spectator.on_disconnect(sys.exit)
        with pytest.raises(SystemExit):
            await spectator.disconnect()
        await spectator.disconnect()
        assert server.asked[-1] == "DELETE /stream/whep/1"


async def test_callback_added_after_the_end_is_called() -> None:
    ended, finished = Ended(), asyncio.Event()

    async def later() -> None:
        finished.set()

    async with watching() as (server, spectator):
        spectator.on_disconnect(ended.callback)
        await server.peers[0].close()
        await ended.got.wait()
        spectator.on_disconnect(ended.callback)
        assert ended.told == [None, None]
        await spectator.disconnect()
        spectator.on_disconnect(ended.callback)
        spectator.on_disconnect(later)
        assert len(ended.told) == 3
        await finished.wait()


async def test_hanging_callback_is_cancelled(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(disconnect_callbacks, "CALLBACK_LIMIT_S", 0.05)
    cancelled = asyncio.Event()

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with nothing_left(), watching() as (_, spectator):
        spectator.on_disconnect(hangs)
        await spectator.disconnect()
        assert cancelled.is_set()
    assert "still running" in caplog.text


async def test_uncancellable_callback_does_not_block_disconnect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disconnect_callbacks, "CALLBACK_LIMIT_S", 0.05)
    go, gone = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        while not go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go.wait()
        gone.set()

    async with nothing_left(), watching() as (_, spectator):
        spectator.on_disconnect(stubborn)
        await spectator.disconnect()
        assert not gone.is_set()
        go.set()
        await gone.wait()


async def test_non_callable_callback_is_rejected() -> None:
    async with watching() as (_, spectator):
        with pytest.raises(OdysseyConfigError, match="expected a function for on_disconnect, got str"):
            spectator.on_disconnect("not a function")  # type: ignore[arg-type]


async def test_disconnecting_from_stopped_service_is_quick() -> None:
    async with asyncio.timeout(LIMIT):
        async with whep_server() as server:
            spectator = await connect_to_stream(server.url, TOKEN)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await spectator.disconnect()
        assert loop.time() - began < 4
        assert spectator.connection_state == "closed"


async def test_rtcp_bye_ends_the_broadcast() -> None:
    async with watching() as (server, spectator):
        sender = server.peers[0]._connection.getSenders()[0]
        await sender.stop()  # RTCP BYE (RFC 3550 section 6.6)
        async for _ in spectator.frames():
            pass
        assert spectator.connection_state == "closed"


FORGETFUL = """
import asyncio, sys
from odyssey_client import connect_to_stream

async def main():
    spectator = await connect_to_stream(*sys.argv[1:])
    await anext(spectator.frames())
    return spectator

{run}
print("done", flush=True)
"""
RUNS = {
    "asyncio.run": "asyncio.run(main())",
    "a loop that is left": "loop = asyncio.new_event_loop(); kept = loop.run_until_complete(main())",
}


@pytest.mark.parametrize("run", RUNS)
async def test_process_exits_without_disconnecting(run: str) -> None:
    async with whep_server() as server:
        code = FORGETFUL.format(run=RUNS[run])
        finished = await asyncio.to_thread(run_python, "-c", code, server.url, TOKEN, limit_s=30)
    assert finished.stdout == "done\n", (
        f"expected the program to print 'done', got {finished.stdout!r} and this error output:\n{finished.stderr}"
    )
    assert finished.returncode == 0
    assert TOKEN not in finished.stderr
