"""The work of the command `odyssey-mock explore`; `odyssey_mock/cli/explore.py` parses its options."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click

from odyssey_mock.explore import code_version, report
from odyssey_mock.explore.campaign import Campaign
from odyssey_mock.explore.cluster import on_cluster
from odyssey_mock.explore.explorer import play, write_run_trace
from odyssey_mock.explore.options import SEEDS, CannotExploreError, ExploreOptions
from odyssey_mock.explore.outcome import PROCESS_DIED, RUN_RAISED, Outcome, PlaySeed, SeedPlayer
from odyssey_mock.explore.report import Rate, progress
from odyssey_mock.explore.results_file import Header, ResultsError, results_in
from odyssey_mock.explore.scenario import Scenario, ScenarioError
from odyssey_mock.explore.scenario_file import read as read_scenario
from odyssey_mock.explore.scenario_generator import draw
from odyssey_mock.explore.shrink import NothingToShrinkError, Shrunk, shrink
from odyssey_mock.explore.workers import SeedWorkers, ThisProcess, WorkerProcesses, WorkersError
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.run_log import run_diagram

REPORTED = 5
"""Number of distinct failures printed with log and diagram; further failures are printed without them."""
FAILED, INTERRUPTED = 1, 130
"""Exit codes: a rule was violated; the command was interrupted by Ctrl-C."""


class Shrink(Protocol):
    """A function like `odyssey_mock.explore.shrink.shrink`."""

    def __call__(self, scenario: Scenario, *, report: Callable[[str], None]) -> Shrunk: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """The functions that draw, run and shrink scenarios. Tests replace them with doubles through click's `obj`."""

    draw: Callable[[int, Fidelity], Scenario]
    play: PlaySeed
    shrink: Shrink


OURS = Tools(draw, play, shrink)


def explore(options: ExploreOptions, tools: Tools = OURS) -> int:
    """Run the seeds or the scenario file that the options select, print the results, and return the exit code.

    Raises:
        CannotExploreError: not all seeds could be run.
        click.UsageError: the scenario file is unreadable or invalid.
    """
    fidelity = options.depth or "light"
    try:
        if options.workload is not None:
            again = f"odyssey-mock explore --workload {shlex.quote(str(options.workload))} --log"
            return _one(options, tools, read(options.workload), again)
        if options.seed is not None:
            again = f"odyssey-mock explore --{fidelity} --seed {options.seed} --log"
            return _one(options, tools, None, again)
        first = options.first or 0
        seeds = range(first, first + (options.seeds or SEEDS))
        where = WorkerOptions(options.workers, options.scheduler)
        return spread(tools, seeds, fidelity, where, options.results, restart=options.restart, traces=options.trace)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return INTERRUPTED


def _one(options: ExploreOptions, tools: Tools, scenario: Scenario | None, again: str) -> int:
    """Run or shrink one scenario, as `options` selects. Print the result, and return the exit code.

    If `scenario` is None, the scenario is drawn from `options.seed`. `again` is the command that repeats the run.
    """
    fidelity, seed = options.depth or "light", options.seed or 0
    if options.shrink:
        return show_shrunk(tools, scenario or tools.draw(seed, fidelity), again, options.output, options.trace)
    if scenario is not None:
        outcome = tools.play(scenario.seed, fidelity=scenario.fidelity, scenario=scenario, keeps_log=True)
    else:
        outcome = tools.play(seed, fidelity=fidelity, keeps_log=True)
    if options.trace is not None and outcome.failures:
        _write_trace(options.trace, scenario or tools.draw(seed, fidelity), again)
    return show(outcome, again, log=options.log, drawn=options.diagram)


def read(path: Path) -> Scenario:
    """Read a scenario from a file.

    Raises:
        click.UsageError: the file is unreadable or invalid.
    """
    try:
        return read_scenario(path)
    except (OSError, ScenarioError) as error:
        raise click.UsageError(f"cannot run {path}: {error}") from error


def show(outcome: Outcome, again: str, *, log: bool, drawn: bool) -> int:
    """Print the result of one run, and return the exit code. Two runs of the same seed print the same text.

    `again`: the command that repeats the run.
    """
    if log:
        for line in report.log(outcome):
            click.echo(line)
    if drawn:
        click.echo(run_diagram(outcome.lines))
    click.echo(report.verdict(outcome))
    if not outcome.failures:
        return 0
    click.echo(report.failures(outcome, commit=code_version.commit(), again=again))
    if not log:
        click.echo(report.last_lines(outcome))
    if not drawn:
        click.echo(report.drawn(outcome))
    return FAILED


def show_shrunk(tools: Tools, scenario: Scenario, again: str, output: Path | None, traces: Path | None = None) -> int:
    """Shrink a scenario, print the smaller scenario and the result of its run, and return the exit code.

    `again`: the command that repeats the run of the given scenario. `output`: the file for the smaller scenario.
    `traces`: the directory for its trace.

    Raises:
        CannotExploreError: `output` or the trace cannot be written.
    """
    if output is not None and not output.parent.is_dir():  # check first: shrinking takes long
        raise CannotExploreError(f"cannot write {output}: the folder {output.parent} does not exist")
    try:
        shorter = tools.shrink(scenario, report=lambda line: click.echo(line, err=True)).scenario
    except NothingToShrinkError:
        click.echo(f"seed {scenario.seed}, {scenario.fidelity}: all rules held; there is nothing to shrink")
        return 0
    click.echo(str(shorter))
    if output is not None:
        try:
            output.write_text(json.dumps(shorter.to_json(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise CannotExploreError(f"cannot write {output}: {error}") from error
        again = f"odyssey-mock explore --workload {shlex.quote(str(output))} --log"
    if traces is not None:
        _write_trace(traces, shorter, again)
    outcome = tools.play(shorter.seed, fidelity=shorter.fidelity, scenario=shorter, keeps_log=True)
    click.echo(report.failures(outcome, commit=code_version.commit(), again=again))
    _print_how(outcome)
    return FAILED


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Options that select where seeds are run."""

    workers: int | None
    scheduler: str | None

    @contextmanager
    def place(self, player: SeedPlayer, campaign: Campaign) -> Iterator[SeedWorkers]:
        """Yield the workers that the options select: a Dask cluster, local processes, or this process alone."""
        if self.scheduler is not None:
            with on_cluster(player, self.scheduler) as cluster:
                yield cluster
            return
        count = min(self.workers or os.cpu_count() or 1, campaign.total - campaign.before)
        yield ThisProcess(player) if count <= 1 else WorkerProcesses(player, count)


def spread(
    tools: Tools,
    seeds: range,
    fidelity: Fidelity,
    where: WorkerOptions,
    path: Path | None,
    *,
    restart: bool,
    traces: Path | None = None,
) -> int:
    """Run many seeds, print the failures and the speed, and return the exit code.

    `traces`: the directory for traces of the failures that are printed with log and diagram.

    Raises:
        CannotExploreError: the workers failed, or the results file or a trace cannot be written.
    """
    campaign, elapsed = Campaign(seeds, fidelity), 0.0
    stopped: BaseException | None = None
    try:
        with ExitStack() as stack:
            results = None
            if path is not None:
                results = stack.enter_context(results_in(path, Header.of(fidelity), restart=restart))
            campaign = Campaign(seeds, fidelity, results)
            rate = Rate(campaign.before)
            try:
                place = stack.enter_context(where.place(SeedPlayer(tools.play, fidelity), campaign))
                with progress(sys.stderr, campaign.total, rate) as shown:
                    campaign.run(place, shown)
            finally:
                elapsed = rate.elapsed
    except (KeyboardInterrupt, ResultsError, WorkersError, OSError) as error:
        stopped = error
    # If the campaign was stopped, the user waits for the end: print the failures without running their seeds again.
    _print_examples(tools, campaign, fidelity, in_full=REPORTED if stopped is None else 0, traces=traces)
    if campaign.tally.seeds:
        click.echo(report.rates(campaign.tally, fidelity, before=campaign.before, elapsed=elapsed))
    if stopped is None:
        return FAILED if campaign.tally.failed else 0
    return _stopped(stopped, campaign, path)


def _stopped(error: BaseException, campaign: Campaign, path: Path | None) -> int:
    """Print how many seeds an interrupted campaign did not run, and return the exit code.

    Raises:
        CannotExploreError: the campaign was stopped by an error other than KeyboardInterrupt.
    """
    kept = "" if path is None else f"; the results so far are in {path}: repeat the command to continue"
    left = f"seeds not run: {campaign.total - campaign.tally.seeds}{kept}"
    if isinstance(error, KeyboardInterrupt):
        click.echo(f"interrupted: {left}", err=True)
        return INTERRUPTED
    why = f"cannot run more seeds or store their results: {error}" if isinstance(error, OSError) else str(error)
    raise CannotExploreError(f"{why}\n{left}" if campaign.tally.seeds > campaign.before else why) from error


def _print_examples(
    tools: Tools, campaign: Campaign, fidelity: Fidelity, *, in_full: int = REPORTED, traces: Path | None = None
) -> None:
    """Print each distinct failure. For up to `in_full` failures, run the seed again to print log and diagram."""
    commit = code_version.commit()
    shown: set[int] = set()
    for known in campaign.tally.examples():
        click.echo(report.example(known, fidelity=fidelity, commit=commit))
        # A run that killed its process or raised an error would do the same to this process.
        if known.failure.rule in {PROCESS_DIED, RUN_RAISED} or known.seed in shown or len(shown) >= in_full:
            continue
        shown.add(known.seed)
        outcome = tools.play(known.seed, fidelity=fidelity, keeps_log=True)
        if outcome.failures:
            _print_how(outcome)
            if traces is not None:
                again = f"odyssey-mock explore --{fidelity} --seed {known.seed} --log"
                _write_trace(traces, tools.draw(known.seed, fidelity), again)
        else:
            click.echo(report.NOT_AGAIN)


def _write_trace(directory: Path, scenario: Scenario, again: str) -> None:
    """Write the trace of a scenario to `DIRECTORY/seed-N-FIDELITY.odytrace`.

    Raises:
        CannotExploreError: the file cannot be written.
    """
    path = directory / f"seed-{scenario.seed}-{scenario.fidelity}.odytrace"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_run_trace(path, scenario, command=again)
    except OSError as error:
        raise CannotExploreError(f"cannot write the trace {path}: {error}") from error
    click.echo(f"trace: {path}")


def _print_how(outcome: Outcome) -> None:
    click.echo(report.last_lines(outcome))
    click.echo(report.drawn(outcome))
