"""Chaos runs of a pytest test: one run without a fault, then one run for each fault, each reported as a test."""

import itertools
import math
import time
import unittest
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import pytest
from _pytest.runner import runtestprotocol

from odyssey_mock.chaos_runs.journal_reading import midway, times_acted
from odyssey_mock.chaos_runs.plan import ChaosPlanError, PlannedFault, default_limit, plan
from odyssey_mock.chaos_runs.results import Run, Verdict, last_lines
from odyssey_mock.core.journal import Entry
from odyssey_mock.sync import MockOdyssey
from odyssey_mock.testing.run_time_limit import EXCEEDED, LIMIT, RunTimeLimits, is_available
from odyssey_mock.testing.stash import EXTRA_FAULTS, FIRED, REACHED_POINTS

MARKER = "odyssey_chaos"
FIXTURE = "odyssey_mock"

ENTRIES = pytest.StashKey[Sequence[Entry]]()
"""Stash key of the journal's entries at the end of the test, before its fixtures are torn down."""
TEST = pytest.StashKey[str]()
"""Stash key of a chaos run: the node id of the original test."""
FAULT = pytest.StashKey[PlannedFault]()
"""Stash key of a chaos run: the fault that the mock injects."""

CARRIED = "odyssey_chaos"
"""Name of the attribute of a `pytest.TestReport` from which `ChaosResults` reads the result of a chaos run."""
NOT_REACHED = "not reached: the fault did not act in this run"


@dataclass(frozen=True, slots=True)
class ChaosOptions:
    """The arguments of `@pytest.mark.odyssey_chaos`."""

    points: Sequence[str]
    exclude: Sequence[str]
    time_limit: float | None

    @classmethod
    def of(cls, item: pytest.Item) -> Self:
        """Read the arguments of the `odyssey_chaos` marker that is closest to the test.

        Raises:
            ChaosPlanError: an argument is unknown, or its value is invalid.
        """
        marker = item.get_closest_marker(MARKER)
        assert marker is not None, f"expected a test with @pytest.mark.{MARKER}, got {item.nodeid} without it"
        given: dict[str, Any] = dict(marker.kwargs)  # Any: not validated yet
        limit = given.pop("time_limit", None)
        points, exclude = (_patterns(name, given.pop(name, ())) for name in ("points", "exclude"))
        if marker.args or given:
            got = ", ".join([*map(repr, marker.args), *given])
            raise ChaosPlanError(f"expected only the keywords points, exclude and time_limit, got {got}")
        if limit is not None and (
            not isinstance(limit, int | float) or isinstance(limit, bool) or not 0 < limit < math.inf
        ):
            raise ChaosPlanError(f"time_limit must be a number of seconds above 0, got {limit!r}")
        return cls(points, exclude, limit)


def _patterns(name: str, given: object) -> Sequence[str]:
    patterns = (given,) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
    texts = [each for each in patterns if isinstance(each, str)]
    if len(texts) < len(patterns):
        raise ChaosPlanError(f"{name} must be a glob pattern of fault points, or a list of them, got {given!r}")
    return texts


def refusal(item: pytest.Item) -> str | None:
    """Return the reason why a test marked `odyssey_chaos` cannot have chaos runs; None if it can."""
    if item.get_closest_marker("odyssey_sim") is not None:
        return "the marker cannot be combined with @pytest.mark.odyssey_sim: use @pytest.mark.odyssey_sim(weather=True)"
    if FIXTURE not in getattr(item, "fixturenames", ()):
        return f"the test must use the fixture {FIXTURE}: add {FIXTURE} to the arguments of the test"
    try:
        ChaosOptions.of(item)
    except ChaosPlanError as error:
        return str(error)
    return None


def run_marked(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test marked `odyssey_chaos` followed by its chaos runs, or run a single chaos run, and return True.

    Return None if the test cannot have chaos runs. Pytest then runs it as usual, and its setup fails with the reason.
    """
    if refusal(item) is not None:
        return None
    test = cast("pytest.Function", item)
    if FAULT in item.stash:
        _run_under_fault(test, nextitem)
    else:
        _run_test(test, nextitem)
    return True


# The run without a fault


def _run_test(test: pytest.Function, nextitem: pytest.Item | None) -> None:
    """Run a test without a fault. If it passes, run it again under each planned fault."""
    _register(test.config)
    began = time.perf_counter()
    test.ihook.pytest_runtest_logstart(nodeid=test.nodeid, location=test.location)
    # Another test of the same module follows, so the fixtures of the module and the session stay set up.
    reports, subtests = _reports(test, _variant(test, "chaos"))
    seconds = time.perf_counter() - began
    options = ChaosOptions.of(test)
    reached: Mapping[str, int] = test.stash.get(REACHED_POINTS, {})
    planned: Sequence[PlannedFault] = ()
    if all(report.passed for report in reports) and not subtests:
        try:
            planned = plan(reached, only=options.points, exclude=options.exclude)
        except ChaosPlanError as error:
            call = _call_of(reports)
            call.outcome, call.longrepr = "failed", f"@pytest.mark.{MARKER}: {error}"
    vars(reports[0])[CARRIED] = {"planned": len(planned), "is_limited": is_available()}
    if not planned:
        reports += _tear_down(test, nextitem)
    _log(test, reports)
    # The limit of pytest-timeout is for one run of the test, and not for all of them.
    if hasattr(test.ihook, "pytest_timeout_cancel_timer"):
        test.ihook.pytest_timeout_cancel_timer(item=test)
    limit = options.time_limit or default_limit(seconds)
    _run_all(test, [_run_of(test, fault, limit) for fault in planned], nextitem)


def _run_all(test: pytest.Function, runs: Sequence[pytest.Function], nextitem: pytest.Item | None) -> None:
    items = test.session.items
    place = items.index(test)
    try:
        for run, following in itertools.zip_longest(runs, runs[1:]):
            if test.session.shouldstop or test.session.shouldfail:
                for report in _tear_down(test, None):
                    test.ihook.pytest_runtest_logreport(report=report)
                return
            items[place] = run  # pytest-xdist requires that a report is about the item at this place
            run.ihook.pytest_runtest_protocol(item=run, nextitem=following or nextitem)
    finally:
        items[place] = test


def _run_of(test: pytest.Function, fault: PlannedFault, limit: float) -> pytest.Function:
    run = _variant(test, f"chaos {fault.name}")
    run.stash[TEST] = test.nodeid
    run.stash[FAULT] = fault
    run.stash[LIMIT] = limit
    run.stash[EXTRA_FAULTS] = [fault.to_fault(midway(_entries(test)))]
    return run


def _variant(test: pytest.Function, label: str) -> pytest.Function:
    """Create another pytest item for the same test function and parameters, with `label` in its name and node id."""
    # unittest finds the method by the item's name.
    is_method_name = test.cls is not None and issubclass(test.cls, unittest.TestCase)
    variant: pytest.Function = type(test).from_parent(
        test.parent,
        name=test.name if is_method_name else _labeled(test.name, label),
        callspec=getattr(test, "callspec", None),
        fixtureinfo=test._fixtureinfo,  # noqa: SLF001 - pytest has no public name for it
        originalname=test.originalname,
    )
    variant.own_markers = test.own_markers
    variant.keywords.update(dict(test.keywords))
    # pytest computes the id from the parameters, without the label. The attribute has another name since pytest 9.1.
    nodeid, attribute = _labeled(test.nodeid, label), "_id" if hasattr(test, "_id") else "_nodeid"
    setattr(variant, attribute, type(test.id).parse(nodeid) if attribute == "_id" else nodeid)
    return variant


def _labeled(name: str, label: str) -> str:
    """Add `label` as the last parameter to a test's name or node id: `test_a[x]` becomes `test_a[x-label]`."""
    before, bracket, _ = name.rpartition("]")
    return f"{before}-{label}]" if bracket else f"{name}[{label}]"


def _tear_down(test: pytest.Function, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    """Tear down the fixtures that `nextitem` does not use. Return the report of a failure, or an empty list."""
    setup = test.session._setupstate  # noqa: SLF001 - as above
    call = pytest.CallInfo.from_call(lambda: setup.teardown_exact(nextitem), when="teardown")
    return [] if call.excinfo is None else [test.ihook.pytest_runtest_makereport(item=test, call=call)]


# A run under a fault


def _run_under_fault(run: pytest.Function, nextitem: pytest.Item | None) -> None:
    """Run a test under its fault, and log its reports. The last report carries the result of the chaos run."""
    began = time.perf_counter()
    run.ihook.pytest_runtest_logstart(nodeid=run.nodeid, location=run.location)
    reports, subtests = _reports(run, nextitem)
    result = _result(run, [*reports, *subtests], time.perf_counter() - began)
    call = _call_of(reports)
    if result.verdict == "hung" and call.passed:  # the test handled its cancellation, or its teardown hung
        call.outcome, call.longrepr = "failed", result.reason
    if result.verdict == "not reached":
        call.outcome, call.longrepr = "skipped", (run.location[0], (run.location[1] or 0) + 1, NOT_REACHED)
    vars(reports[-1])[CARRIED] = result.to_json()
    _log(run, reports)


def _result(run: pytest.Function, reports: Sequence[pytest.TestReport], seconds: float) -> Run:
    fault = run.stash[FAULT]
    found = {report.outcome: report for report in reversed(reports)}
    bad = found.get("failed", found.get("skipped"))
    acted = run.stash.get(FIRED, 0) > 0
    if fault.acts_midway and ENTRIES in run.stash:
        acted = times_acted(_entries(run), fault.point, fault.action) > 0
    verdict: Verdict = "passed" if acted else "not reached"
    reason = ""
    if run.stash.get(EXCEEDED, False):
        verdict, reason = "hung", f"did not end within {run.stash[LIMIT]:g} s"
    elif bad is not None and (acted or bad.failed):
        # A skip is a failure too: pytest reports an expected failure (xfail) as a skip.
        verdict, reason = "failed", _reason(bad)
    return Run(
        test=run.stash[TEST],
        fault=fault.name,
        point=fault.point,
        action=fault.action,
        verdict=verdict,
        seconds=seconds,
        reason=reason if acted else f"{reason} (the fault did not act)".strip(),
        output="" if bad is None else last_lines(bad.longreprtext),
    )


def _entries(test: pytest.Item) -> Sequence[Entry]:
    return test.stash.get(ENTRIES, ())


def _reason(report: pytest.TestReport) -> str:
    """Return the first line of a failed test's error message, or the reason of a skipped test."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = str(report.longreprtext if crash is None else crash.message).strip().splitlines()
    return lines[0] if lines else "failed without a message"


# Reports


def _reports(
    test: pytest.Function, nextitem: pytest.Item | None
) -> tuple[list[pytest.TestReport], list[pytest.TestReport]]:
    """Run a test. Return its reports, which the caller must log, and those of failed subtests, which are logged."""
    subtests = FailedSubtests()
    test.config.pluginmanager.register(subtests)
    try:
        return runtestprotocol(test, log=False, nextitem=nextitem), subtests.reports
    finally:
        test.config.pluginmanager.unregister(subtests)


class FailedSubtests:
    """A pytest plugin that collects the reports of failed subtests. A test can pass although a subtest failed."""

    def __init__(self) -> None:
        self.reports: list[pytest.TestReport] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.reports.append(report)


def _call_of(reports: Sequence[pytest.TestReport]) -> pytest.TestReport:
    """Return the report of the phase `call`; if the setup failed, the report of the setup."""
    return next((report for report in reports if report.when == "call"), reports[0])


def _log(item: pytest.Item, reports: Iterable[pytest.TestReport]) -> None:
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


class JournalReader:
    """A pytest plugin that stores the mock's journal entries in a test's stash before its fixtures are torn down."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        mock = getattr(item, "funcargs", {}).get(FIXTURE)
        # A project may extend the fixture, and return something else.
        if isinstance(mock, MockOdyssey) and item.get_closest_marker(MARKER) is not None:
            item.stash[ENTRIES] = mock.journal.entries


def _register(config: pytest.Config) -> None:
    """Register the plugins that only chaos runs need."""
    if not config.pluginmanager.has_plugin(RunTimeLimits.__name__):
        config.pluginmanager.register(RunTimeLimits(), RunTimeLimits.__name__)
        config.pluginmanager.register(JournalReader(), JournalReader.__name__)
