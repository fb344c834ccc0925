"""Tests of the command `odyssey-mock bench`, with benchmarks that measure nothing."""

import asyncio
import importlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from odyssey_mock.bench.registry import BENCHMARKS, Benchmark
from odyssey_mock.bench.rows import MissingBaselineError, Row
from odyssey_mock.cli.app import main

bench_module = importlib.import_module("odyssey_mock.cli.bench")
"""The module, whose name in the package is that of the command."""


async def fast(*, quick: bool) -> Sequence[Row]:
    samples = [1.0] if quick else [1.0, 1.0]
    return [Row("fast", samples, samples, "ms", limit=1.0)]


async def slow(*, quick: bool) -> Sequence[Row]:
    return [Row("slow", [3.0], [1.0], "ms", limit=2.0)]


async def endless(*, quick: bool) -> Sequence[Row]:
    await asyncio.Event().wait()
    return []


async def without_baseline(*, quick: bool) -> Sequence[Row]:
    raise MissingBaselineError("bench connect requires fastlib: pip install fastlib")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, **benchmarks: Benchmark) -> Result:
    """Run the command with these benchmarks in place of its own."""
    monkeypatch.setattr(bench_module, "BENCHMARKS", tuple(benchmarks.values()))
    return CliRunner().invoke(main, ["bench", *arguments])


def benchmark(name: str, function: str, *, in_all: bool = True, limit_s: float = 60.0) -> Benchmark:
    return Benchmark(name, f"{__name__}:{function}", "measures nothing.", in_all=in_all, limit_s=limit_s)


CONNECT = benchmark("connect", "fast")
SOAK = benchmark("soak", "slow", in_all=False)


def test_report_has_the_rows_and_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    shown = run(monkeypatch, "connect", "--quick", "--json", str(report), connect=CONNECT, soak=SOAK)
    assert (shown.exit_code, shown.output) == (0, "fast: 1 ms, baseline 1 ms: 1.00 times (1.00 to 1.00), limit 1: ok\n")
    written = json.loads(report.read_text())
    assert written["command"] == "odyssey-mock bench connect --quick"
    (row,) = written["rows"]
    assert (row["benchmark"], row["name"], row["ratio"]) == ("connect", "fast", 1.0)
    assert row["samples"] == {"ours": [1.0], "baseline": [1.0]}


def test_plot_of_each_benchmark_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = run(monkeypatch, "connect", "--plots", str(tmp_path / "plots"), connect=CONNECT)
    assert shown.exit_code == 0
    (file,) = (tmp_path / "plots").iterdir()
    assert file.name == "connect.svg"
    assert "fast: 1.00 times, target 1 (ms)" in file.read_text()


def test_all_leaves_long_benchmarks_out(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run(monkeypatch, "all", connect=CONNECT, fanout=benchmark("fanout", "fast"), soak=SOAK)
    assert (shown.exit_code, [line.partition(":")[0] for line in shown.output.splitlines()]) == (0, ["fast", "fast"])


def test_value_above_its_limit_ends_with_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    shown = run(monkeypatch, "soak", "--json", str(report), connect=CONNECT, soak=SOAK)
    assert shown.exit_code == 1
    assert "TOO SLOW" in shown.output
    assert json.loads(report.read_text())["rows"][0]["ok"] is False


def test_benchmark_without_an_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run(monkeypatch, "connect", connect=benchmark("connect", "endless", limit_s=0.05))
    assert shown.exit_code == 1
    assert "Error: bench connect: expected an end within 0.05 s" in shown.output


def test_missing_baseline_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run(monkeypatch, "connect", connect=benchmark("connect", "without_baseline"))
    assert (shown.exit_code, shown.output) == (
        1,
        "Error: bench connect requires fastlib: pip install fastlib\n",
    )


def test_unknown_benchmark_is_rejected_with_known_names() -> None:
    shown = CliRunner().invoke(main, ["bench", "conect"])
    assert shown.exit_code == 2
    assert "'connect'" in shown.output


def test_help_describes_each_benchmark() -> None:
    shown = CliRunner().invoke(main, ["bench", "--help"]).output
    for each in BENCHMARKS:
        assert f"\n  {each.name}: " in shown
