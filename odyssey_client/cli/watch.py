"""The command `odyssey watch`: watches a broadcast, prints statistics, and optionally records the video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from odyssey_client.cli.output import Answer
from odyssey_client.cli.playback import Playback, check_file
from odyssey_client.cli.service import Running, Seconds, call, json_option, trace_option
from odyssey_client.client.arguments import LONGEST_WAIT_S
from odyssey_client.event_loop import in_thread
from odyssey_client.platform import Clock
from odyssey_client.system import SystemClock
from odyssey_client.terminal.tables import Fields

TOKEN_VARIABLE = "ODYSSEY_SPECTATOR_TOKEN"  # noqa: S105 - a name, not a token


@dataclass(frozen=True, slots=True)
class _Order:
    """The arguments and options of `odyssey watch`."""

    webrtc_url: str
    token: str
    save: Path | None
    overwrite: bool
    seconds: float | None
    trace: Path | None = None


@click.command()
@click.argument("webrtc_url", metavar="WEBRTC_URL")
@click.option(
    "--token",
    metavar="T",
    envvar=TOKEN_VARIABLE,
    help=f"Spectator token. Prefer the environment variable {TOKEN_VARIABLE}: other users of the machine can read "
    "command lines.",
)
@click.option("--save", metavar="FILE", type=click.Path(path_type=Path), help="Record the video to this MP4 file.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.option(
    "--seconds",
    type=Seconds(min=0, min_open=True, max=LONGEST_WAIT_S),
    metavar="S",
    help="Stop after this many seconds.  [default: at the end of the broadcast]",
)
@trace_option
@json_option
def watch(
    webrtc_url: str,
    token: str | None,
    save: Path | None,
    overwrite: bool,
    seconds: float | None,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Watch a broadcast and show statistics.

    The client that hosts the stream receives WEBRTC_URL and the token in its callback `on_broadcast_ready`. Set
    ODYSSEY_SPECTATOR_TOKEN to the token first. No API key is needed.

    The command shows the number of frames and the frame rate. If the frames have stamps of odyssey-mock, it also shows
    the age of the last frame by this machine's clock, and the number of missing frames. A recording that is interrupted
    is still playable. If recording fails, the video recorded until then is kept, for example as out-recovered.mp4.
    If the command is killed, the next run with the same FILE renames the unfinished recording in the same way.

    Example: odyssey watch http://localhost:8400/broadcast/ID --save out.mp4
    """
    if not token:
        raise click.UsageError(
            f"Set the environment variable {TOKEN_VARIABLE} to the spectator token, or pass --token."
        )
    if overwrite and save is None:
        raise click.UsageError("--overwrite requires --save.")
    order = _Order(webrtc_url, token, save, overwrite, seconds, trace)
    call(lambda running: _watch(running, order, SystemClock()), as_json=as_json)


async def _watch(running: Running, order: _Order, clock: Clock) -> Answer:
    # A command that only shows its help, or that rejects its arguments, needs no client.
    from odyssey_client.spectator.spectator_connection import connect_to_stream  # noqa: PLC0415

    if (path := order.save) is not None:
        await in_thread(lambda: check_file(path, overwrite=order.overwrite))
    async with await connect_to_stream(order.webrtc_url, order.token, clock=clock, trace=order.trace) as spectator:
        running.progress.live("Connected.")
        playback = Playback(
            spectator.stream,
            save=order.save,
            seconds=order.seconds,
            ends_with="broadcast",
            progress=running.progress,
            clock=clock,
        )
        try:
            async with playback.recording():
                await playback.run()
        finally:
            running.so_far = Answer(playback.document(), (Fields(playback.pairs()),))
    return running.so_far
