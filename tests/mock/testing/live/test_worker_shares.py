"""Tests of the budget that the controller of pytest-xdist divides among its workers."""

import io
from types import SimpleNamespace

import pytest

from odyssey_mock.testing.live.run import SERVICE, LiveRun
from odyssey_mock.testing.live.service import Service

pytest_plugins = ["pytester"]

SHARE, USED = "odyssey_live_share", "odyssey_live_used"


def test_crashed_worker_counts_with_its_share(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig("--odyssey-live-seconds=30")
    config.stash[SERVICE] = Service("https://example.com", "ody_key")
    run = LiveRun(config)
    nodes = nodes_of(3)
    for node in nodes:
        run.pytest_configure_node(node)
    assert [node.workerinput[SHARE] for node in nodes] == [15, 15, 0], "the third worker replaces a crashed one"

    nodes[1].workeroutput = {USED: 2.5}
    for node in nodes:
        run.pytest_testnodedown(node)
    assert summary_of(run, config) == "17.5 of 30 stream seconds used, 12.5 left"


def test_interrupted_worker_counts_with_its_share(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig("--odyssey-live-seconds=30")
    config.stash[SERVICE] = Service("https://example.com", "ody_key")
    run = LiveRun(config)
    first, second = nodes_of(2)
    for node in (first, second):
        run.pytest_configure_node(node)
    first.workeroutput = {USED: 2.5}
    for _ in range(2):  # as pytest-xdist does for a worker that was interrupted
        run.pytest_testnodedown(first)

    assert summary_of(run, config) == "17.5 of 30 stream seconds used, 12.5 left"


def nodes_of(count: int) -> list[SimpleNamespace]:
    """Return stand-ins for the controllers of workers, of which two run at a time."""
    return [SimpleNamespace(workerinput={"workerid": f"gw{number}", "workercount": 2}) for number in range(count)]


def summary_of(run: LiveRun, config: pytest.Config) -> str:
    summary = io.StringIO()
    run.pytest_terminal_summary(pytest.TerminalReporter(config, summary))
    return summary.getvalue().splitlines()[-1]
