"""The command `odyssey-mock serve`: the mock as a process of its own."""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from odyssey_mock.server import MockOdyssey
    from odyssey_mock.settings import Settings

DEFAULT_PORT = 8400
SIZE = (click.IntRange(min=88), click.IntRange(min=88))


@click.command()
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=DEFAULT_PORT, type=click.IntRange(0, 65535), help="TCP port; 0 takes a free one.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON once it is ready, and nothing else.")
@click.option(
    "--clock", type=click.Choice(["real", "manual"]), default="real", help="Whether the server's time passes."
)
@click.option("--speed", default=1.0, help="Seconds of server time in one real second, on a real clock.")
@click.option("--seed", type=int, default=None, help="Seed of every id and secret.  [default: none, they are random]")
@click.option("--key", "keys", multiple=True, help="An API key to accept, and no others; may be repeated.")
@click.option(
    "--plan", type=click.Choice(["free", "unlimited"]), default="free", help="The limits of accounts not set here."
)
@click.option("--streamers", default=100, help="Sessions served at once.")
@click.option("--portrait-size", type=SIZE, default=(704, 1280), metavar="W H", help="Pixels of a portrait stream.")
@click.option("--landscape-size", type=SIZE, default=(1280, 704), metavar="W H", help="Pixels of a landscape stream.")
@click.option("--stream-duration", type=float, help="Seconds that a live stream may last.  [default: as the plan says]")
@click.option("--monthly-hours", type=float, help="Hours of video an account has a month.  [default: as the plan says]")
@click.option("--hls/--no-hls", default=True, help="Whether broadcasts have an HLS playlist.")
@click.option("--simulation-pace", default=0.1, help="Seconds that one second of simulated video takes.")
@click.option("--script-host", "hosts", multiple=True, help="A host, beside this machine, that a script_url may name.")
@click.option(
    "--faults",
    "fault_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What is to fail: a list of faults, in YAML or JSON.",
)
@click.option("--loopback-only", is_flag=True, help="Offer video on 127.0.0.1 alone; Firefox does not connect then.")
def serve(
    as_json: bool, keys: tuple[str, ...], hosts: tuple[str, ...], fault_file: Path | None, **options: object
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Point a client at it with the environment variables that are printed.
    """
    from odyssey_mock.core.network import ListenError  # noqa: PLC0415
    from odyssey_mock.faults.files import FaultFileError, read_faults  # noqa: PLC0415
    from odyssey_mock.settings import AccountSettings, Settings, SettingsError  # noqa: PLC0415

    try:
        settings = Settings()
        settings = settings.replace(
            keys={key: AccountSettings() for key in keys} or None,
            script_url_hosts=[*settings.script_url_hosts, *hosts],
            faults=() if fault_file is None else read_faults(fault_file),
            # What was not given is as the plan and the defaults say.
            **{name: value for name, value in options.items() if value is not None},
        )
    except (SettingsError, FaultFileError) as error:
        raise click.UsageError(str(error)) from error
    try:
        asyncio.run(_serve(settings, as_json=as_json))
    except ListenError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        # Where the event loop takes no signal handlers, Ctrl-C comes as this; the mock has been closed on its way here.
        return


async def _serve(settings: "Settings", *, as_json: bool) -> None:
    from odyssey_mock.server import MockOdyssey  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        # Windows: the event loop takes no signal handlers.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(signum, stop.set)
    async with MockOdyssey(settings) as mock:
        click.echo(_ready_line(mock) if as_json else _welcome(mock))
        await stop.wait()


def _ready_line(mock: "MockOdyssey") -> str:
    """What a program that starts the mock reads: one line of JSON, once it can be used."""
    return json.dumps({"url": mock.url, "api_key": mock.api_key, "console_url": None, "pid": os.getpid()})


def _welcome(mock: "MockOdyssey") -> str:
    return f"""\
Odyssey mock at {mock.url}

  export ODYSSEY_API_URL={mock.url}
  export ODYSSEY_API_KEY={mock.api_key}

  state    {mock.url}/_mock/state
  journal  {mock.url}/_mock/journal?format=jsonl

Ctrl-C ends it."""
