"""The sandbox of a run: it replaces time and entropy, and blocks threads, sleeping and the machine's network.

Libraries call `time.time` and `os.urandom` directly. In the thread of a run, these functions return the run's time and
seeded bytes. A call that would really block, or use the machine's network, raises an error that names the call.

A module that is imported for the first time during a run is executed outside of the sandbox. It may start a process,
for example, and draws nothing from the randomness of the run, so a second run with the same seed is the same.
"""

from __future__ import annotations

import importlib.abc
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import MappingProxyType, ModuleType
from typing import Any, Protocol, override

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
    global _hooked  # noqa: PLW0603 - audit hooks belong to the process and cannot be removed
    if _thread is not None:
        raise SandboxError(
            "a simulated run is already in progress in this process; run one at a time, or in separate processes"
        )
    if not _hooked:
        sys.addaudithook(_watch)
        _hooked = True
    replacements = [
        _Replacement(owner, name, _only_here(instead, getattr(owner, name)), getattr(owner, name))
        for owner, name, instead in _replaced(source)
    ]
    finder = _Finder(lambda: _outside(replacements))
    state = random.getstate()
    random.seed(source.urandom(16))
    _enter(replacements)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _leave(replacements)
        random.setstate(state)


@dataclass(frozen=True, slots=True)
class _Replacement:
    """A function of a module or class: `inside` replaces `outside` during a run."""

    owner: Any  # a module or a class
    name: str
    inside: Callable[..., Any]
    outside: Callable[..., Any]


def _enter(replacements: Sequence[_Replacement]) -> None:
    """Replace the functions, and forbid the calls in `_FORBIDDEN` in this thread."""
    global _thread  # noqa: PLW0603 - read by the audit hook
    for each in replacements:
        setattr(each.owner, each.name, each.inside)
    _thread = threading.get_ident()


def _leave(replacements: Sequence[_Replacement]) -> None:
    """Undo `_enter`."""
    global _thread  # noqa: PLW0603 - read by the audit hook
    _thread = None
    for each in replacements:
        setattr(each.owner, each.name, each.outside)


@contextmanager
def _outside(replacements: Sequence[_Replacement]) -> Iterator[None]:
    """Leave the sandbox during the block, which does not change the state of `random`."""
    _leave(replacements)
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
        _enter(replacements)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the same modules as the other finders. Modules that the run imports are executed outside of the sandbox."""

    def __init__(self, outside: Callable[[], AbstractContextManager[None]]) -> None:
        self._outside = outside

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        found = (each.find_spec(fullname, path, target) for each in list(sys.meta_path) if each is not self)
        spec = next((each for each in found if each is not None), None)
        if spec is not None and threading.get_ident() == _thread and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, self._outside)
        return spec


class _Loader(importlib.abc.Loader):
    """Executes one module outside of the sandbox. The module keeps its own loader as `__loader__`."""

    def __init__(self, loader: Any, outside: Callable[[], AbstractContextManager[None]]) -> None:  # Any: like a module
        self._loader = loader
        self._outside = outside

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # methods of some loaders, such as `get_code`

    @override
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        with self._outside():  # it executes extension modules of the older kind
            module: ModuleType | None = self._loader.create_module(spec)
        return module

    @override
    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with self._outside():
            self._loader.exec_module(module)


def _replaced(source: TimeAndEntropy) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
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
