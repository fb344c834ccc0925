"""Commands that talk to the service: their options, their client, their end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import click

from odyssey_client.cli.errors import StoppedError, error_document, error_text, exit_code
from odyssey_client.cli.output import Answer, print_json, print_text
from odyssey_client.cli.progress import Progress
from odyssey_client.client import Odyssey
from odyssey_client.errors import OdysseyError
from odyssey_client.models import JSON

_SIGNALS = frozenset({"SIGINT", "SIGTERM", "SIGHUP"})
"""What stops a command; Windows has not all of them."""


@dataclass(slots=True)
class Service:
    """What a command works with.

    Attributes:
        client: The client, closed after the command.
        progress: What shows how far it is.
        if_stopped: What to say should a signal stop the command now.
        so_far: What there is to tell already, should the command not come to its end.
    """

    client: Odyssey
    progress: Progress
    if_stopped: str = "Interrupted."
    so_far: Answer = field(default_factory=lambda: Answer({}, ""))


def json_option[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Add ``--json``, as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(function)


def service_options[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Add ``--api-url`` and ``--json``."""
    url = click.option("--api-url", metavar="URL", help="Where the service is.  [default: from ODYSSEY_API_URL]")
    return url(json_option(function))


def call_service(work: Callable[[Service], Awaitable[Answer]], *, api_url: str | None, as_json: bool) -> None:
    """Do ``work`` with a client, and `finish`."""
    finish(lambda: asyncio.run(_work(api_url, work)), as_json=as_json)


def finish(work: Callable[[], Answer], *, as_json: bool) -> None:
    """Do ``work``, print what came of it, and exit with a code of its own if that was an error."""
    try:
        answer = work()
    except OdysseyError as error:
        answer = Answer({}, "", (error,))
    except KeyboardInterrupt:  # where the event loop takes no signal handlers
        answer = Answer({}, "", (StoppedError(signal.SIGINT, "Interrupted."),))
    try:
        _print(answer, as_json=as_json)
    except BrokenPipeError:  # click knows what to do
        raise
    except OSError as error:
        with contextlib.suppress(OSError):
            print_text(f"Error: The output cannot be written: {error.strerror}.", to_stderr=True)
        sys.exit(1)
    if answer.errors:
        sys.exit(exit_code(answer.errors[0]))


def _print(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        problem: dict[str, JSON] = {"error": error_document(answer.errors[0])} if answer.errors else {}
        print_json({**problem, **answer.document})
    elif answer.text:
        print_text(answer.text)
    for each in answer.errors:
        print_text(error_text(each), to_stderr=True)


async def _work(api_url: str | None, work: Callable[[Service], Awaitable[Answer]]) -> Answer:
    async with Odyssey(api_url=api_url) as client:
        service = Service(client, Progress())
        stopped_by = _cancel_on_signals()
        try:
            return await work(service)
        except OdysseyError as error:
            return replace(service.so_far, errors=(error,))
        except asyncio.CancelledError:
            if not stopped_by:
                raise
            return replace(service.so_far, errors=(StoppedError(stopped_by[0], service.if_stopped),))
        finally:
            service.progress.end()


def _cancel_on_signals() -> list[signal.Signals]:
    """Let signals cancel this task, so that it cleans up; return a list that will have those that came."""
    task, came = asyncio.current_task(), list[signal.Signals]()

    def stop(signum: signal.Signals) -> None:
        came.append(signum)
        if task is not None:
            task.cancel()

    for signum in (each for each in signal.Signals if each.name in _SIGNALS):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as nohup has it, and shells for what runs behind
            # On Windows, and outside the main thread, there are no such handlers.
            with contextlib.suppress(NotImplementedError, RuntimeError):
                asyncio.get_running_loop().add_signal_handler(signum, stop, signum)
    return came
