"""The command `odyssey-mock explore`: seeds played, many or one, and what is found shown.

What it needs it imports when it runs, so that `odyssey-mock --help` answers at once.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from odyssey_mock.explore.options import SEEDS, CannotExploreError, ExploreOptions

NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "trace": ("seed", "workload"),
        "diagram": ("seed", "workload"),
        "shrink": ("seed", "workload"),
        "output": ("shrink",),
        "restart": ("results",),
    }
)
"""Options that go with one of others only."""

_MANY = ("seeds", "first", "workers", "scheduler", "results")
EXCLUDES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "seed": ("workload", *_MANY),
        "workload": ("depth", *_MANY),
        "scheduler": ("workers",),
        "shrink": ("trace", "diagram"),
    }
)
"""Options that do not go with others."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--light", "depth", flag_value="light", help="Peers without pixels in place of WebRTC.  [default]")
@click.option("--full", "depth", flag_value="full", help="Real WebRTC, with small pictures; ten times slower.")
@click.option("--seeds", type=click.IntRange(min=1), help=f"How many seeds to play.  [default: {SEEDS}]")
@click.option("--first", type=click.IntRange(min=0), help="The first of them.  [default: 0]")
@click.option("--seed", type=click.IntRange(min=0), help="Play this one alone.")
@click.option("--trace", is_flag=True, help="Print what passes, a line an event, the same in every run of a seed.")
@click.option("--diagram", is_flag=True, help="Draw what passes.")
@click.option("--shrink", is_flag=True, help="Look for less that fails in the same way, and print it.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write what --shrink found.")
@click.option(
    "--workload",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Play what --shrink --output wrote, in place of what a seed says.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes to play in; 1 is this one.  [default: one for each core]"
)
@click.option("--scheduler", metavar="ADDRESS", help="Play on a Dask cluster; its scheduler, such as tcp://HOST:8786.")
@click.option(
    "--results",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write down what was played, and do not play what is there: the summary is of all that the file has.",
)
@click.option("--restart", is_flag=True, help="Forget what --results has.")
@click.pass_context
def explore(
    context: click.Context,
    /,
    **given: Any,  # Any: click gives each the type that its option has, which is that of `ExploreOptions`
) -> None:
    """Play random scenarios of clients and server in simulated time, and check the rules that must hold in all.

    Exit code 0 where all held, 1 where a rule did not, 2 where seeds could not be played, 130 after an interrupt.
    """
    _check_options(given)
    if importlib.util.find_spec("simloop") is None:
        raise CannotExploreError("odyssey-mock explore needs its extra: pip install 'odyssey-testkit[mock,sim]'")
    from odyssey_mock.explore import commands  # noqa: PLC0415

    tools = context.find_object(commands.Tools) or commands.OURS
    context.exit(commands.explore(ExploreOptions(**given), tools))


def _check_options(given: Mapping[str, object]) -> None:
    """Say what does not go together, or not alone.

    Raises:
        click.UsageError: something does not.
    """
    there = {name for name, value in given.items() if value is not None and value is not False}
    for option, others in NEEDS.items():
        if option in there and not there.intersection(others):
            raise click.UsageError(f"--{option} goes with {_named(others, ' or ')} only.")
    for option, others in EXCLUDES.items():
        if option in there and (wrong := [other for other in others if other in there]):
            raise click.UsageError(f"--{option} does not go with {_named(wrong, ' and ')}.")


def _named(options: Iterable[str], between: str) -> str:
    return between.join("--light or --full" if option == "depth" else f"--{option}" for option in options)
