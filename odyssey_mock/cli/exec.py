"""The command `odyssey-mock exec`: runs a command with a mock of its own.

The command imports its dependencies only when it runs, so that `odyssey-mock --help` stays fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from odyssey_mock.cli.exposure import warn_if_exposed
from odyssey_mock.cli.setting_options import GroupedCommand, chosen_settings, setting_options
from odyssey_mock.cli.warm_up import warming_up, without_garbage_collection
from odyssey_mock.settings import SETTING_NAMES, Settings

NO_MOCK, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127
"""Exit codes if the command did not run, as those of `env` and `timeout`: the mock could not start; the command cannot
be executed; the command does not exist."""

_DEFAULTS: Mapping[str, object] = MappingProxyType({"port": 0})
"""Defaults that differ from those of `odyssey-mock serve`. Several commands may run at the same time."""

_FORWARDED = ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
"""Names of the signals that the command gets if this process receives them. Windows does not have all of them."""
_OF_TERMINAL = frozenset({"SIGINT", "SIGQUIT"})
"""Names of the signals that a terminal sends to all processes in the foreground, for Ctrl-C and Ctrl-\\."""


@click.command(
    "exec",
    cls=GroupedCommand,
    # All options after the command's name belong to the command.
    context_settings={"help_option_names": ["-h", "--help"], "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def exec_(
    context: click.Context,
    /,
    *,
    config: Path | None,
    assignments: Sequence[str],
    command: Sequence[str],
    **values: Any,  # Any: settings differ in type
) -> None:
    """Start a mock, run COMMAND with it, and stop the mock when COMMAND ends.

    COMMAND gets the URL and the key of the mock in ODYSSEY_API_URL and ODYSSEY_API_KEY. It uses the terminal, input and
    output as if it ran alone. It also gets the signals that this process receives.

    The exit code is that of COMMAND, or 128 and the number of the signal that ended it. It is 125 if the mock could not
    start, 126 if COMMAND cannot be executed, and 127 if COMMAND does not exist.

    The other options are settings of the mock, as for `odyssey-mock serve`. By default, the mock has a free port.

    Example: odyssey-mock exec --plan unlimited -- npm test
    """
    from odyssey_mock.command_process import CannotStartError  # noqa: PLC0415
    from odyssey_mock.core.network import ListenError  # noqa: PLC0415
    from odyssey_mock.state.errors import StateError  # noqa: PLC0415
    from odyssey_mock.tls.errors import CertificateError  # noqa: PLC0415

    settings = chosen_settings(context, values, config=config, assignments=assignments, defaults=_DEFAULTS)
    try:
        code = asyncio.run(_exec(command, settings))
    except (CertificateError, ListenError, StateError) as error:
        click.echo(f"Error: {error}", err=True)
        code = NO_MOCK
    except CannotStartError as error:
        click.echo(f"Error: {error}", err=True)
        code = NOT_FOUND if error.is_missing else NOT_EXECUTABLE
    except KeyboardInterrupt:  # if the event loop supports no signal handlers
        code = 128 + signal.SIGINT
    context.exit(code)


exec_.params += setting_options(SETTING_NAMES, _DEFAULTS)


async def _exec(command: Sequence[str], settings: Settings) -> int:
    """Run a command with a new mock; return the exit code of this process."""
    with without_garbage_collection():
        from odyssey_mock.command_process import end_process, environment_of, start_command  # noqa: PLC0415
        from odyssey_mock.recordings.scratch_directory import remove_leftovers  # noqa: PLC0415
        from odyssey_mock.server import MockOdyssey  # noqa: PLC0415

    signals = _ForwardedSignals()
    await asyncio.to_thread(remove_leftovers)
    async with MockOdyssey(settings) as mock, warming_up(mock):
        warn_if_exposed(mock)
        if (signum := signals.first) is not None:  # before there was a command to get it
            return 128 + signum
        process = await start_command(command, environment_of(mock))
        try:
            signals.forward_to(process)
            status = await process.wait()
        finally:
            await end_process(process)
    return status if status >= 0 else 128 - status


class _ForwardedSignals:
    """Signals that this process receives, and that the command gets.

    Attributes:
        first: the first signal; None before one is received.
    """

    def __init__(self) -> None:
        """Handle the signals, in the current event loop."""
        self.first: signal.Signals | None = None
        self._early: list[signal.Signals] = []
        self._process: asyncio.subprocess.Process | None = None
        loop = asyncio.get_running_loop()
        for signum in (each for each in signal.Signals if each.name in _FORWARDED):
            # `nohup` and background jobs ignore signals, and so does the command then.
            if signal.getsignal(signum) is not signal.SIG_IGN:
                # On Windows the event loop supports no signal handlers.
                with contextlib.suppress(NotImplementedError):
                    loop.add_signal_handler(signum, self._receive, signum)

    def forward_to(self, process: asyncio.subprocess.Process) -> None:
        """Send signals to the process of the command: those received while it was starting, and all further ones."""
        self._process = process
        for signum in self._early:
            self._send(process, signum)

    def _receive(self, signum: signal.Signals) -> None:
        self.first = self.first or signum
        if self._process is None:
            self._early.append(signum)
        else:
            self._send(self._process, signum)

    def _send(self, process: asyncio.subprocess.Process, signum: signal.Signals) -> None:
        if signum.name in _OF_TERMINAL and _is_in_foreground():
            return  # the command has got it from the terminal already
        with contextlib.suppress(ProcessLookupError):  # the command has ended
            process.send_signal(signum)


def _is_in_foreground() -> bool:
    """Return whether this process, and so the command, is in the foreground of its terminal."""
    if sys.platform == "win32":
        return False
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # this process has no terminal
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # the terminal is gone
        return False
    finally:
        os.close(terminal)
