"""The part of the pytest plugin that writes a trace file for each failed test.

Every pytest run imports this module. `traced_tests.py`, which records, is imported when a test may use the mock or the
client.
"""

import os
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest

from odyssey_mock.testing.stash import SEED_RECORDING

if TYPE_CHECKING:
    from odyssey_mock.testing.traced_tests import TracedTests

type Mode = Literal["off", "on-failure", "always"]
MODES = ("off", "on-failure", "always")
OPTION, DIRECTORY_OPTION = "--odyssey-trace", "--odyssey-trace-dir"
DIRECTORY = "odyssey-traces"
"""Default directory of the trace files, below pytest's rootdir."""
TRACES: "pytest.StashKey[TracedTests]" = pytest.StashKey()
"""Stash key of the recording of all tests."""
_MODE: pytest.StashKey[Mode] = pytest.StashKey()
WRITTEN = pytest.StashKey[bool]()
"""Stash key: whether the trace of a test is written."""
FIELD = "odyssey_trace"
"""Attribute of a failed test's report: a dict with its trace file and its failing line. pytest-xdist transmits it."""
SECTION = "odyssey trace"
"""Title of the section in the report of a failed test."""
_MODULES = ("odyssey_client", "odyssey_mock.server", "odyssey_mock.sync")
"""A test that imports none of these modules, and uses no fixture of this plugin, uses neither client nor mock."""
_FIXTURE = "odyssey_"
"""The names of the plugin's fixtures begin with this text."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("odyssey", "Odyssey: tests with a mock (@pytest.mark.odyssey, @pytest.mark.odyssey_sim)")
    group.addoption(
        OPTION,
        choices=MODES,
        default=None,
        help="write a trace file for no test, for each failed test (default), or for each test",
    )
    group.addoption(
        DIRECTORY_OPTION,
        type=Path,
        metavar="DIR",
        default=None,
        help=f"directory of the trace files (default: {DIRECTORY} in the rootdir)",
    )
    parser.addini("odyssey_trace", "default of --odyssey-trace: off, on-failure or always", "string", "on-failure")
    parser.addini("odyssey_trace_dir", "default of --odyssey-trace-dir", "string", DIRECTORY)


def pytest_configure(config: pytest.Config) -> None:
    mode = config.getoption(OPTION) or config.getini("odyssey_trace")
    if mode not in MODES:
        raise pytest.UsageError(f"odyssey_trace: expected one of {', '.join(MODES)}, got {mode!r}")
    config.stash[_MODE] = cast("Mode", mode)


def mode_of(config: pytest.Config) -> Mode:
    """Return for which tests trace files are written."""
    return config.stash[_MODE]


def directory_of(config: pytest.Config) -> Path:
    """Return the directory of the trace files."""
    chosen: Path | None = config.getoption(DIRECTORY_OPTION)
    if chosen is None:
        return config.rootpath / str(config.getini("odyssey_trace_dir"))
    return config.invocation_params.dir / chosen  # the test may have changed the working directory


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Begin the recording of a test before its fixtures are set up."""
    keys: tuple[pytest.StashKey[Any], ...] = (WRITTEN, SEED_RECORDING)  # Any: of different types
    for key in keys:
        if key in item.stash:  # a plugin runs the test again
            del item.stash[key]
    begin_recording(item)
    with _phase(item, "setup"):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    with _phase(item, "call"):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    with _phase(item, "teardown"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write the trace of a test that has failed, or that has ended with `always`, and name it in the report."""
    report = yield
    traces = item.config.stash.get(TRACES, None)
    if traces is None or WRITTEN in item.stash or mode_of(item.config) == "off":
        return report
    ended = report.when == "teardown" and mode_of(item.config) == "always"
    if not report.failed and not ended:
        return report
    try:
        written = traces.write(item, call, report, directory_of(item.config))
    except Exception as error:  # a trace never changes the outcome of a test, nor ends the run
        from odyssey_client.redaction import redacted  # noqa: PLC0415 - only needed here
        from odyssey_client.trace.described import error_text  # noqa: PLC0415

        report.sections.append((SECTION, f"the trace could not be written: {redacted(error_text(error))}"))
        return report
    if written is not None:
        item.stash[WRITTEN] = True
        if report.failed:
            report.sections.append((SECTION, written.text))
            setattr(report, FIELD, written.annotation)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """On GitHub Actions, annotate the failing line of each test that has a trace."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for outcome in ("failed", "error"):
        for report in terminalreporter.getreports(outcome):
            annotation = getattr(report, FIELD, None)
            if isinstance(annotation, dict):
                terminalreporter.write_line(_workflow_command(annotation))


def pytest_unconfigure(config: pytest.Config) -> None:
    traces = config.stash.get(TRACES, None)
    if traces is not None:
        traces.close()


def begin_recording(item: pytest.Item) -> None:
    """Begin the recording of a test, or of a further example of a test with `@given`; the previous one is forgotten."""
    traces = _traces(item)
    if traces is not None:
        traces.begin()


def record_failure(item: pytest.Item, error: BaseException) -> None:
    """Record that a test has failed now, before its clients are disconnected."""
    traces = item.config.stash.get(TRACES, None)
    if traces is not None:
        traces.failed(error)


def _traces(item: pytest.Item) -> "TracedTests | None":
    """Return the recording of all tests; create it if this test may use the mock or the client."""
    stash = item.config.stash
    if TRACES in stash or mode_of(item.config) == "off":
        return stash.get(TRACES, None)
    fixtures: list[str] = getattr(item, "fixturenames", [])
    if any(name in sys.modules for name in _MODULES) or any(name.startswith(_FIXTURE) for name in fixtures):
        try:
            from odyssey_mock.testing.traced_tests import TracedTests  # noqa: PLC0415
        except ModuleNotFoundError:  # the client is installed without the mock
            return None
        stash[TRACES] = TracedTests()
    return stash.get(TRACES, None)


def _phase(item: pytest.Item, name: str) -> AbstractContextManager[None]:
    """Return a context manager whose block is recorded as a phase of a test."""
    traces = item.config.stash.get(TRACES, None)
    return nullcontext() if traces is None else traces.phase(name)


def _workflow_command(annotation: dict[str, str]) -> str:
    """Return a workflow command of GitHub Actions that shows an error at a line of a file."""

    def escaped(text: str, *more: str) -> str:
        for letter in ("%", "\r", "\n", *more):
            text = text.replace(letter, f"%{ord(letter):02X}")
        return text

    place = ",".join(f"{name}={escaped(annotation[name], ':', ',')}" for name in ("file", "line", "title"))
    return f"::error {place}::{escaped(annotation['message'])}"
