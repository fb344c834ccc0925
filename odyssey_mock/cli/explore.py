"""The command `odyssey-mock explore`: runs one or many seeds of the explorer and prints the violated rules.

The command imports its dependencies only when it runs, so that `odyssey-mock --help` stays fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from odyssey_mock.explore.options import SEEDS, ExploreOptions, require_sim

NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "log": ("seed", "workload"),
        "diagram": ("seed", "workload"),
        "shrink": ("seed", "workload"),
        "output": ("shrink",),
        "restart": ("results",),
    }
)
"""For an option that needs another option: the options of which at least one must be given."""

_MANY = ("seeds", "first", "workers", "scheduler", "results")
EXCLUDES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "seed": ("workload", *_MANY),
        "workload": ("depth", *_MANY),
        "scheduler": ("workers",),
        "shrink": ("log", "diagram"),
    }
)
"""For an option that excludes other options: the options that must not be given with it."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--light", "depth", flag_value="light", help="Use simulated peers without video instead of WebRTC.  [default]"
)
@click.option("--full", "depth", flag_value="full", help="Use real WebRTC with small frames; about ten times slower.")
@click.option("--seeds", type=click.IntRange(min=1), help=f"Number of seeds to run.  [default: {SEEDS}]")
@click.option("--first", type=click.IntRange(min=0), help="First seed.  [default: 0]")
@click.option("--seed", type=click.IntRange(min=0), help="Run only this seed.")
@click.option("--log", is_flag=True, help="Print the log, one line per event; it is the same in every run of a seed.")
@click.option("--diagram", is_flag=True, help="Print a sequence diagram of the run.")
@click.option(
    "--trace",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write a trace of each printed failure to this directory, for `odyssey-mock trace show`.",
)
@click.option("--shrink", is_flag=True, help="Find and print a smaller scenario with the same failure.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the scenario that --shrink found to this file.",
)
@click.option(
    "--workload",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Run this scenario file, written by --shrink --output, instead of a seed.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Number of worker processes; 1 uses none.  [default: one per core]"
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="Run on the Dask cluster of this scheduler, such as tcp://HOST:8786."
)
@click.option(
    "--results",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Store results in this file and skip seeds that it already contains; the summary covers the whole file.",
)
@click.option("--restart", is_flag=True, help="Discard the earlier results in the --results file.")
@click.pass_context
def explore(
    context: click.Context,
    /,
    **given: Any,  # Any: click converts each value to the type of its field in `ExploreOptions`
) -> None:
    """Run random scenarios of client and mock in simulated time, and check rules that must hold in every scenario.

    A scenario consists of clients, faults and network conditions. This command requires the extra `sim`:
    pip install 'odyssey-testkit[mock,sim]'.

    The exit code is 0 if all rules held, 1 if a rule was violated, 2 if not all seeds could be run, and 130 after an
    interrupt.

    Example: odyssey-mock explore --seeds 500
    """
    _check_options(given)
    require_sim("explore")
    from odyssey_mock.explore import commands  # noqa: PLC0415

    tools = context.find_object(commands.Tools) or commands.OURS
    context.exit(commands.explore(ExploreOptions(**given), tools))


def _check_options(given: Mapping[str, object]) -> None:
    """Check that the given options can be combined.

    Raises:
        click.UsageError: an option that another option requires is missing, or two options exclude each other.
    """
    there = {name for name, value in given.items() if value is not None and value is not False}
    for option, others in NEEDS.items():
        if option in there and not there.intersection(others):
            raise click.UsageError(f"--{option} requires {_named(others, ' or ')}.")
    for option, others in EXCLUDES.items():
        if option in there and (wrong := [other for other in others if other in there]):
            raise click.UsageError(f"--{option} cannot be used with {_named(wrong, ' and ')}.")


def _named(options: Iterable[str], between: str) -> str:
    return between.join("--light or --full" if option == "depth" else f"--{option}" for option in options)
