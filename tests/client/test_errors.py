"""Tests of the error classes: attributes, messages, copies, and errors of signaling."""

import copy
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client import errors
from odyssey_client.errors import (
    ConcurrentLimitReachedError,
    OdysseyConnectionError,
    OdysseyError,
    OdysseyStreamError,
    OdysseyUsageError,
    RateLimitError,
    ScriptError,
    ScriptFault,
    SignalingError,
    SimulationCancelledError,
    SimulationFailedError,
    SimulationTimeoutError,
    StreamerDisconnectedError,
    StreamerNotAvailableError,
    excerpt,
)
from odyssey_client.models import SimulationJobDetail, SimulationJobStatus, SimulationStream
from odyssey_client.service_errors import ROWS, Source, connection_error

REASONS = [row.said for row in ROWS if row.source is Source.SIGNALING]


def all_classes(kind: type[OdysseyError] = OdysseyError) -> list[type[OdysseyError]]:
    return [kind, *(below for direct in kind.__subclasses__() for below in all_classes(direct))]


OWN = sorted(
    {kind for kind in all_classes() if kind.__module__ == errors.__name__},
    key=lambda kind: kind.__name__,
)

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
ARGUMENTS: dict[type[OdysseyError], tuple[Any, ...]] = {
    ScriptError: ([ScriptFault("script[0]", "a start", "an end"), ScriptFault("script[1]", "an end", "a start")],),
    SimulationFailedError: (JOB,),
    SimulationCancelledError: (JOB,),
    SimulationTimeoutError: ("job-1", 600.0, JOB),
}
"""Constructor arguments for error classes that cannot be created with one string."""


@pytest.mark.parametrize("kind", OWN)
def test_every_error_class_is_documented(kind: type[OdysseyError]) -> None:
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__
    assert kind.__doc__


@pytest.mark.parametrize("kind", OWN)
def test_every_error_survives_pickle_and_copy(kind: type[OdysseyError]) -> None:
    error = kind(*ARGUMENTS.get(kind, ("what happened",)))
    error.detail = {"said": "so"}
    error.request_id = "r-1"
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is kind
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)


def test_message_lists_all_faults_of_script_or_job() -> None:
    assert str(ScriptError(*ARGUMENTS[ScriptError])).splitlines() == [
        "2 faults:",
        "  script[0]: expected a start, got an end",
        "  script[1]: expected an end, got a start",
    ]
    failed = SimulationFailedError(JOB)
    assert failed.stream_errors == {0: "the model stopped"}
    assert str(failed).splitlines() == [
        "Simulation job-1 failed: 1 of 1 streams failed",
        "  script 0: the model stopped",
    ]


def test_long_reasons_are_shortened_in_message_only() -> None:
    said = "no\n\x1b[31m" + "x" * 5000
    stream = replace(JOB.streams[0], error_message=said)
    failed = SimulationFailedError(replace(JOB, error_message=said, streams=(stream,)))
    assert len(str(failed).splitlines()) == 2
    assert len(str(failed)) < 2200
    assert "\x1b" not in str(failed)
    assert failed.stream_errors == {0: said}
    assert failed.job.error_message == said


def test_message_and_repr_contain_no_url_signature() -> None:
    stream = replace(JOB.streams[0], video_url="https://host/video.mp4?signature=secret")
    error = SimulationFailedError(replace(JOB, streams=(stream,)))
    assert "secret" not in f"{error} {error!r}"
    assert repr(error).startswith("SimulationFailedError('Simulation job-1 failed: ")


def test_base_error_keeps_its_attributes() -> None:
    error = OdysseyError("no", code="c", status=418, detail=["d"], request_id="r", retryable=True)
    assert (str(error), error.code, error.status, error.detail, error.request_id, error.retryable) == (
        ("no", "c", 418, ["d"], "r", True)
    )
    assert OdysseyConnectionError("x").retryable
    assert not OdysseyError("x").retryable


def test_stream_error_has_reason_and_message() -> None:
    error = OdysseyStreamError("session_timeout", "Stream ended: credit lease expired")
    assert (error.reason, error.message, error.code) == (
        "session_timeout",
        "Stream ended: credit lease expired",
        "session_timeout",
    )
    assert str(error) == "session_timeout: Stream ended: credit lease expired"
    assert str(OdysseyStreamError("quota_exceeded")) == "quota_exceeded"


@pytest.mark.parametrize(
    ("reason", "kind", "message"),
    [
        ("streamer_not_available", StreamerNotAvailableError, "Streamer not available"),
        ("streamer_disconnected", StreamerDisconnectedError, "Streamer disconnected"),
        ("duration_limit_reached", errors.ConnectionLimitReachedError, "Connection duration limit reached"),
    ],
)
def test_known_signaling_reason_has_vendors_message(reason: str, kind: type[OdysseyError], message: str) -> None:
    error = connection_error(reason)
    assert type(error) is kind
    assert str(error) == message
    assert error.code == reason


@given(st.text())
def test_unknown_signaling_reason_gives_readable_error(reason: str) -> None:
    error = connection_error(reason)
    assert isinstance(error, SignalingError) or reason in REASONS
    assert str(error).isprintable()
    assert len(str(error)) < 400


def test_usage_error_has_typed_details_or_none() -> None:
    error = ConcurrentLimitReachedError("m", details={"active_count": 5, "limit": "five"}, action="a", action_url="u")
    assert (error.active_count, error.limit) == (5, None)
    assert (error.action, error.action_url, error.status, error.code) == ("a", "u", 429, "CONCURRENT_LIMIT_REACHED")
    assert RateLimitError("m", details={"retry_after_seconds": True}).retry_after_seconds is None
    assert RateLimitError("m", details={"retry_after_seconds": 1.5}).retry_after_seconds == 1.5
    assert OdysseyUsageError("m").details == {}


@given(st.text(), st.integers(1, 50))
def test_excerpt_is_one_printable_line_within_limit(text: str, limit: int) -> None:
    line = excerpt(text, limit)
    assert line.isprintable()
    assert len(line) <= limit


def test_message_lists_a_limited_number_of_faults() -> None:
    faults = [ScriptFault(f"script[{number}]", "a start", "an end") for number in range(1000)]
    error = ScriptError(faults)
    lines = str(error).splitlines()
    assert (lines[0], lines[50], lines[51:]) == (
        "1000 faults:",
        "  script[49]: expected a start, got an end",
        ["  and 950 more"],
    )
    assert (len(error.faults), error.more_faults) == (100, 900)


def test_message_lists_a_limited_number_of_failed_streams() -> None:
    streams = tuple(replace(JOB.streams[0], script_index=number, error_message="x") for number in range(1000))
    error = SimulationFailedError(replace(JOB, streams=streams))
    lines = str(error).splitlines()
    assert (len(lines), lines[-1]) == (52, "  and 950 more")
    assert len(error.stream_errors) == 1000
