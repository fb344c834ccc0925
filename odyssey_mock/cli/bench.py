"""The command `odyssey-mock bench`: measurements, each beside what it is compared with."""

import asyncio
import importlib
import json
from pathlib import Path

import click

BENCHMARKS = ("connect", "explore", "fanout")
"""Modules of `odyssey_mock.bench`, each with a `run`."""


@click.command()
@click.argument("name", type=click.Choice(["all", *BENCHMARKS]))
@click.option("--quick", is_flag=True, help="Fewer rounds.")
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows to this file.")
def bench(name: str, quick: bool, report: Path | None) -> None:
    """Measure ours beside what it is compared with; exit code 1 where the ratio is out of reach."""
    names = BENCHMARKS if name == "all" else (name,)
    rows = []
    for each in names:
        module = importlib.import_module(f"odyssey_mock.bench.{each}")
        for row in asyncio.run(module.run(quick=quick)):
            click.echo(str(row))
            rows.append(row)
    if report is not None:
        report.write_text(json.dumps({"rows": [row.to_json() for row in rows]}, indent=2) + "\n", encoding="utf-8")
    if not all(row.ok for row in rows):
        raise SystemExit(1)
