"""Stubs of the explorer's functions, which return fixed results without a simulation.

The explorer's worker processes unpickle the stubs. So the stubs are module-level functions, and this module has few
imports, which keeps the start of a worker short.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from odyssey_mock.explore.outcome import Failure, Outcome
from odyssey_mock.sim.run_log import WORLD, RunLogLine

if TYPE_CHECKING:
    from odyssey_mock.explore.scenario import Scenario
    from odyssey_mock.explore.shrink import Shrunk
    from odyssey_mock.sim.fidelity import Fidelity

STEPS, SECONDS = 3, 60.5
"""Number of steps and simulated seconds in every outcome that `play` returns."""


def play(
    seed: int, *, fidelity: Fidelity = "light", scenario: Scenario | None = None, keeps_log: bool = False
) -> Outcome:
    """Return a fixed outcome for `seed`, which contains failures for some seeds.

    For seeds 3, 10, 17, ..., a call never settles. For seeds 5, 16, 27, ..., a session slot leaks. The outcomes of all
    other seeds contain no failure.
    """
    broken = []
    if seed % 7 == 3:
        broken.append(Failure("every_call_settles", f"expected interact() to settle, got nothing in {seed}.5 s", 2.5))
    if seed % 11 == 5:
        broken.append(Failure("slots_add_up", f"expected 0 slots taken, got {seed}", 60.0))
    lines = (
        RunLogLine(0.0, "client-0", "connect()"),
        RunLogLine(0.25, "client-0", "POST /sessions/request", "odyssey"),
        RunLogLine(2.5, WORLD, f"cut, by {'the scenario' if scenario else 'the seed'}"),
        RunLogLine(60.0, "odyssey", "session closed", details={"seed": seed}),
    )
    return Outcome(
        seed,
        fidelity,
        tuple(broken),
        lines if keeps_log else (),
        f"{seed:064x}" if keeps_log else "",
        steps=STEPS,
        seconds=SECONDS,
    )


def draw(seed: int, fidelity: Fidelity) -> Scenario:
    """Return a scenario in which one client connects and disconnects."""
    from odyssey_mock.explore.scenario import Actor, Scenario, Step  # noqa: PLC0415 - see above

    return Scenario(seed, fidelity, {}, (Actor("client-0", 0, {}, (Step("connect"), Step("disconnect"))),))


def shrink(scenario: Scenario, *, report: Callable[[str], None]) -> Shrunk:
    """Return a failing scenario shortened to its first step.

    Raises:
        NothingToShrinkError: if the scenario has no failure.
    """
    from odyssey_mock.explore.shrink import NothingToShrinkError, Shrunk  # noqa: PLC0415 - see above

    outcome = play(scenario.seed, scenario=scenario)
    if not outcome.failures:
        raise NothingToShrinkError("expected a scenario that violates a rule, got one without a failure")
    report("shrunk to 1 of 2 parts")
    actor = scenario.actors[0]
    return Shrunk(replace(scenario, actors=(replace(actor, steps=actor.steps[:1]),)), outcome, played=2)


def kills(
    directory: Path,
    seed: int,
    *,
    fidelity: Fidelity = "light",
    scenario: Scenario | None = None,
    keeps_log: bool = False,
) -> Outcome:
    """Kill this process, as the kernel does when memory runs out: always for seed 12, and once for seed 20.

    Otherwise, return the outcome of `play`. A file in `directory` records that seed 20 has killed a process.
    """
    once = directory / "seed 20 has killed"
    if seed == 12 or (seed == 20 and not once.exists()):
        once.touch() if seed == 20 else None
        os.kill(os.getpid(), signal.SIGKILL)
    return play(seed, fidelity=fidelity, scenario=scenario, keeps_log=keeps_log)


def hangs(
    seed: int, *, fidelity: Fidelity = "light", scenario: Scenario | None = None, keeps_log: bool = False
) -> Outcome:
    """Block forever for seeds of 20 and above. For smaller seeds, return the outcome of `play`."""
    if seed >= 20:
        threading.Event().wait()
    return play(seed, fidelity=fidelity, scenario=scenario, keeps_log=keeps_log)


def raises(
    seed: int, *, fidelity: Fidelity = "light", scenario: Scenario | None = None, keeps_log: bool = False
) -> Outcome:
    """Raise `LookupError` for seed 4, as a bug in the explorer might. For other seeds, return the outcome of `play`."""
    if seed == 4:
        raise LookupError(f"raised by the test for seed {seed}")
    return play(seed, fidelity=fidelity, scenario=scenario, keeps_log=keeps_log)


class _Unloadable:
    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _refuse, ()

    def __call__(
        self, seed: int, *, fidelity: Fidelity = "light", scenario: Scenario | None = None, keeps_log: bool = False
    ) -> Outcome:
        raise AssertionError("expected unpickling to fail, but the object was unpickled and called")


def _refuse() -> None:
    raise ImportError("raised by the test: this process cannot import the module")


unloadable = _Unloadable()
"""A stub of `play` that can be pickled, but whose unpickling raises `ImportError`."""
