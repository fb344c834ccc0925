"""An ordinary async test, run in the simulated world: once for each seed, in virtual time.

The plugin (`plugin.py`) loads this only for tests that ask for it.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, get_args

import pytest

from odyssey_client.config import API_KEY_VARIABLE, API_URL_VARIABLE
from odyssey_mock.core.journal import Entry
from odyssey_mock.faults.fault import Fault, FaultError
from odyssey_mock.settings import SETTING_NAMES, Settings, SettingsError, UnknownSettingError
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.loop import EndlessError
from odyssey_mock.sim.run import run
from odyssey_mock.sim.world import GIVE_UP, SERVER, World
from odyssey_mock.testing.chaos import Chaos, ChaosError, apply_chaos, check_chaos, draw_network
from odyssey_mock.testing.trace_report import trace_report

SEEDS = 50
"""How many there are where nobody says."""
TIMEOUT = 600.0
"""Virtual seconds that a test may take where nobody says."""

WORLD_ARGUMENT = "odyssey_sim"
"""The argument that a test gets its `World` by."""

type Test = Callable[..., Coroutine[Any, Any, object]]
"""A test function; it is called by name with what it asks for."""

NOT_YOURS: Mapping[str, str] = MappingProxyType(
    {
        "clock": "time is virtual already: it passes by itself while everybody waits",
        "speed": "time is virtual already: it passes by itself while everybody waits",
        "seed": "seeds=N says how many there are, from 0, and `pytest --odyssey-seed=N` runs one alone",
        "host": "the mock has a machine of its own",
        "port": "the mock has a machine of its own",
        "loopback_only": "the mock has a machine of its own",
    }
)
"""Settings of the mock that a simulated test cannot choose, and why."""

_OWN = ("seeds", "depth", "weather", "timeout")
"""What is no setting of the mock."""


class PlanError(ValueError):
    """`@pytest.mark.odyssey_sim` was given something that it cannot be."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a test is to be run.

    Attributes:
        seeds: in this order; the first that fails is the last.
        fidelity: with real WebRTC or with peers without pixels.
        chaos: what may befall it.
        timeout: virtual seconds for each seed.
        settings: of the mock.
    """

    seeds: range = range(SEEDS)
    fidelity: Fidelity = "light"
    chaos: Chaos = False
    timeout: float = TIMEOUT
    settings: Mapping[str, Any] = field(default_factory=dict)  # Any: each is checked against its own setting

    @classmethod
    def of(cls, marked: Mapping[str, Any], *, seeds: int | None, seed: int | None) -> Plan:
        """Make the plan of a test.

        Args:
            marked: what its markers say, by name.
            seeds: how many, whatever the marker says; None for what it says.
            seed: the only one; None for all.

        Raises:
            PlanError: something cannot be.
        """
        settings = dict(marked)
        count = settings.pop("seeds", SEEDS)
        if seeds is not None:
            count = seeds
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise PlanError(f"expected seeds to be a whole number above 0, got {count!r}")
        plan = cls(
            seeds=range(count) if seed is None else range(seed, seed + 1),
            fidelity=settings.pop("depth", "light"),
            chaos=settings.pop("weather", False),
            timeout=settings.pop("timeout", TIMEOUT),
            settings=settings,
        )
        plan._check()
        return plan

    def _check(self) -> None:
        if self.fidelity not in get_args(Fidelity.__value__):
            raise PlanError(f"expected depth to be 'light' or 'full', got {self.fidelity!r}")
        if not _is_above_zero(self.timeout):
            raise PlanError(f"expected timeout to be virtual seconds above 0, got {self.timeout!r}")
        for name in self.settings:
            if name in NOT_YOURS:
                raise PlanError(f"{name} cannot be chosen in a simulated world: {NOT_YOURS[name]}")
        try:
            check_chaos(self.chaos)
            for fault in Settings().replace(**self.settings).faults:
                Fault.of(fault)
        except UnknownSettingError as error:
            unknown = [name for name in self.settings if name not in SETTING_NAMES]
            near = [own for name in unknown for own in get_close_matches(name, _OWN, 1)]
            raise PlanError(f"did you mean {near[0]!r}? {error}" if near else str(error)) from None
        except (ChaosError, SettingsError, FaultError) as error:
            raise PlanError(str(error)) from None


class NotYet:
    """What other fixtures get for `odyssey_sim`: there is no world before the test begins, and one for each seed."""

    def __getattr__(self, name: str) -> object:
        raise AttributeError(
            f"odyssey_sim.{name} is there only within the test, which has a world of its own for each seed; "
            "fixtures are made once, before the first. Do it in the test, or in a function that it calls."
        )


@dataclass(slots=True)
class Failure:
    """A seed on which the test failed.

    Attributes:
        error: what it raised.
        replay: the command that does it again.
        trace_report: what passed, for people.
    """

    seed: int
    error: BaseException
    replay: str
    trace_report: str


def play(test: Test, arguments: Mapping[str, object], plan: Plan, node: str) -> Failure | None:
    """Run the test for one seed after the other, up to the first that fails, and tell of that.

    Args:
        test: a function that takes these arguments.
        arguments: by name; the world of each seed is put in place of `odyssey_sim`.
        plan: how.
        node: which test it is, as pytest is told on a command line.
    """
    for seed in plan.seeds:
        failure = _play_one(test, arguments, plan, seed, node)
        if failure is not None:
            return failure
    return None


def _play_one(test: Test, arguments: Mapping[str, object], plan: Plan, seed: int, node: str) -> Failure | None:
    run_of = _RunOf(test, arguments, plan)
    ended = run(seed, run_of, fidelity=plan.fidelity, settings=plan.settings, keeps_trace=False)
    error = run_of.error or ended.error
    if isinstance(error, asyncio.CancelledError) and ended.error is not None:
        error = ended.error  # what has ended the run, and cancelled the test
    if error is None:
        return None
    if ended.error is not None and ended.error is not error:
        error.add_note(f"besides, in the background: {ended.error!r}")
    replay = f"pytest {shlex.quote(node)} --odyssey-seed={seed}"
    heading = f"seed {seed}, after {ended.seconds:.6g} s of virtual time; to see it again: {replay}"
    return Failure(seed, error, replay, f"{heading}\n{trace_report(run_of.entries())}")


class _RunOf:
    """A test as the program of a simulated run.

    Attributes:
        error: what the test raised, also what is no `Exception`, such as the outcomes of pytest.
    """

    def __init__(self, test: Test, arguments: Mapping[str, object], plan: Plan) -> None:
        self.error: BaseException | None = None
        self._test = test
        self._arguments = dict(arguments)
        self._plan = plan
        self._world: World | None = None

    def entries(self) -> Sequence[Entry]:
        """What passed, as the server saw it."""
        return self._world.mock.journal.entries if self._world is not None else ()

    async def __call__(self, world: World) -> None:
        self._world = world
        if WORLD_ARGUMENT in self._arguments:
            self._arguments[WORLD_ARGUMENT] = world
        # For a test that does not end when it is told to.
        world.loop.allow(self._plan.timeout + GIVE_UP)
        draw_network(world, self._plan.chaos)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(API_URL_VARIABLE, world.mock.url)
            patch.setenv(API_KEY_VARIABLE, world.mock.api_key)
            chaos = world.spawn(SERVER, apply_chaos(world, self._plan.chaos))
            try:
                await self._in_time()
            except (KeyboardInterrupt, SystemExit, GeneratorExit):
                raise
            except BaseException as error:  # whatever a test raises; pytest's own are no `Exception`
                self.error = error
            await _end(chaos)
            await self._tidy(world)

    async def _in_time(self) -> None:
        try:
            async with asyncio.timeout(self._plan.timeout) as limit:
                await self._test(**self._arguments)
        except TimeoutError as error:
            if not limit.expired():
                raise
            stuck = error.__cause__
            raise EndlessError(
                f"expected the test to end within {self._plan.timeout:g} s of virtual time, and it still waits. "
                "If it is to take longer: @pytest.mark.odyssey_sim(timeout=SECONDS)."
            ).with_traceback(None if stuck is None else stuck.__traceback__) from None

    async def _tidy(self, world: World) -> None:
        """Cancel the tasks that the test has left, as the end of an event loop does."""
        left = [
            task
            for host in world.wire.hosts()
            if host != SERVER
            for task in world.wire.tasks(host)
            if task is not asyncio.current_task()
        ]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=GIVE_UP)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _is_above_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
