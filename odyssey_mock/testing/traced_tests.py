"""Recording of the tests of one pytest process, and the trace file of one test.

`trace_plugin.py` imports this module for the first test that may use the mock or the client.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from odyssey_client.trace import (
    Failure,
    Manifest,
    Recorder,
    Recording,
    Source,
    SourceFile,
    TraceEvent,
    default_recorder,
    record_by_default,
    write_trace,
)
from odyssey_client.trace.archive import SUFFIX
from odyssey_client.trace.described import error_text, message
from odyssey_client.trace.log_records import record_logs
from odyssey_client.trace.recorder import short_path
from odyssey_mock.server import MockOdyssey, all_mocks_observed
from odyssey_mock.testing.stash import FAILED, SEED_RECORDING
from odyssey_mock.trace import run_information
from odyssey_mock.trace.server_trace import ServerTrace
from odyssey_mock.trace.text import diagram_of, pending_calls

if TYPE_CHECKING:
    import pytest

LATEST = 10
"""Number of events before the failure that a report shows."""
LONGEST_NAME = 120
"""Maximum length of the name of a trace file, apart from its suffix; longer ids of tests are cut, with a hash."""
SOURCES = 20
"""Maximum number of source files in a trace."""
SOURCE_BYTES = 1 << 20
"""Maximum size of a source file in a trace."""
_SILENT = frozenset({"stats", "frame", "test"})
"""Lanes that say little about a failure in text."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the report of a test says about its trace.

    Attributes:
        text: the section of the report.
        annotation: file, line, title and message for an annotation.
    """

    text: str
    annotation: Mapping[str, str]


class _Phase:
    """A phase of a test; a context manager. Its event is only created when a trace is written, which is rare."""

    __slots__ = ("_began", "_clock", "_ended", "_error", "_name")

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._error: str | None = None
        self._began = clock()
        self._ended: float | None = None

    def __enter__(self) -> None:
        """Do nothing: the phase has begun when it was created."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = self._clock()
        if error is not None:
            self._error = error_text(error)

    def event(self, start: float) -> TraceEvent:
        """Return the event, on a time axis that begins at `start`."""
        end = None if self._ended is None else self._ended - start
        return TraceEvent(self._began - start, "test", "test", self._name, is_span=True, end=end, error=self._error)


class TracedTests:
    """The recording of the present test: its clients, its mocks and its phases. Close it after the last test.

    One recorder is used for all tests, because clients and mocks may live longer than one test. Simulated tests have a
    recording of their own for each seed (`SEED_RECORDING`).
    """

    def __init__(self) -> None:
        self._recorder = Recorder()
        self._mocks: list[ServerTrace] = []
        self._phases: list[_Phase] = []
        self._resources = ExitStack()
        self._resources.enter_context(all_mocks_observed(self._observe))
        # A test may run pytest in its own process.
        self._resources.callback(record_by_default, default_recorder())
        record_by_default(self._recorder)

    def close(self) -> None:
        """Stop recording."""
        self._resources.close()

    def begin(self) -> None:
        """Forget the previous test, and start the time axis of the next one."""
        self._mocks = [mock for mock in self._mocks if mock.is_running]
        for mock in self._mocks:
            mock.clear()
        self._recorder.clear()
        self._phases = []
        self._recorder.add_late(self, self._phase_events)
        record_logs(self._recorder)  # the previous test may have removed all handlers

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Return a context manager whose block is recorded as a phase of the test."""
        phase = _Phase(name, self._recorder.clock)
        self._phases.append(phase)
        return phase

    def failed(self, error: BaseException) -> None:
        """Record that the test has failed now, before clients are disconnected and fixtures are torn down."""
        self._recorder.add("test", FAILED, side="test", error=error_text(error))

    def write(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, directory: Path
    ) -> Written | None:
        """Write the trace of a test, and return what the report says about it.

        Return None if no client and no mock has done anything in the test. A file that cannot be written is part of the
        report.
        """
        simulated = item.stash.get(SEED_RECORDING, None)
        if simulated is None:
            recording = self._recorder.snapshot()
            has_recorded = any(event.lane != "test" for event in recording.events)
            if not has_recorded and not any(mock.has_recorded for mock in self._mocks):
                return None
            for mock in self._mocks:
                recording = mock.recording(recording)
            secrets = [mock.secrets for mock in self._mocks]
        else:
            recording, secrets = simulated.recording, [simulated.secrets]
        failure = None if call.excinfo is None else _failure(item, call.excinfo, report)
        redact = run_information.redaction(secrets)
        manifest = Manifest(
            title=item.nodeid,
            outcome="passed" if not report.failed else "failed" if report.when == "call" else "error",
            began_at=recording.began_at,
            duration=recording.duration,
            time="real" if simulated is None else "virtual",
            recorded_by=run_information.versions(),
            seed=None if simulated is None else simulated.seed,
            commit=run_information.commit(item.config.rootpath),
            command=run_information.command(),
            failure=failure,
        )
        path = directory / file_name(item.nodeid, shown=str(redact(item.nodeid)))
        try:
            directory.mkdir(parents=True, exist_ok=True)
            write_trace(path, recording, manifest, _sources(item, recording, failure), redact=redact)
            shown = short_path(str(path))
            lines = [f"trace: {shown}", f"to see it: odyssey-mock trace show {shown}"]
        except Exception as error:
            lines = [f"the trace could not be written: {error_text(error)}"]
        if simulated is not None:
            lines.append(f"seed: {simulated.seed}")
        lines += _summary(recording, failure)
        text = str(redact("\n".join(lines)))
        source = None if failure is None else failure.source
        annotation = {
            "file": str(item.path) if source is None else source.file,
            "line": str(1 if source is None else source.line),
            "title": str(redact(item.nodeid)),
            "message": "" if failure is None else str(redact(f"{failure.type}: {failure.message}\n{lines[0]}")),
        }
        return Written(text, annotation)

    def _phase_events(self, start: float) -> Iterator[TraceEvent]:
        return (phase.event(start) for phase in self._phases)

    def _observe(self, mock: MockOdyssey) -> ServerTrace:
        trace = ServerTrace(mock, self._recorder)
        self._mocks.append(trace)
        return trace


def file_name(nodeid: str, *, shown: str) -> str:
    """Return the name of a test's trace file. ``shown`` is the id of the test without secrets."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", shown).strip("-.")
    if name != nodeid:
        # Different ids may give the same name.
        digest = hashlib.sha256(nodeid.encode(errors="surrogatepass")).hexdigest()[:6]
        name = f"{name[:LONGEST_NAME]}-{digest}"
    return f"{name}{SUFFIX}"


def _summary(recording: Recording, failure: Failure | None) -> Iterator[str]:
    """Yield the calls that were pending at the failure, and the latest events before it."""
    at = _time_of(failure, recording)
    pending = list(pending_calls(recording.events, at))
    yield "pending calls:" if pending else "no call was pending"
    yield from (f"  {line}" for line in pending)
    latest = [event for event in recording.events if event.lane not in _SILENT and event.at <= at][-LATEST:]
    if latest:
        yield f"the last {len(latest)} events before the failure:"
        yield diagram_of(latest, until=at)


def _time_of(failure: Failure | None, recording: Recording) -> float:
    """Return when the test failed: before its clients were disconnected, if this is known."""
    for event in reversed(recording.events):
        raised = failure is not None and event.lane == "call" and (event.error or "").startswith(failure.type)
        if raised and event.end is not None:
            return event.end
    failed = [event.at for event in recording.events if event.lane == "test" and event.name == FAILED]
    return failed[-1] if failed else recording.duration


def _failure(item: pytest.Item, error: pytest.ExceptionInfo[BaseException], report: pytest.TestReport) -> Failure:
    return Failure(
        type=error.typename,
        message=message(error.value),
        traceback=report.longreprtext,
        phase=report.when,
        source=_failing_line(item, error),
    )


def _failing_line(item: pytest.Item, error: pytest.ExceptionInfo[BaseException]) -> Source | None:
    """Return the last line of the traceback in the file of the test; without one, the last line of the traceback."""
    entries = list(error.traceback)
    own = [entry for entry in entries if entry.path == item.path]
    if not entries:
        return None
    entry = (own or entries)[-1]
    return Source(short_path(str(entry.path)), entry.lineno + 1, entry.name)


def _sources(item: pytest.Item, recording: Recording, failure: Failure | None) -> Iterator[SourceFile]:
    """Yield the source files of the test, of the failure and of the callers, below pytest's rootdir."""
    named = [short_path(str(item.path)), *(each.source.file for each in recording.events if each.source is not None)]
    if failure is not None and failure.source is not None:
        named.insert(1, failure.source.file)
    for name in list(dict.fromkeys(named))[:SOURCES]:
        path = item.config.invocation_params.dir / name  # the test may have changed the working directory
        with suppress(OSError):
            if path.is_relative_to(item.config.rootpath) and path.stat().st_size <= SOURCE_BYTES:
                yield SourceFile(name, path.read_text(encoding="utf-8", errors="replace"))
