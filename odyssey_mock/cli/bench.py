"""The command `odyssey-mock bench`: benchmarks that compare the project with a baseline."""

import asyncio
import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from odyssey_mock.bench.registry import BENCHMARKS, Benchmark
from odyssey_mock.bench.rows import MissingBaselineError, Result, Row
from odyssey_mock.explore.options import require_sim

ALL = "all"
"""The argument that selects all benchmarks that take less than a minute."""


RESULT = (
    "Each comparison is measured in turns in one run, without other machines. Its result is the median of the ratios,"
    " with their quartiles. The exit code is 1 if a value exceeds its limit."
)


def _help() -> str:
    """Return the help of the command, with a paragraph for each benchmark."""
    benchmarks = [f"{each.name}: {each.summary}" for each in BENCHMARKS]
    included = ", ".join(each.name for each in BENCHMARKS if each.in_all)
    return "\n\n".join(
        [
            "Measure performance, and compare it with a baseline.",
            *benchmarks,
            f"{ALL}: one after the other: {included}.",
            RESULT,
            "Example: odyssey-mock bench connect --quick",
        ]
    )


@click.command(help=_help())
@click.argument("name", type=click.Choice([ALL, *(each.name for each in BENCHMARKS)]))
@click.option("--quick", is_flag=True, help="Run fewer rounds.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the results to this file.")
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path), help="Write a plot of each benchmark to this folder."
)
def bench(name: str, quick: bool, file: Path | None, plots: Path | None) -> None:
    chosen = [each for each in BENCHMARKS if each.name == name or (name == ALL and each.in_all)]
    for each in chosen:
        if each.requires_sim:
            require_sim(f"bench {each.name}")
    results: dict[str, Sequence[Result]] = {}
    for each in chosen:
        results[each.name] = asyncio.run(_measured(each, quick=quick))
        for result in results[each.name]:
            click.echo(str(result))
    if file is not None:
        # Not needed to show `odyssey-mock --help`.
        from odyssey_mock.bench.report import report  # noqa: PLC0415

        words = ["odyssey-mock", "bench", name, *(["--quick"] if quick else [])]
        written = report(results, command=shlex.join(words), at=datetime.now(UTC))
        file.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    if plots is not None:
        _write_plots(results, plots)
    if not all(result.ok for each in results.values() for result in each):
        raise SystemExit(1)


def _write_plots(results: Mapping[str, Sequence[Result]], folder: Path) -> None:
    """Write an SVG file for each benchmark that has comparisons."""
    from odyssey_mock.bench.plots import plot  # noqa: PLC0415 - not needed to show `odyssey-mock --help`

    folder.mkdir(parents=True, exist_ok=True)
    for name, result in results.items():
        if rows := [each for each in result if isinstance(each, Row)]:
            (folder / f"{name}.svg").write_text(plot(name, rows), encoding="utf-8")


async def _measured(benchmark: Benchmark, *, quick: bool) -> Sequence[Result]:
    """Run a benchmark within its time limit.

    Raises:
        click.ClickException: a package is not installed, or the benchmark took too long.
    """
    run = benchmark.load()
    try:
        async with asyncio.timeout(benchmark.limit_s) as limit:
            return await run(quick=quick)
    except MissingBaselineError as error:
        raise click.ClickException(str(error)) from None
    except TimeoutError:
        if not limit.expired():
            raise
        raise click.ClickException(
            f"bench {benchmark.name}: expected an end within {benchmark.limit_s:g} s, which is far above its usual"
            " duration. Run it on a machine with less load."
        ) from None
