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
    nodes = [SimpleNamespace(workerinput={"workercount": 2}) for _ in range(3)]
    for node in nodes:
        run.pytest_configure_node(node)
    assert [node.workerinput[SHARE] for node in nodes] == [15, 15, 0], "the third worker replaces a crashed one"

    nodes[1].workeroutput = {USED: 2.5}
    for node in nodes:
        run.pytest_testnodedown(node)
    summary = io.StringIO()
    run.pytest_terminal_summary(pytest.TerminalReporter(config, summary))

    assert summary.getvalue().splitlines()[-1] == "17.5 of 30 stream seconds used, 12.5 left"
