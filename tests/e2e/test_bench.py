"""`odyssey-mock bench`: what it measures and what it says. How long things take is for `make bench` to judge."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from odyssey_mock.bench.rows import Row

COMMAND = (sys.executable, "-c", "from odyssey_mock.cli import main; main()", "bench")


def test_connect_is_measured_beside_two_bare_peers(tmp_path: Path) -> None:
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
    assert row["ours"] > row["beside"] > 1, "ours does all that the bare peers do, and more"
    assert row["ratio"] == pytest.approx(row["ours"] / row["beside"], abs=0.001)
    assert row["ok"] is (row["ratio"] <= row["reach"] == 2.0)
    assert bench.returncode == (0 if row["ok"] else 1)
    # Of what was measured: the ratio in the report is rounded already.
    assert f"{row['ours'] / row['beside']:.2f} times" in bench.stdout


def test_a_spectator_costs_a_fraction_of_a_track_of_its_own(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [*COMMAND, "fanout", "--quick", "--json", str(report)]
    bench = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    (row,) = json.loads(report.read_text())["rows"]
    assert (row["name"], row["unit"]) == ("fanout", "ms of CPU a second")
    assert row["beside"] > row["ours"], "its own encoder is what the other pays for"
    assert row["ok"] is (row["ratio"] <= row["reach"])
    assert bench.returncode == (0 if row["ok"] else 1)


@pytest.mark.parametrize(("ours", "ok"), [(1.0, True), (2.0, True), (2.1, False)])
def test_a_row_is_within_reach_or_it_is_not(ours: float, ok: bool) -> None:
    row = Row("x", ours, 1.0, "ms", reach=2.0)
    assert row.ok is ok
    assert row.to_json()["ok"] is ok
    assert ("TOO SLOW" in str(row)) is not ok


def test_an_unknown_benchmark_is_refused_with_those_there_are() -> None:
    bench = subprocess.run([*COMMAND, "conect"], capture_output=True, text=True, check=False, timeout=60)
    assert bench.returncode == 2
    assert "connect" in bench.stderr
