"""The options of one call of the explorer, and the error that ends it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from odyssey_mock.sim.fidelity import Fidelity

SEEDS = 100
"""Seeds that are played where no option says how many."""


class CannotExploreError(click.ClickException):
    """Seeds could not be played, or not all: whether rules hold in the others is not known."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploreOptions:
    """What to play, where, and what to show of it. None is an option that was not given.

    Attributes:
        depth: peers without pixels, or real WebRTC.
        seeds: how many seeds to play.
        first: the first of them.
        seed: the only one.
        trace: whether to print what passes.
        diagram: whether to draw what passes.
        shrink: whether to look for less that fails in the same way.
        output: where to write what shrinking found.
        workload: a file to play in place of a seed.
        workers: processes to play in.
        scheduler: address of a Dask scheduler.
        results: the file that remembers what was played.
        restart: whether to forget what that file has.
    """

    depth: Fidelity | None = None
    seeds: int | None = None
    first: int | None = None
    seed: int | None = None
    trace: bool = False
    diagram: bool = False
    shrink: bool = False
    output: Path | None = None
    workload: Path | None = None
    workers: int | None = None
    scheduler: str | None = None
    results: Path | None = None
    restart: bool = False
