"""Detection of calls that block an event loop of the mock or of the client: files, SQLite, sockets, locks, sleeping.

blockbuster replaces the functions that block. Where it would raise an error, this module notes the call: the code under
test could catch an error. `tests/conftest.py` fails each test in which a call was noted.

A call counts if it is made in a callback of an event loop, by code of the two packages or by a library that they use.
Calls that a test makes itself do not count, and neither do those of plain functions that a test calls in its own
coroutine: such functions may block.
"""

import asyncio
import importlib.util
import inspect
import ipaddress
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = (str(ROOT / "odyssey_client") + os.sep, str(ROOT / "odyssey_mock") + os.sep)
TESTS = str(ROOT / "tests") + os.sep

OTHERS = "/site-packages/distributed/"
"""A library that runs event loops of its own, in the tests of the explorer on several machines."""

IS_INSTALLED = importlib.util.find_spec("blockbuster") is not None
"""Whether blockbuster is installed. Without it, nothing is detected."""

MORE_FUNCTIONS = (
    "builtins.open",
    "fcntl.flock",
    "io.open",
    "os.chmod",
    "os.fdatasync",
    "os.fsync",
    "os.lstat",
    "os.open",
    "os.truncate",
    "os.utime",
    "socket.getaddrinfo",
    "sqlite3.connect",
    "ssl.SSLContext.load_default_certs",
    "ssl.SSLContext.load_verify_locations",
    "subprocess.Popen.__init__",
    "threading.Thread.join",
)
"""Functions that block, besides those that blockbuster knows. Those that this Python does not have are ignored."""

NO_DISK = ("os.getcwd", "os.path.abspath", "os.path.samestat")
"""Functions that blockbuster knows, but which need no disk and no other process."""


TRACER_LOCKS = ("threading.Lock.acquire",)
"""Functions that are not watched under coverage.py: its tracer takes a lock each time a function enters a new file."""


@dataclass(frozen=True)
class Excuse:
    """Functions in which a call may block."""

    file: str
    """The end of the path of their file."""
    functions: frozenset[str]
    """Their names; empty for all functions of the file."""
    why: str

    def holds(self, frame: FrameType) -> bool:
        """Return whether this function is excused."""
        code = frame.f_code
        return code.co_filename.endswith(self.file) and (not self.functions or code.co_name in self.functions)


def _excuse(file: str, functions: str, why: str) -> Excuse:
    return Excuse(file, frozenset(functions.split()), why)


EXCUSES = (
    _excuse("<frozen importlib._bootstrap>", "_find_and_load", "a module is imported once in a process"),
    _excuse("odyssey_client/version.py", "client_version", "the version is read once in a process"),
    _excuse("odyssey_mock/http/mock_version.py", "mock_version", "the version is read once in a process"),
    _excuse("odyssey_mock/cli/stderr_lines.py", "__exit__", "serve ends, and waits for the last lines to be printed"),
    _excuse("odyssey_mock/system_network.py", "listen", "a mock resolves its own host once, at its start"),
    _excuse("odyssey_mock/core/file_descriptors.py", "_refill", "/dev/null is on no disk"),
    _excuse("odyssey_mock/sync/server_thread.py", "call result", "the sync API blocks its caller"),
    _excuse("odyssey_client/media/recorder.py", "shutdown", "the thread has nothing left to do, and ends at once"),
    _excuse("odyssey_mock/explore/actions.py", "_has_content", "the time of an explored scenario is virtual"),
    _excuse("odyssey_mock/explore/explorer.py", "create_directory", "the time of an explored scenario is virtual"),
    _excuse("odyssey_mock/bench/soak.py", "now _closed", "the benchmark measures its own process"),
    _excuse("playwright/_impl/transport.py", "connect", "a test starts a browser"),
    _excuse("coverage/control.py", "_should_trace", "`make coverage` looks at each source file once in a process"),
    _excuse("logging/__init__.py", "emit flush", "the user chooses the handlers of the log"),
    _excuse("/linecache.py", "updatecache", "the source of a traceback, which shows a bug"),
    _excuse("aiortc/rtcrtpreceiver.py", "__stop_decoder", "aiortc waits for its decoder, at most for one frame"),
    _excuse("asyncio/base_subprocess.py", "__init__", "asyncio starts each process in the event loop"),
    _excuse("asyncio/base_events.py", "shutdown_default_executor", "asyncio joins a thread that has ended"),
)
"""Where a call may block, and why."""


@dataclass(frozen=True)
class BlockingCall:
    """A call of a blocking function in a running event loop."""

    function: str
    stack: tuple[str, ...]
    """The frames of the callback, innermost first: file, line and function."""

    def __str__(self) -> str:
        return "\n    ".join((self.function, *self.stack))


class BlockingCalls:
    """The blocking calls that were noted and not yet taken. Any number of threads may note calls."""

    def __init__(self) -> None:
        self._noted: dict[BlockingCall, None] = {}
        self._lock = threading.Lock()

    def take(self) -> list[BlockingCall]:
        """Return the calls since the last `take`; equal calls once."""
        with self._lock:
            noted, self._noted = self._noted, {}
        return [*noted]

    def note(self, function: str, excuses: tuple[Excuse, ...]) -> None:
        """Note a call of `function` if it counts. Call this method in a predicate of blockbuster."""
        # The frames before are this method, the predicate, and the function that replaces `function`.
        callback = [*_callback(sys._getframe(3))]
        if not _counts(callback) or any(excuse.holds(frame) for frame in callback for excuse in excuses):
            return
        stack = tuple(f"{f.f_code.co_filename}:{f.f_lineno} {f.f_code.co_name}" for f in callback)
        with self._lock:
            self._noted[BlockingCall(function, stack)] = None


def _callback(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames of the callback that the event loop runs, innermost first."""
    while frame is not None and frame.f_code is not _RUN:
        yield frame
        frame = frame.f_back


_RUN = asyncio.Handle._run.__code__
_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def _counts(callback: list[FrameType]) -> bool:
    """Return whether a coroutine of the packages or their event loop made the call; not a test or another loop."""
    for frame in callback:
        code = frame.f_code
        if _is_test(code.co_filename) or OTHERS in code.co_filename:
            return False
        if code.co_filename.startswith(PACKAGES) and code.co_flags & _COROUTINE:
            return True
    return True


@lru_cache(maxsize=10_000)  # the packages make thousands of watched calls per second, and each has dozens of frames
def _is_test(file: str) -> bool:
    """Return whether a file is a test of this project, or of a small project that a test has written and runs."""
    return file.startswith(TESTS) or Path(file).name.startswith(("test_", "conftest."))


@contextmanager
def noted_blocking_calls() -> Iterator[BlockingCalls]:
    """Note blocking calls during the block. Without blockbuster, nothing is noted."""
    calls = BlockingCalls()
    if not IS_INSTALLED:
        yield calls
        return
    from blockbuster import BlockBuster, BlockBusterFunction  # noqa: PLC0415 - it may be missing

    buster = BlockBuster()
    for name in (*NO_DISK, *(() if sys.gettrace() is None else TRACER_LOCKS)):
        buster.functions.pop(name, None)
    for name in MORE_FUNCTIONS:
        with suppress(ImportError):  # fcntl on Windows
            buster.functions.setdefault(name, BlockBusterFunction(None, name))
    for name, function in buster.functions.items():
        may_block = _PREDICATES.get(name, function.can_block_predicate)
        function.can_block_predicate = _noting(calls, name, function, may_block)
    buster.activate()
    try:
        yield calls
    finally:
        buster.deactivate()


# Any: the arguments of the replaced functions, and an object of a library without type information for them.
def _noting(calls: BlockingCalls, name: str, function: Any, may_block: Callable[..., bool]) -> Callable[..., bool]:
    """Return a predicate of blockbuster that allows each call, after noting it."""
    known = tuple(
        Excuse(file, frozenset(functions), "excused by blockbuster") for file, functions in function.can_block_functions
    )

    def noting(*args: Any, **kwargs: Any) -> bool:
        if not may_block(*args, **kwargs):
            calls.note(name, (*known, *EXCUSES))
        return True

    return noting


def _is_resolved(host: str | bytes | None, *_: object, **__: object) -> bool:
    """Return whether `getaddrinfo` for this host sends no request."""
    if not host:
        return True
    with suppress(ValueError):
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
        return True
    return False


def _has_ended(thread: threading.Thread, timeout: float | None = None) -> bool:
    return not thread.is_alive() or timeout == 0


_PREDICATES: dict[str, Callable[..., bool]] = {"socket.getaddrinfo": _is_resolved, "threading.Thread.join": _has_ended}
"""For functions of `MORE_FUNCTIONS`: whether a call with these arguments returns at once."""
