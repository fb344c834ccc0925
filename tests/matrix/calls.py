"""The client calls of the fault matrix, and for each call the steps that prepare client and mock."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from odyssey_client import AdvancedConfig, BroadcastInfo, Odyssey, OdysseyEventHandlers, Script
from odyssey_mock import MockOdyssey

SLOW = "[slow:2000]"
"""Prompt marker that makes the mock delay its reply by 2 s on its clock."""


class Told:
    """Records the client's statuses, and the names of its handlers when they are called, in order."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._more = asyncio.Event()

    def __call__(self, word: str) -> None:
        self.words.append(word)
        self._more.set()

    def status(self, status: str) -> None:
        """Record a status, unless it equals the last recorded status."""
        before = next((each for each in reversed(self.words) if not each.startswith("on_")), None)
        if before != str(status):
            self(str(status))

    async def until(self, *words: str) -> None:
        """Wait until `words` are recorded in this order. Other words may be recorded between them."""
        while not self._has(words):
            self._more.clear()
            await self._more.wait()

    def _has(self, words: tuple[str, ...]) -> bool:
        told = iter(self.words)
        return all(word in told for word in words)


@dataclass
class Stage:
    """Objects for one cell of the fault matrix: mock, client, and the job, stream or broadcast that the call uses."""

    mock: MockOdyssey
    client: Odyssey
    limits: AdvancedConfig
    directory: Path
    told: Told = field(default_factory=Told)
    job_id: str = ""
    stream_id: str = ""
    other: Odyssey | None = None
    """A second client of the same account, which creates the job, the stream or the broadcast."""
    info: BroadcastInfo | None = None

    async def connect(self) -> None:
        """Connect the client with handlers that record their calls in `told`."""
        told = self.told
        handlers = OdysseyEventHandlers(
            on_connected=lambda: told("on_connected"),
            on_disconnected=lambda: told("on_disconnected"),
            on_stream_started=lambda: told("on_stream_started"),
            on_stream_ended=lambda: told("on_stream_ended"),
            on_interact_acknowledged=lambda: told("on_interact_acknowledged"),
            on_stream_error=lambda reason: told(f"on_stream_error({reason})"),
            on_error=lambda _, fatal: told("on_error(fatal)" if fatal else "on_error"),
            on_status_change=told.status,
            on_broadcast_ready=lambda: told("on_broadcast_ready"),
        )
        await self.client.connect(handlers)


async def nothing(_: Stage) -> None:
    """Do nothing: the preparation of a call that needs none."""


async def _connected(stage: Stage) -> None:
    await stage.connect()


async def _streaming(stage: Stage) -> None:
    await stage.connect()
    await stage.client.start_stream("A harbour")


async def _streaming_to_end_slowly(stage: Stage) -> None:
    await _streaming(stage)
    stage.mock.faults.add(at="stream.end", do="late", seconds=2)


async def _other_broadcast(stage: Stage) -> None:
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
    host = _another_client(stage)
    await host.connect(on_broadcast_ready=ready.set_result)
    await host.start_stream("A harbour", broadcast=True)
    stage.info = await ready


def _another_client(stage: Stage) -> Odyssey:
    stage.other = Odyssey(stage.mock.api_key, api_url=stage.mock.url, advanced=stage.limits)
    return stage.other


async def _with_job(stage: Stage) -> None:
    stage.job_id = (await _another_client(stage).simulate(script=_script())).job_id


async def _with_long_job(stage: Stage) -> None:
    """Submit a job of 60 s, so that it still runs when a fault delays the response to the call."""
    script = Script().start("A harbour").wait(60).end()
    stage.job_id = (await _another_client(stage).simulate(script=script)).job_id


async def _with_recording(stage: Stage) -> None:
    client = _another_client(stage)
    job = await client.simulate(script=_script())
    await stage.mock.advance(60)
    stage.stream_id = (await client.get_simulate_status(job.job_id)).streams[0].stream_id


def _script() -> Script:
    return Script().start("A harbour").wait(0.5).end()


async def _start(stage: Stage) -> None:
    await stage.client.start_stream("A harbour")


async def _start_slowly(stage: Stage) -> None:
    await stage.client.start_stream(f"A harbour {SLOW}")


async def _start_broadcast(stage: Stage) -> None:
    await stage.client.start_stream("A harbour", broadcast=True)
    with suppress(TimeoutError):  # some faults suppress broadcast_ready
        async with asyncio.timeout(0.5):
            await stage.told.until("on_broadcast_ready")


async def _interact(stage: Stage) -> None:
    await stage.client.interact("Snow falls")


async def _interact_slowly(stage: Stage) -> None:
    await stage.client.interact(f"Snow falls {SLOW}")


async def _interact_twice(stage: Stage) -> None:
    first, second = await asyncio.gather(stage.client.interact("Snow falls"), stage.client.interact("Night comes"))
    assert "Snow" in first
    assert "Night" in second


async def _end(stage: Stage) -> None:
    await stage.client.end_stream()


async def _disconnect(stage: Stage) -> None:
    await stage.client.disconnect()


async def _simulate(stage: Stage) -> None:
    await stage.client.simulate(script=_script())


async def _poll(stage: Stage) -> None:
    await stage.client.wait_for_simulation(stage.job_id, poll_interval=0.05, timeout=3.0)


async def _list(stage: Stage) -> None:
    assert [job.job_id for job in (await stage.client.list_simulations()).jobs] == [stage.job_id]


async def _cancel(stage: Stage) -> None:
    assert (await stage.client.cancel_simulation(stage.job_id)).status == "cancelled"


async def _list_recordings(stage: Stage) -> None:
    listed = await stage.client.list_stream_recordings()
    assert [each.stream_id for each in listed.recordings] == [stage.stream_id]


async def _download(stage: Stage) -> None:
    path = await stage.client.download_recording(stage.stream_id, stage.directory / "video.mp4")
    assert path.read_bytes() == (await stage.mock.recordings.file(stage.stream_id, "video.mp4")).read_bytes()


async def _spectate(stage: Stage) -> None:
    assert stage.info is not None
    url, token = stage.info.webrtc_url, stage.info.spectator_token
    async with await Odyssey.connect_to_stream(url, token, advanced=stage.limits) as spectator:
        await anext(spectator.stream.frames())


type Step = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Call:
    """A client call of the fault matrix (`make`), and the step that prepares it (`before`)."""

    before: Step
    make: Step
    waits: bool = False
    """Whether the mock delays its reply by 2 s, so that a fault can act while the call waits."""
    runs_jobs: bool = False
    """Whether the call waits for simulation jobs. The mock's clock must then be advanced."""


CALLS: Mapping[str, Call] = {
    "connect": Call(nothing, _connected),
    "start_stream": Call(_connected, _start),
    "start_stream (slow)": Call(_connected, _start_slowly, waits=True),
    "start_stream (broadcast)": Call(_connected, _start_broadcast),
    "interact": Call(_streaming, _interact),
    "interact (slow)": Call(_streaming, _interact_slowly, waits=True),
    "interact (two at once)": Call(_streaming, _interact_twice),
    "end_stream": Call(_streaming, _end),
    "end_stream (slow)": Call(_streaming_to_end_slowly, _end, waits=True),
    "disconnect": Call(_streaming, _disconnect),
    "simulate": Call(nothing, _simulate),
    "poll": Call(_with_job, _poll, runs_jobs=True),
    "list_simulations": Call(_with_job, _list),
    "cancel_simulation": Call(_with_long_job, _cancel),
    "list_stream_recordings": Call(_with_recording, _list_recordings),
    "download": Call(_with_recording, _download),
    "spectate": Call(_other_broadcast, _spectate),
}
