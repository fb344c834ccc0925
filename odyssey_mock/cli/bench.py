"""The command `odyssey-mock bench`: benchmarks that compare the project with a baseline."""

import asyncio
import importlib
import json
from pathlib import Path

import click

from odyssey_mock.bench.rows import MissingBaselineError
from odyssey_mock.cli.extras import require_sim

BENCHMARKS = ("connect", "explore", "fanout", "fixture", "sessions", "soak")
"""Modules of `odyssey_mock.bench`; each has a function `run`."""
COMPARISONS = tuple(name for name in BENCHMARKS if name != "soak")
SIMULATED = frozenset({"explore", "soak"})
"""Benchmarks that require the extra `sim`."""


@click.command()
@click.argument("name", type=click.Choice(["all", *BENCHMARKS]))
@click.option("--quick", is_flag=True, help="Run fewer rounds.")
@click.option(
    "--json", "report", type=click.Path(dir_okay=False, path_type=Path), help="Write the results to this file."
)
def bench(name: str, quick: bool, report: Path | None) -> None:
    """Measure performance, and compare it with a baseline.

    connect: the client's connect(), compared with two bare aiortc peers.

    explore: simulated sessions, compared with sessions over loopback. Only this benchmark requires the extra `sim`.

    fanout: the CPU time of one more spectator, compared with one aiortc track per spectator.

    fixture: a test with the fixture odyssey_mock, compared with pytest-httpserver; and a live test, compared with bare
    peers.

    sessions: the CPU time of one live session, streaming and idle, and the sessions per processor, compared with one
    plain aiortc track with its own encoder per session.

    soak: growth of memory, tasks, threads and descriptors in thousands of sessions, in 30 simulated minutes with
    faults, with unused sessions and with connections that do not read. It takes about ten minutes and requires the
    extra `sim`. It is not part of `all`.

    all: connect, explore, fanout, fixture and sessions, one after the other.

    The exit code is 1 if a value exceeds its limit.

    Example: odyssey-mock bench connect --quick
    """
    names = COMPARISONS if name == "all" else (name,)
    for each in names:
        if each in SIMULATED:
            require_sim(f"bench {each}")
    rows = []
    for each in names:
        module = importlib.import_module(f"odyssey_mock.bench.{each}")
        try:
            measured = asyncio.run(module.run(quick=quick))
        except MissingBaselineError as error:
            raise click.ClickException(str(error)) from None
        for row in measured:
            click.echo(str(row))
            rows.append(row)
    if report is not None:
        report.write_text(json.dumps({"rows": [row.to_json() for row in rows]}, indent=2) + "\n", encoding="utf-8")
    if not all(row.ok for row in rows):
        raise SystemExit(1)
