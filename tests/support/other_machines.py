"""Runs functions on the other machines of a network of `namespaces.py`."""

import asyncio
import os
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

NAMESPACES = Path("/run/netns")
END_LIMIT = 10.0
"""Timeout in seconds for the end of a process whose function has returned."""


class OtherMachineError(Exception):
    """The function on the other machine raised an exception. The message is its traceback."""


@contextmanager
def waiting_on[Argument, Result](
    machine: str, function: Callable[[Argument], Awaitable[Result]]
) -> Iterator[Callable[[Argument], Awaitable[Result]]]:
    """Start a process on `machine`, and yield a function that passes an argument to `function` there, once.

    The process is a fork. Enter the context manager before threads and event loops exist, which do not survive a fork.
    A new interpreter would take a second to import the packages.
    """
    assert threading.active_count() == 1, f"expected no thread before the fork, got {threading.enumerate()}"
    assert asyncio._get_running_loop() is None, "expected a fork before the event loop runs, got one inside of it"
    fork = get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(target=_serve, args=(machine, function, ours, theirs))
    process.start()
    theirs.close()

    def exchange(argument: Argument) -> Result:
        ours.send(argument)
        is_returned, result = ours.recv()
        if not is_returned:
            raise OtherMachineError(result)
        return result  # type: ignore[no-any-return]  # unpickled

    async def call(argument: Argument) -> Result:
        return await asyncio.to_thread(exchange, argument)

    try:
        with ours:
            yield call
    finally:
        process.join(END_LIMIT)
        process.kill()
        process.join()


def _serve[Argument, Result](
    machine: str, function: Callable[[Argument], Awaitable[Result]], ours: Connection, theirs: Connection
) -> None:
    """Enter the namespace of `machine`, wait for an argument, and send the result of `function`."""
    ours.close()
    namespace = os.open(NAMESPACES / machine, os.O_RDONLY)
    os.setns(namespace, os.CLONE_NEWNET)
    os.close(namespace)
    try:
        argument = theirs.recv()
    except EOFError:
        return  # the other process failed before it had an argument
    try:
        result = asyncio.run(_awaited(function, argument))
    except BaseException:
        theirs.send((False, traceback.format_exc()))
        raise
    theirs.send((True, result))


async def _awaited[Argument, Result](function: Callable[[Argument], Awaitable[Result]], argument: Argument) -> Result:
    return await function(argument)
