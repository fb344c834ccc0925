"""Tests of what two benchmarks of `odyssey-mock bench` measure. Only `make bench` checks the times against limits."""

import json
import statistics
from pathlib import Path

import pytest

from tests.support.forks import run_python

COMMAND = ("-c", "from odyssey_mock.cli import main; main()", "bench")
LIMIT_S = 120.0


def test_connect_is_compared_with_two_bare_peers(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    bench = run_python(*COMMAND, "connect", "--quick", "--json", str(report), limit_s=LIMIT_S)
    (row,) = json.loads(report.read_text())["rows"]
    assert row["name"] == "connect"
    assert row["unit"] == "ms"
    assert min(row["ours"], row["baseline"]) > 1, (
        "expected more than 1 ms for the client's connect() and for a connection between two plain aiortc peers, "
        f"got {row['ours']} ms and {row['baseline']} ms"
    )
    pairs = zip(row["samples"]["ours"], row["samples"]["baseline"], strict=True)
    assert row["ratio"] == pytest.approx(statistics.median(ours / baseline for ours, baseline in pairs), rel=0.001)
    assert row["ok"] is (row["ratio"] <= row["limit"] == 1.3)
    assert bench.returncode == (0 if row["ok"] else 1)
    assert f"{row['ratio']:.2f} times" in bench.stdout


def test_spectator_costs_less_than_a_separate_track(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    bench = run_python(*COMMAND, "fanout", "--quick", "--json", str(report), limit_s=LIMIT_S)
    (row,) = json.loads(report.read_text())["rows"]
    assert (row["name"], row["unit"]) == ("fanout", "ms of CPU per second")
    assert row["baseline"] > row["ours"], (
        "expected a separate video track to take more CPU time than a spectator of a broadcast, "
        f"got {row['baseline']} and {row['ours']} ms per second"
    )
    assert row["ok"] is (row["ratio"] <= row["limit"])
    assert bench.returncode == (0 if row["ok"] else 1)
