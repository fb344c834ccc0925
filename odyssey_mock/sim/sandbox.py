"""The sandbox of a run: it replaces time and entropy, and blocks threads, sleeping and the machine's network.

Libraries call `time.time` and `os.urandom` directly. In the thread of a run, these functions return the run's time and
seeded bytes. A call that would really block, or use the machine's network, raises an error that names the call.
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
    """Code in a simulated run tried to sleep, block, start a thread or process, or use the machine's network."""


class TimeAndEntropy(Protocol):
    """The time and entropy that a run uses instead of the machine's."""

    def time(self) -> float:
        """Return the seconds since the epoch."""

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary start; they never decrease."""

    def urandom(self, size: int, /) -> bytes:
        """Return `size` random bytes."""


_INSTEAD = "use `await asyncio.sleep()`"
_HOSTS = "use asyncio, or the platform of the client or the mock, to reach simulated hosts"
_UNOWNED = "no other thread runs that could end the wait; use asyncio instead, such as `asyncio.Event`"
_INLINE = "use `loop.run_in_executor` or `asyncio.to_thread`, which run the work on the event loop"

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
        "builtins.input": "no user is present",
        "subprocess.Popen": "a subprocess does not run in virtual time",
        "os.system": "a subprocess does not run in virtual time",
        "os.exec": "a subprocess does not run in virtual time",
        "os.fork": "a subprocess does not run in virtual time",
        "os.forkpty": "a subprocess does not run in virtual time",
        "os.posix_spawn": "a subprocess does not run in virtual time",
    }
)
"""Audit events (PEP 578) of calls that cannot be simulated, each with the reason or with what to do instead."""

_thread: int | None = None
"""The thread of the current run; None if no run is in progress."""
_hooked = False


def _watch(event: str, args: tuple[object, ...]) -> None:
    if _thread is not None and event in _FORBIDDEN and threading.get_ident() == _thread:
        shown = ", ".join(repr(each) for each in args if isinstance(each, str | bytes | int | float | tuple | None))
        raise SandboxError(f"{event}({shown}) is not allowed in a simulation: {_FORBIDDEN[event]}")


@contextmanager
def sandboxed(source: TimeAndEntropy) -> Iterator[None]:
    """During the block, use `source` for time and entropy in this thread, and forbid blocking calls and real sockets.

    Raises:
        SandboxError: a run is already in progress in this process.
    """
    global _thread, _hooked  # noqa: PLW0603 - audit hooks belong to the process and cannot be removed
    if _thread is not None:
        raise SandboxError(
            "a simulated run is already in progress in this process; run one at a time, or in separate processes"
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
    yield time, "sleep", _refuse_to_sleep  # time.sleep has no audit event before Python 3.13
    # `Event`, `Queue`, `Barrier` and `concurrent.futures` call this to wait for another thread.
    yield threading.Condition, "wait", _refuse_to_wait
    yield random, "_urandom", source.urandom  # what `secrets` and `SystemRandom` draw from
    for name, read in (("time", source.time), ("monotonic", source.monotonic), ("perf_counter", source.monotonic)):
        yield time, name, read
        yield time, f"{name}_ns", _in_nanoseconds(read)


def _refuse_to_sleep(seconds: float, /) -> None:
    raise SandboxError(f"time.sleep({seconds!r}) is not allowed in a simulation: {_INSTEAD}")


def _refuse_to_wait(_: threading.Condition, timeout: float | None = None) -> bool:
    if timeout is not None and timeout <= 0:
        return False  # it does not wait
    raise SandboxError(f"threading.Condition.wait({timeout!r}) would block the simulation: {_UNOWNED}")


def _in_nanoseconds(read: Callable[[], float]) -> Callable[[], int]:
    return lambda: round(read() * NANOSECONDS)


def _only_here[**P, T](inside: Callable[P, T], outside: Callable[P, T]) -> Callable[P, T]:
    """Return a function that calls `inside` in the thread of the run, and `outside` in other threads."""
    here = threading.get_ident()

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return (inside if threading.get_ident() == here else outside)(*args, **kwargs)

    return call
