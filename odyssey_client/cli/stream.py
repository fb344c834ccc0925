"""The command `odyssey stream`: plays one live stream, with interactions, and optionally records the video."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, override

import click

from odyssey_client.cli.output import Answer
from odyssey_client.cli.playback import Playback, check_file
from odyssey_client.cli.service import Seconds, Service, call_service, service_options, trace_option
from odyssey_client.client.arguments import LONGEST_WAIT_S
from odyssey_client.errors import OdysseyError, OdysseyStreamError
from odyssey_client.event_loop import in_thread
from odyssey_client.events import OdysseyEventHandlers
from odyssey_client.media.frames import VideoFrame
from odyssey_client.media.stamp import Stamp
from odyssey_client.models import JSON, ConnectionStatus
from odyssey_client.platform import Clock
from odyssey_client.system import SystemClock
from odyssey_client.terminal.tables import Columns, Fields, Part

AFTER_S = 5.0
"""Default of the seconds between the last interaction and the end of the stream, so that its effect can be seen."""

END_LIMIT_S = 3.0
"""Maximum seconds that an interrupted or failed command waits for the end of the stream. Its session ends anyway."""

SESSION_TIMEOUT = "session_timeout"
"""The reason of the error that ends a stream after the longest time that the service permits."""

_EXAMPLE = "'3s:Pet the cat'"


@dataclass(frozen=True, slots=True)
class Interaction:
    """An interaction, ``seconds`` after the start of the stream."""

    seconds: float
    prompt: str


class InteractionType(click.ParamType[Interaction]):
    """The type of options that are a time and a prompt, such as `3s:Pet the cat`."""

    name = "interaction"

    @override
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Interaction:  # Any: as in click
        """Return the interaction."""
        if isinstance(value, Interaction):
            return value
        found = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*s?\s*:\s*(.*\S)\s*", str(value), re.DOTALL)
        if found is None:
            self.fail(f"expected TIME:PROMPT, such as {_EXAMPLE}, got {value!r}", param, ctx)
        return Interaction(float(found[1]), found[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """The arguments and options of `odyssey stream`, and the seconds after which the stream ends."""

    prompt: str
    interactions: tuple[Interaction, ...]
    image: Path | None
    portrait: bool
    bypass_prompt_expansion: bool
    save: Path | None
    overwrite: bool
    seconds: float | None


@click.command()
@click.argument("prompt")
@click.option(
    "--interact",
    "interactions",
    multiple=True,
    metavar="TIME:PROMPT",
    type=InteractionType(),
    help=f"Change the stream at this time after its start, such as {_EXAMPLE}. May be repeated.",
)
@click.option(
    "--image",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Image to start from.",
)
@click.option("--portrait/--landscape", default=True, help="Video size: 704x1280 or 1280x704.")
@click.option("--bypass-prompt-expansion", is_flag=True, help="Use prompts unchanged; this requires a privilege.")
@click.option(
    "--duration",
    metavar="S",
    type=Seconds(min=0, min_open=True, max=LONGEST_WAIT_S),
    help=f"End the stream after this many seconds.  [default: {AFTER_S:g} s after the last interaction; without one, "
    "when the service ends the stream]",
)
@click.option("--save", metavar="FILE", type=click.Path(path_type=Path), help="Record the video to this MP4 file.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@trace_option
@service_options
def stream(
    *, api_url: str | None, as_json: bool, trace: Path | None, duration: float | None, **options: Any
) -> None:  # Any: click has converted the values
    """Play a live stream that starts with PROMPT.

    The command connects, starts the stream, sends the interactions at their times, and ends the stream. It shows the
    number of frames and the frame rate, as `odyssey watch` does.

    Ctrl-C ends the stream. A recording that is interrupted is kept, and playable. If recording fails, the video
    recorded until then is kept, for example as out-recovered.mp4.

    Example: odyssey stream "A cat" --interact "3s:Pet the cat" --save out.mp4
    """
    interactions = tuple(sorted(options.pop("interactions"), key=lambda each: each.seconds))
    if options["overwrite"] and options["save"] is None:
        raise click.UsageError("--overwrite requires --save.")
    if duration is None and interactions:
        duration = interactions[-1].seconds + AFTER_S
    if duration is not None and interactions and interactions[-1].seconds >= duration:
        last = interactions[-1]
        raise click.UsageError(
            f"--interact at {last.seconds:g} s is not before the end of the stream, --duration {duration:g}."
        )
    order = _Order(interactions=interactions, seconds=duration, **options)
    call_service(lambda service: _stream(service, order, SystemClock()), api_url=api_url, as_json=as_json, trace=trace)


async def _stream(service: Service, order: _Order, clock: Clock) -> Answer:
    if (path := order.save) is not None:
        await in_thread(lambda: check_file(path, overwrite=order.overwrite))
    played = _Stream(service, order, clock)
    service.progress.live("Connecting.")
    video = await service.client.connect(
        OdysseyEventHandlers(
            on_status_change=played.on_status, on_stream_ended=played.on_ended, on_stream_error=played.on_error
        )
    )
    played.playback = Playback(
        video,
        save=order.save,
        seconds=order.seconds,
        ends_with="service",
        begins_with=played.is_of_stream,
        progress=service.progress,
        clock=clock,
    )
    try:
        await played.run(played.playback)
    finally:
        service.so_far = played.answer(played.playback)
    return service.so_far


@dataclass(slots=True)
class _Stream:
    """One live stream, from its start to its end."""

    service: Service
    order: _Order
    clock: Clock
    playback: Playback | None = None
    stream_id: str | None = None
    acknowledged_at: float = math.inf
    """When the start of the stream was acknowledged, in seconds since the epoch."""
    applied: list[tuple[Interaction, str]] = field(default_factory=list)
    """The interactions that were acknowledged, with the prompts as applied."""
    has_ended: bool = False
    failure: OdysseyStreamError | None = None
    """The latest error of the stream that no call has raised."""

    async def run(self, playback: Playback) -> None:
        """Play the stream. When this method ends, the stream has ended, and the recording is finished.

        Raises:
            DownloadError: the recording cannot be written.
            OdysseyError: the stream cannot be started, an interaction was rejected, the service ended the stream with
                an error, or the connection was lost.
        """
        client, order = self.service.client, self.order
        async with playback.recording():
            self.stream_id = await client.start_stream(
                order.prompt,
                portrait=order.portrait,
                image=order.image,
                bypass_prompt_expansion=order.bypass_prompt_expansion or None,
            )
            self.acknowledged_at = self.clock.time()
            self.service.progress.note(f"Stream {self.stream_id}: {client.last_applied_prompt}")
            async with self._ending(), self._interacting(playback):
                await playback.run()
        if playback.ended_by == "service" and self.failure is not None and not self._is_expected(self.failure):
            raise self.failure

    def is_of_stream(self, frame: VideoFrame, stamp: Stamp | None) -> bool:
        """Return whether a frame can be the first one of the stream.

        While no stream runs, the service sends other frames, which may have another size. Some arrive after the start
        of the stream, and the first frames of the stream can arrive before the acknowledgment. Only the stamps of
        odyssey-mock tell them apart. Without a stamp, a frame before the acknowledgment is not of the stream.
        """
        if stamp is not None:
            return stamp.stream_tag is not None
        if frame.received_at is not None and frame.received_at < self.acknowledged_at:
            return False
        return (frame.height >= frame.width) is self.order.portrait

    def _is_expected(self, failure: OdysseyStreamError) -> bool:
        """Return whether the stream was to last until the service ends it, and has lasted as long as permitted."""
        return self.order.seconds is None and failure.reason == SESSION_TIMEOUT

    @contextlib.asynccontextmanager
    async def _ending(self) -> AsyncIterator[None]:
        """End the stream after the block, unless it has ended already."""
        try:
            yield
        except BaseException:
            # The session ends soon, so an error of the end adds nothing to the one that is raised.
            with contextlib.suppress(OdysseyError, TimeoutError):
                async with self.clock.timeout(END_LIMIT_S):
                    await self._end()
            raise
        await self._end()

    async def _end(self) -> None:
        if not self.has_ended and self.service.client.is_connected:
            self.has_ended = True
            await self.service.client.end_stream()

    @contextlib.asynccontextmanager
    async def _interacting(self, playback: Playback) -> AsyncIterator[None]:
        """Send the interactions during the block. A rejected interaction ends the playback, and is raised."""
        task = asyncio.create_task(self._interact(), name="odyssey stream interactions")

        def stop(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and done.exception() is not None:
                playback.stop("error")

        task.add_done_callback(stop)
        try:
            yield
        finally:
            if not task.done():
                task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    async def _interact(self) -> None:
        began = self.clock.monotonic()
        for each in self.order.interactions:
            await self.clock.sleep(max(0.0, began + each.seconds - self.clock.monotonic()))
            try:
                applied = await self.service.client.interact(each.prompt)
            except OdysseyError as error:
                error.add_note(f"The interaction at {each.seconds:g} s was not applied: {each.prompt}")
                raise
            self.applied.append((each, applied))
            self.service.progress.note(f"{each.seconds:g} s: {applied}")

    def on_status(self, status: ConnectionStatus, message: str | None) -> None:
        """Show a status of the connection that the user should know."""
        if message:
            self.service.progress.note(f"{status.value.capitalize()}: {message}")

    def on_ended(self) -> None:
        """Note that the stream has ended."""
        self.has_ended = True
        if self.playback is not None:
            self.playback.stop("service")

    def on_error(self, reason: str, message: str) -> None:
        """Note an error of the stream. It is raised if the stream ends, because the error is then the reason."""
        self.failure = OdysseyStreamError(reason, message)

    def answer(self, playback: Playback) -> Answer:
        """Return the result of the command; call it after `run`."""
        interactions: list[JSON] = [
            {"seconds": each.seconds, "prompt": each.prompt, "applied_prompt": applied}
            for each, applied in self.applied
        ]
        document: dict[str, JSON] = {
            "stream_id": self.stream_id,
            **playback.document(),
            "interactions": interactions,
        }
        reason = str(self.failure) if playback.ended_by == "service" and self.failure is not None else None
        parts: list[Part] = [Fields([("stream", self.stream_id), *playback.pairs(), ("reason", reason)])]
        if self.applied:
            rows = [(f"{each.seconds:g} s", applied) for each, applied in self.applied]
            parts.append(Columns(header=("AT", "APPLIED PROMPT"), rows=rows, sentences=("APPLIED PROMPT",)))
        return Answer(document, parts)
