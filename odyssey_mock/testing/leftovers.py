"""Report of what a test leaves behind: asyncio tasks, threads, and sessions and unused faults of its mock."""

import asyncio
import inspect
import sysconfig
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from weakref import WeakSet

import pytest

INI = "odyssey_leftovers"
MODES = ("warning", "error", "ignore")
REPORTED = pytest.StashKey[bool]()
"""Stash key of a test: whether its leftovers were reported as an error. It is missing before."""
SHOWN = 5
"""Maximum number of tasks, and of threads, that a report names."""

_LIBRARIES = (
    "odyssey_",
    "odyssey-client",
    "asyncio_",
    "AnyIO worker",
    "Trio ",
    "ThreadPoolExecutor",
    "pytest_timeout",
    "Dummy-",
    "video-decoder",
    "audio-decoder",
    "execnet",
)
"""Prefixes of the names of threads that libraries keep running; they are not reported."""
_HANDLER = "(process_request_thread)"
"""Part of the name of a thread in which a `socketserver.ThreadingMixIn` serves one connection."""
_PACKAGES = Path(__file__).parents[2]
"""The directory that contains both packages of this project, and perhaps others."""
_CODE = ("stdlib", "platstdlib", "purelib", "platlib")
"""Names of the directories of Python's libraries and of installed packages in `sysconfig.get_paths()`."""
_OWN = (_PACKAGES / "odyssey_client", _PACKAGES / "odyssey_mock")
_CALLS, _CALL_WRAPPER = _OWN[0] / "client", _OWN[0] / "trace" / "calls.py"


class OdysseyLeftoverWarning(pytest.PytestWarning):
    """A test left a session, a request, an unused fault, a task or a thread behind, or a client sent late requests."""


def add_ini_option(parser: pytest.Parser) -> None:
    """Declare the ini option `odyssey_leftovers`."""
    parser.addini(INI, "how to report what a test leaves behind: warning, error or ignore", "string", "warning")


def mode_of(config: pytest.Config) -> str:
    """Return the value of the ini option `odyssey_leftovers`: `warning`, `error` or `ignore`.

    Raises:
        pytest.UsageError: the option has another value.
    """
    mode: str = config.getini(INI)
    if mode not in MODES:
        raise pytest.UsageError(f"{INI}: expected one of {', '.join(MODES)}, got {mode!r}")
    return mode


def report(item: pytest.Item, found: Sequence[str], late: Sequence[str] = ()) -> None:
    """Report leftovers and late requests as a warning or an error, or ignore them: see `mode_of`.

    Args:
        item: the test that has ended.
        found: descriptions of what the test left behind.
        late: descriptions of requests that clients of earlier tests sent during this test.

    Raises:
        pytest.fail.Exception: the ini option `odyssey_leftovers` is `error`, and `found` or `late` is not empty.
    """
    mode = mode_of(item.config)
    if not (found or late) or mode == "ignore":
        return
    texts = [f"{item.nodeid} left behind: {'; '.join(found)}"] if found else []
    text = "; ".join([*texts, _late_text(late)] if late else texts)
    if mode == "error":
        item.stash[REPORTED] = True
        pytest.fail(text, pytrace=False)
    item.warn(OdysseyLeftoverWarning(text))


def report_late(config: pytest.Config, late: Sequence[str]) -> None:
    """Report requests that arrived after the last test as a warning or an error, or ignore them: see `mode_of`.

    Raises:
        pytest.fail.Exception: the ini option `odyssey_leftovers` is `error`, and `late` is not empty.
    """
    mode = mode_of(config)
    if not late or mode == "ignore":
        return
    text = _late_text(late)
    if mode == "error":
        pytest.fail(text, pytrace=False)
    warnings.warn(OdysseyLeftoverWarning(text), stacklevel=2)


def _late_text(late: Sequence[str]) -> str:
    requests = "; ".join(dict.fromkeys(late))
    return f"{requests}: end the client with its test, or give it a key of its own, such as ody_my_app"


class TaskWatch:
    """Finds the asyncio tasks that a test created and did not await.

    Tasks of libraries are ignored, except pending calls of an `Odyssey` client.
    """

    def __init__(self) -> None:
        """Record the existing tasks of the running event loop, which `left` ignores."""
        self._before = asyncio.all_tasks()

    def left(self) -> list[str]:
        """Describe each task that was created after this object and is not done."""
        new = asyncio.all_tasks() - self._before - {asyncio.current_task()}
        texts = sorted(text for task in new if (text := _described(task)) is not None)
        return _cut(texts, "tasks")


class KeptThreads:
    """The threads that fixtures with a wider scope than one test started, such as a server for all tests."""

    def __init__(self) -> None:
        self.threads: WeakSet[threading.Thread] = WeakSet()

    @contextmanager
    def started(self) -> Iterator[None]:
        """Record the threads that are started during the block and still run at its end."""
        before = set(threading.enumerate())
        try:
            yield
        finally:
            self.threads.update(each for each in threading.enumerate() if each not in before)


class ThreadWatch:
    """Finds the threads that a test started and did not join."""

    def __init__(self, kept: KeptThreads) -> None:
        """Record the existing threads of the process. `left` ignores them, and the threads of `kept`."""
        self._before = set(threading.enumerate())
        self._kept = kept

    def left(self) -> list[str]:
        """Describe each thread that was started after this object was created and is still running."""
        new = [each for each in threading.enumerate() if each not in self._before]
        if not new:
            return []
        kept = set(self._kept.threads)
        new = [each for each in new if each not in kept and each.is_alive()]
        names = sorted(each.name for each in new if not each.name.startswith(_LIBRARIES) and _HANDLER not in each.name)
        return _cut([f"the thread {name!r} is still running: join() it" for name in names], "threads")


def _cut(texts: list[str], what: str) -> list[str]:
    return texts if len(texts) <= SHOWN else [*texts[:SHOWN], f"{len(texts) - SHOWN} more {what}"]


def _described(task: "asyncio.Task[object]") -> str | None:
    """Return a description of a pending task; None for a task of a library, and for a task that was cancelled."""
    coroutine = task.get_coro()
    if not inspect.iscoroutine(coroutine) or task.cancelling() > 0:
        return None
    where = Path(coroutine.cr_code.co_filename)
    # A recorded call runs in a wrapper, which has the name of the call.
    is_call = where.parent == _CALLS or where == _CALL_WRAPPER
    if is_call and not coroutine.__name__.startswith("_"):
        return f"the call {coroutine.__name__}() is still pending: await it or cancel it"
    if _is_library(where):
        return None
    return f"the task {coroutine.__qualname__}() is still running: await it or cancel it"


@lru_cache(maxsize=1024)
def _is_library(where: Path) -> bool:
    """Return whether a source file belongs to Python, to an installed package or to this project."""
    paths = sysconfig.get_paths()  # takes longer than all other checks of a test
    folders = (*map(str, _OWN), *(paths[name] for name in _CODE))
    return "site-packages" in where.parts or any(where.is_relative_to(each) for each in folders)
