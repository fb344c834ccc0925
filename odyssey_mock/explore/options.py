"""`ExploreOptions`, the options of the command `odyssey-mock explore`, and the errors that end it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from odyssey_mock.sim.fidelity import Fidelity

SEEDS = 100
"""Default number of seeds."""


class CannotExploreError(click.ClickException):
    """The command could not run all seeds, or could not store their results."""

    exit_code = 2


def require_sim(command: str) -> None:
    """Check that the extra `sim` is installed, which `command` requires.

    Raises:
        CannotExploreError: the extra is not installed.
    """
    if importlib.util.find_spec("simloop") is None:
        raise CannotExploreError(
            f"odyssey-mock {command} requires the extra `sim`: pip install 'odyssey-testkit[mock,sim]'"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploreOptions:
    """The values of the options. An option that was not given is None.

    Attributes:
        depth: `light` (peers without pixels) or `full` (real WebRTC).
        seeds: number of seeds to run.
        first: first of these seeds.
        seed: single seed to run.
        log: whether to print the log.
        diagram: whether to print a sequence diagram.
        shrink: whether to find a smaller scenario with the same failure.
        trace: directory for the traces of the failures.
        output: file for the scenario that shrinking found.
        workload: scenario file to run instead of a seed.
        workers: number of worker processes.
        scheduler: address of a Dask scheduler.
        results: file that stores the results of all seeds.
        restart: whether to discard the earlier results in that file.
    """

    depth: Fidelity | None = None
    seeds: int | None = None
    first: int | None = None
    seed: int | None = None
    log: bool = False
    diagram: bool = False
    shrink: bool = False
    trace: Path | None = None
    output: Path | None = None
    workload: Path | None = None
    workers: int | None = None
    scheduler: str | None = None
    results: Path | None = None
    restart: bool = False
