"""The sandbox of a run: time and entropy of its own, and no threads, sleep or network of the machine.

Libraries read `time.time` and `os.urandom` as they like. While a run goes on, in the thread it goes on in, they get the
run's time and its seeded bytes; and what would really block, or reach the machine's network, is an error that names it.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import Any, Protocol
from unittest import mock

NANOSECONDS = 1_000_000_000


class SandboxError(RuntimeError):
    """Code in a simulated run would have really slept, blocked, begun a thread or process, or used the network."""


class TimeAndEntropy(Protocol):
    """What a run has in place of the machine's."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""

    def urandom(self, size: int, /) -> bytes:
        """Draw that many bytes."""


_INSTEAD = "time passes by `await asyncio.sleep()`"
_HOSTS = "hosts of the simulation are reached through asyncio and the platform of client and mock"
_UNOWNED = "nobody else runs who could end it: wait for something of asyncio's, such as `asyncio.Event`"
_INLINE = "work for threads is given to `loop.run_in_executor`, which does it in turn"

_FORBIDDEN: Mapping[str, str] = MappingProxyType(
    {
        "time.sleep": _INSTEAD,
        "socket.connect": _HOSTS,
        "socket.bind": _HOSTS,
        "socket.sendto": _HOSTS,
        "socket.sendmsg": _HOSTS,
        "socket.getaddrinfo": _HOSTS,
        "socket.gethostbyname": _HOSTS,
        "socket.gethostbyaddr": _HOSTS,
        "socket.getnameinfo": _HOSTS,
        "_thread.start_new_thread": _INLINE,
        "_thread.start_joinable_thread": _INLINE,
        "builtins.input": "there is nobody to answer",
        "subprocess.Popen": "a process has a time of its own",
        "os.system": "a process has a time of its own",
        "os.exec": "a process has a time of its own",
        "os.fork": "a process has a time of its own",
        "os.forkpty": "a process has a time of its own",
        "os.posix_spawn": "a process has a time of its own",
    }
)
"""Audit events (PEP 578) of what cannot be simulated, and what to do instead."""

_thread: int | None = None
"""The thread in which a run goes on, if one does."""
_hooked = False


def _watch(event: str, args: tuple[object, ...]) -> None:
    if _thread is not None and event in _FORBIDDEN and threading.get_ident() == _thread:
        shown = ", ".join(repr(each) for each in args if isinstance(each, str | bytes | int | float | tuple | None))
        raise SandboxError(f"{event}({shown}) reaches out of the simulation: {_FORBIDDEN[event]}")


@contextmanager
def sandboxed(source: TimeAndEntropy) -> Iterator[None]:
    """Give this thread the time and entropy of `source` in this block, and nothing else of the machine.

    Raises:
        SandboxError: a run goes on already, in this process.
    """
    global _thread, _hooked  # noqa: PLW0603 - audit hooks are the process's, and for ever
    if _thread is not None:
        raise SandboxError(
            "a simulated run goes on already in this process: they take turns, or processes of their own"
        )
    if not _hooked:
        sys.addaudithook(_watch)
        _hooked = True
    with ExitStack() as stack:
        for module, name, replacement in _replacements(source):
            stack.enter_context(mock.patch.object(module, name, _only_here(replacement, getattr(module, name))))
        stack.callback(random.setstate, random.getstate())
        random.seed(source.urandom(16))
        _thread = threading.get_ident()
        try:
            yield
        finally:
            _thread = None


def _replacements(source: TimeAndEntropy) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    yield os, "urandom", source.urandom
    yield time, "sleep", _refuse_to_sleep  # it has no audit event before Python 3.13
    # What waits for another thread ends here: `Event`, `Queue`, `Barrier`, `concurrent.futures`.
    yield threading.Condition, "wait", _refuse_to_wait
    yield random, "_urandom", source.urandom  # what `secrets` and `SystemRandom` draw from
    for name, read in (("time", source.time), ("monotonic", source.monotonic), ("perf_counter", source.monotonic)):
        yield time, name, read
        yield time, f"{name}_ns", _in_nanoseconds(read)


def _refuse_to_sleep(seconds: float, /) -> None:
    raise SandboxError(f"time.sleep({seconds!r}) reaches out of the simulation: {_INSTEAD}")


def _refuse_to_wait(_: threading.Condition, timeout: float | None = None) -> bool:
    if timeout is not None and timeout <= 0:
        return False  # it only asks
    raise SandboxError(f"threading.Condition.wait({timeout!r}) would block the simulation: {_UNOWNED}")


def _in_nanoseconds(read: Callable[[], float]) -> Callable[[], int]:
    return lambda: round(read() * NANOSECONDS)


def _only_here[**P, T](inside: Callable[P, T], outside: Callable[P, T]) -> Callable[P, T]:
    """Call `source` in the thread of the run, `outside` in others."""
    here = threading.get_ident()

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return (inside if threading.get_ident() == here else outside)(*args, **kwargs)

    return call
