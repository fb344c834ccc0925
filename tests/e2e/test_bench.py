"""Tests of what `odyssey-mock bench` measures and reports. Only `make bench` checks the times against limits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from odyssey_mock.bench.rows import Growth, Row

COMMAND = (sys.executable, "-c", "from odyssey_mock.cli import main; main()", "bench")


def test_connect_is_compared_with_two_bare_peers(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    bench = subprocess.run(
        [*COMMAND, "connect", "--quick", "--json", str(report)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    (row,) = json.loads(report.read_text())["rows"]
    assert row["name"] == "connect"
    assert row["unit"] == "ms"
    assert row["ours"] > row["beside"] > 1, (
        "expected more than 1 ms for a connection between two plain aiortc peers, and more for the client's connect(), "
        f"got {row['beside']} ms and {row['ours']} ms"
    )
    assert row["ratio"] == pytest.approx(row["ours"] / row["beside"], abs=0.001)
    assert row["ok"] is (row["ratio"] <= row["reach"] == 2.0)
    assert bench.returncode == (0 if row["ok"] else 1)
    # Computed from the measured times, because the ratio in the report is already rounded.
    assert f"{row['ours'] / row['beside']:.2f} times" in bench.stdout


def test_spectator_costs_less_than_a_separate_track(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [*COMMAND, "fanout", "--quick", "--json", str(report)]
    bench = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    (row,) = json.loads(report.read_text())["rows"]
    assert (row["name"], row["unit"]) == ("fanout", "ms of CPU per second")
    assert row["beside"] > row["ours"], (
        "expected a separate video track to take more CPU time than a spectator of a broadcast, "
        f"got {row['beside']} and {row['ours']} ms per second"
    )
    assert row["ok"] is (row["ratio"] <= row["reach"])
    assert bench.returncode == (0 if row["ok"] else 1)


@pytest.mark.parametrize(("ours", "ok"), [(1.0, True), (2.0, True), (2.1, False)])
def test_row_is_ok_up_to_its_limit(ours: float, ok: bool) -> None:
    row = Row("x", ours, 1.0, "ms", reach=2.0)
    assert row.ok is ok
    assert row.to_json()["ok"] is ok
    assert ("TOO SLOW" in str(row)) is not ok


@pytest.mark.parametrize(("grown", "ok"), [(-5.0, True), (20.0, True), (21.0, False)])
def test_growth_is_ok_up_to_its_limit(grown: float, ok: bool) -> None:
    row = Growth("x", grown, 10, "objects", reach=2.0)
    assert row.ok is ok
    assert (row.to_json()["each"], row.to_json()["ok"]) == (grown / 10, ok)
    assert ("GROWS" in str(row)) is not ok


def test_unknown_benchmark_is_rejected_with_known_names() -> None:
    bench = subprocess.run([*COMMAND, "conect"], capture_output=True, text=True, check=False, timeout=60)
    assert bench.returncode == 2
    assert "connect" in bench.stderr
