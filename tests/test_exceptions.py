"""Tests that every exception of both packages can be pickled and copied with its attributes."""

import copy
import importlib
import inspect
import pickle
import pkgutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import odyssey_client
import odyssey_mock
from odyssey_client import ScriptError, ScriptFault, SimulationJobDetail, SimulationJobStatus, SimulationStream
from odyssey_client.connection.connection_machine import ChannelOpened, ConnectionState
from odyssey_mock.sessions.messages import InteractiveStreamError

NEEDS_EXTRA = {"bokeh", "dask", "distributed", "hypothesis"}
"""Optional packages that some modules of the mock import. Modules that need a missing package are skipped."""


def exceptions() -> Iterator[type[BaseException]]:
    """Yield every exception class of both packages, including those whose `__module__` is not their own module."""
    found: dict[type[BaseException], None] = {}
    for package in (odyssey_client, odyssey_mock):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            try:
                loaded = importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                if error.name not in NEEDS_EXTRA:
                    raise
                continue
            for each in vars(loaded).values():
                if inspect.isclass(each) and issubclass(each, BaseException):
                    found[each] = None
    packages = {odyssey_client.__name__, odyssey_mock.__name__}
    yield from (each for each in found if each.__module__.partition(".")[0] in packages)


JOB = SimulationJobDetail(
    job_id="job-1",
    status=SimulationJobStatus.FAILED,
    priority="normal",
    created_at="2026-01-01T00:00:00Z",
    completed_at=None,
    error_message="1 of 1 streams failed",
    dispatched_at=None,
    started_at=None,
    assigned_region=None,
    retry_count=0,
    streams=(SimulationStream("s-1", None, None, None, None, None, None, 0, "failed", "the model stopped"),),
)
FAULTS = [ScriptFault("script[0]", "a start", "an end")]

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "odyssey_client.BodyError": ("a body of at most 10 bytes", "more"),
    "odyssey_client.IllegalEventError": (ConnectionState.IDLE, ChannelOpened),
    "odyssey_client.JSONLimitError": ("JSON of at most 10 values", "up to 11"),
    "odyssey_client.ScriptError": (FAULTS,),
    "odyssey_client.ScriptFileError": (Path("a.json"), ScriptError(FAULTS)),
    "odyssey_client.SimulationCancelledError": (JOB,),
    "odyssey_client.SimulationFailedError": (JOB,),
    "odyssey_client.SimulationTimeoutError": ("job-1", 600.0, JOB),
    "odyssey_client.StoppedError": (signal.SIGINT, "Interrupted."),
    "odyssey_client.SignalingLostError": (1006, "the connection broke"),
    "odyssey_client._WrongError": ("text", "a number"),
    "odyssey_mock.ApiError": (404, {"no": "such"}, {"Retry-After": "1"}),
    "odyssey_mock.BroadcastError": (404, "no such broadcast"),
    "odyssey_mock.CannotStartError": (["no-such-program"], FileNotFoundError(2, "No such file or directory")),
    "odyssey_mock.CloseFrameError": ("code", "1000, or 3000 to 4999", 1),
    "odyssey_mock.ConcurrentLimitError": (2, 2),
    "odyssey_mock.InvalidKeyError": (),
    "odyssey_mock.NoCapacityError": (),
    "odyssey_mock.NotCancellableError": ("completed", "waits"),
    "odyssey_mock.QueueFullError": (3, 3, 10),
    "odyssey_mock.ScriptFaultsError": ([{"loc": ["body"], "msg": "wrong", "type": "value_error"}],),
    "odyssey_mock.StartRefusedError": (InteractiveStreamError("quota_exceeded", "no more"), "the plan allows 0 hours"),
    "odyssey_mock.StateInUseError": (Path("state"), 123),
    "odyssey_mock.TokenExpiredError": (),
    "odyssey_mock.UsageLimitError": ("RATE_LIMITED", {"retry_after_seconds": 1.0}),
}
"""Constructor arguments for exception classes that cannot be created with one string, by class name."""


def made(kind: type[BaseException]) -> BaseException:
    """Create an exception of the class `kind`, with its arguments from `ARGUMENTS` or else with one string."""
    package = kind.__module__.partition(".")[0]
    return kind(*ARGUMENTS.get(f"{package}.{kind.__name__}", ("what happened",)))


TWINS: dict[str, Callable[[BaseException], BaseException]] = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def carried(error: BaseException) -> dict[str, str]:
    """Return the attributes of an exception as `repr` strings by name, because some values do not support `==`."""
    return {name: repr(value) for name, value in vars(error).items()}


@pytest.mark.parametrize("way", TWINS)
@pytest.mark.parametrize("kind", list(exceptions()), ids=lambda kind: kind.__qualname__)
def test_exception_survives_pickle_and_copy(kind: type[BaseException], way: str) -> None:
    error = made(kind)
    error.add_note("a note")
    vars(error)["added"] = ["by a user"]
    twin = TWINS[way](error)
    assert type(twin) is kind
    assert (str(twin), repr(twin)) == (str(error), repr(error))
    assert carried(twin) == carried(error)
    assert repr(twin.args) == repr(error.args)
    assert twin.__notes__ == ["a note"]


@pytest.mark.parametrize(
    "kind", [kind for kind in exceptions() if "Timeout" in kind.__name__], ids=lambda kind: kind.__name__
)
def test_every_timeout_class_is_a_timeout_error(kind: type[BaseException]) -> None:
    assert issubclass(kind, TimeoutError)
    error = made(kind)
    assert getattr(error, "errno", 0) is None
    assert "job-1" in str(error) or str(error) == "what happened"


def test_pickled_error_keeps_keyword_arguments() -> None:
    error = odyssey_client.QueueTimeoutError("busy", code="later", status=503, detail={"a": 1}, request_id="r-1")
    twin = pickle.loads(pickle.dumps(error))
    assert (twin.message, twin.code, twin.status, twin.detail, twin.request_id) == (
        "busy",
        "later",
        503,
        {"a": 1},
        "r-1",
    )
    assert vars(twin) == vars(error)


def test_note_on_copy_does_not_change_original() -> None:
    error = odyssey_client.PeerError("lost")
    error.add_note("a note")
    copy.copy(error).add_note("another")
    assert error.__notes__ == ["a note"]
