"""Functions that run a command: common options, creation of the client, signals, output and exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, override

import click

from odyssey_client.cli.errors import StoppedError, error_document, error_text, exit_code
from odyssey_client.cli.output import ERROR_LABEL, Answer, print_error, print_json, print_parts
from odyssey_client.cli.progress import Progress
from odyssey_client.errors import OdysseyError
from odyssey_client.models import JSON

if TYPE_CHECKING:
    from odyssey_client.client.odyssey import Odyssey

_SIGNALS = frozenset({"SIGINT", "SIGTERM", "SIGHUP"})
"""Names of the signals that stop a command. Windows does not have all of them."""


@dataclass(slots=True)
class Running:
    """A running command.

    Attributes:
        progress: Shows the progress on standard error.
        if_stopped: The message to print if a signal stops the command now.
        so_far: The result so far, which is printed if an error or a signal ends the command.
    """

    progress: Progress = field(default_factory=Progress)
    if_stopped: str = "Interrupted."
    so_far: Answer = field(default_factory=lambda: Answer({}, ()))


@dataclass(slots=True, kw_only=True)
class Service(Running):
    """A running command that calls the service.

    Attributes:
        client: The client; it is closed after the command.
    """

    client: Odyssey


class Seconds(click.FloatRange):
    """The type of options that are a number of seconds in a range. Unlike `click.FloatRange`, it rejects NaN."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # Any: as in click
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value} is not a number.", param, ctx)
        return seconds


def json_option[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Add the option ``--json`` to a command, passed as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(function)


def service_options[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Add the options ``--api-url`` and ``--json`` to a command, passed as ``api_url`` and ``as_json``."""
    url = click.option("--api-url", metavar="URL", help="URL of the service.  [default: from ODYSSEY_API_URL]")
    return url(json_option(function))


def trace_option[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Add the option ``--trace`` to a command, passed as ``trace``."""
    kind = click.Path(path_type=Path, dir_okay=False)
    text = "Record what the client does in this trace file; `odyssey-mock trace show` displays it."
    return click.option("--trace", metavar="FILE", type=kind, help=text)(function)


def call_service(
    work: Callable[[Service], Awaitable[Answer]], *, api_url: str | None, as_json: bool, trace: Path | None = None
) -> None:
    """Create a client and run ``work`` with it. Print the result and exit as `finish` does."""
    finish(lambda: asyncio.run(_with_client(api_url, trace, work)), as_json=as_json)


def call(work: Callable[[Running], Awaitable[Answer]], *, as_json: bool) -> None:
    """Run ``work``, which needs no client. Print the result and exit as `finish` does."""
    finish(lambda: asyncio.run(_attended(Running(), work)), as_json=as_json)


def finish(work: Callable[[], Answer], *, as_json: bool) -> None:
    """Run ``work`` and print its result. If the result has errors, exit with the exit code of the first one."""
    try:
        answer = work()
    except OdysseyError as error:
        answer = Answer({}, (), (error,))
    except KeyboardInterrupt:  # if the event loop supports no signal handlers
        answer = Answer({}, (), (StoppedError(signal.SIGINT, "Interrupted."),))
    try:
        _print(answer, as_json=as_json)
    except BrokenPipeError:  # click exits with code 1 and prints nothing
        raise
    except OSError as error:
        with contextlib.suppress(OSError):
            print_error(f"{ERROR_LABEL} Cannot write the output: {error.strerror}.")
        sys.exit(1)
    if answer.errors:
        sys.exit(exit_code(answer.errors[0]))


def _print(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        problem: dict[str, JSON] = {"error": error_document(answer.errors[0])} if answer.errors else {}
        print_json({**problem, **answer.document})
    else:
        print_parts(answer.parts)
    for each in answer.errors:
        print_error(error_text(each))


async def _with_client(api_url: str | None, trace: Path | None, work: Callable[[Service], Awaitable[Answer]]) -> Answer:
    # A command that only shows its help, or that rejects its arguments, needs no client.
    from odyssey_client.client.odyssey import Odyssey  # noqa: PLC0415

    async with Odyssey(api_url=api_url, trace=trace) as client:
        return await _attended(Service(client=client), work)


async def _attended[R: Running](running: R, work: Callable[[R], Awaitable[Answer]]) -> Answer:
    """Run ``work`` and return its result.

    If an error ends ``work``, return ``running.so_far`` with this error added. If a signal ends ``work``, a
    `StoppedError` is added.
    """
    stopped_by = _cancel_on_signals()
    try:
        return await work(running)
    except OdysseyError as error:
        return replace(running.so_far, errors=(error,))
    except asyncio.CancelledError:
        if not stopped_by:
            raise
        return replace(running.so_far, errors=(StoppedError(stopped_by[0], running.if_stopped),))
    finally:
        running.progress.end()


def _cancel_on_signals() -> list[signal.Signals]:
    """Install signal handlers that cancel the current task, so that it can clean up.

    The handlers add each received signal to the list that this function returns.
    """
    task, received = asyncio.current_task(), list[signal.Signals]()

    def stop(signum: signal.Signals) -> None:
        received.append(signum)
        if task is not None:
            task.cancel()

    for signum in (each for each in signal.Signals if each.name in _SIGNALS):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # `nohup` and background jobs ignore signals
            # Signal handlers are not supported on Windows and outside the main thread.
            with contextlib.suppress(NotImplementedError, RuntimeError):
                asyncio.get_running_loop().add_signal_handler(signum, stop, signum)
    return received
