"""Runs an ordinary async test in the simulated world: once for each seed, in virtual time.

The plugin (`plugin.py`) imports this module only for simulated tests.
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
from odyssey_client.trace.described import error_text
from odyssey_mock.core.journal import Entry
from odyssey_mock.faults.fault import Fault, FaultError
from odyssey_mock.setting_rules import SettingsError
from odyssey_mock.settings import SETTING_NAMES, Settings, UnknownSettingError
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.loop import EndlessError
from odyssey_mock.sim.run import Run, run
from odyssey_mock.sim.world import GIVE_UP, SERVER, World
from odyssey_mock.testing.chaos import Chaos, ChaosError, apply_chaos, check_chaos, draw_network
from odyssey_mock.testing.seed_report import seed_report
from odyssey_mock.testing.stash import FAILED, SeedRecording
from odyssey_mock.trace.server_trace import ServerTrace
from odyssey_mock.trace.simulated_trace import recorded_world

SEEDS = 50
"""Default number of seeds."""
TIMEOUT = 600.0
"""Default limit for one seed, in virtual seconds."""

WORLD_ARGUMENT = "odyssey_sim"
"""Name of the argument in which a test receives its `World`."""

type Test = Callable[..., Coroutine[Any, Any, object]]
"""A test function; it is called with keyword arguments."""

NOT_YOURS: Mapping[str, str] = MappingProxyType(
    {
        "clock": "time is virtual and advances by itself while all tasks wait",
        "speed": "time is virtual and advances by itself while all tasks wait",
        "seed": "use seeds=N to run the seeds from 0 to N - 1, or `pytest --odyssey-seed=N` to run a single one",
        "host": "the mock runs on its own simulated host",
        "port": "the mock runs on its own simulated host",
        "public_url": "the clients reach the mock on its own simulated host",
        "trusted_proxies": "the simulated network has no proxies",
        "tls": "the simulated network has no TLS",
        "tls_dir": "the simulated network has no TLS",
        "tls_cert": "the simulated network has no TLS",
        "tls_key": "the simulated network has no TLS",
        "loopback_only": "the mock runs on its own simulated host",
        "udp_ports": "the mock runs on its own simulated host",
        "udp_addresses": "the mock runs on its own simulated host",
        "ice_servers": "the simulated network has no ICE servers",
        "control_hosts": "a simulated test controls the mock in Python",
        "control_token": "a simulated test controls the mock in Python",
        "state_dir": "each seed begins with an empty state, and nothing is written",
        "fonts": "a seed gives the same frames on every machine, so only the bundled font is used",
    }
)
"""Settings of the mock that a simulated test cannot change, and why."""

_OWN = ("seeds", "depth", "weather", "timeout")
"""Keywords of the marker that are not settings of the mock."""


class PlanError(ValueError):
    """A keyword of `@pytest.mark.odyssey_sim` is invalid."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run a simulated test.

    Attributes:
        seeds: the seeds, in the order of their runs; the first failure ends the test.
        fidelity: `full` (real WebRTC) or `light` (peers without pixels).
        chaos: the chaos of the network and the clocks.
        timeout: the limit for each seed, in virtual seconds.
        settings: settings of the mock.
    """

    seeds: range = range(SEEDS)
    fidelity: Fidelity = "light"
    chaos: Chaos = False
    timeout: float = TIMEOUT
    settings: Mapping[str, Any] = field(default_factory=dict)  # Any: settings have different types

    @classmethod
    def of(cls, marked: Mapping[str, Any], *, seeds: int | None, seed: int | None) -> Plan:
        """Create the plan of a test from its markers and the command-line options.

        Args:
            marked: the keyword arguments of the markers.
            seeds: the number of seeds from the command line; if None, the markers determine the number.
            seed: the only seed to run; if None, all seeds are run.

        Raises:
            PlanError: a keyword is invalid.
        """
        settings = dict(marked)
        count = settings.pop("seeds", SEEDS)
        if seeds is not None:
            count = seeds
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise PlanError(f"seeds must be a whole number above 0, got {count!r}")
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
            raise PlanError(f"depth must be 'light' or 'full', got {self.fidelity!r}")
        if not _is_above_zero(self.timeout):
            raise PlanError(f"timeout must be a number of virtual seconds above 0, got {self.timeout!r}")
        for name in self.settings:
            if name in NOT_YOURS:
                raise PlanError(f"{name} cannot be set in a simulated test: {NOT_YOURS[name]}")
        try:
            check_chaos(self.chaos)
            for fault in Settings().replace(**self.settings).faults:
                Fault.of(fault)
        except UnknownSettingError as error:
            unknown = [name for name in self.settings if name not in SETTING_NAMES]
            near = [own for name in unknown for own in get_close_matches(name, _OWN, 1)]
            raise PlanError(
                f"unknown setting {unknown[0]!r}; did you mean {near[0]!r}?" if near else str(error)
            ) from None
        except (ChaosError, SettingsError, FaultError) as error:
            raise PlanError(str(error)) from None


class NotYet:
    """Placeholder that fixtures receive as `odyssey_sim`, because a `World` exists only while the test runs."""

    def __getattr__(self, name: str) -> object:
        raise AttributeError(
            f"odyssey_sim.{name} is available only inside the test: every seed has its own world, but fixtures run "
            "once, before the first seed. Use it in the test, or in a function that the test calls."
        )


@dataclass(slots=True)
class Failure:
    """The failure of a test with one seed.

    Attributes:
        seed: the seed with which the test failed.
        error: the exception that the test raised.
        replay: the pytest command that reproduces the failure.
        seed_report: the seed, the command, and the server's journal as a sequence diagram.
    """

    seed: int
    error: BaseException
    replay: str
    seed_report: str


@dataclass(frozen=True, slots=True)
class Played:
    """The outcome of a test.

    Attributes:
        failure: the first failure; None if the test passed with all seeds.
        recording: what was recorded with the failing seed, or with the last one; None if nothing was to be recorded.
    """

    failure: Failure | None
    recording: SeedRecording | None


def play(test: Test, arguments: Mapping[str, object], plan: Plan, node: str, *, records: bool = False) -> Played:
    """Run a test with one seed after the other, until the first failure.

    Args:
        test: the test function.
        arguments: its arguments by name; each seed's world replaces `odyssey_sim`.
        plan: how to run the test.
        node: the id of the test on the pytest command line.
        records: whether to record what clients and mock do, for a trace.
    """
    played = Played(None, None)
    for seed in plan.seeds:
        played = _play_one(test, arguments, plan, seed, node, records=records)
        if played.failure is not None:
            break
    return played


def _play_one(
    test: Test, arguments: Mapping[str, object], plan: Plan, seed: int, node: str, *, records: bool
) -> Played:
    run_of = _RunOf(test, arguments, plan, records=records)
    ended = run(seed, run_of, fidelity=plan.fidelity, settings=plan.settings, keeps_log=False)
    return Played(_failure(run_of, ended, seed, node), run_of.recording(seed))


def _failure(run_of: _RunOf, ended: Run[None], seed: int, node: str) -> Failure | None:
    error = run_of.error or ended.error
    if isinstance(error, asyncio.CancelledError) and ended.error is not None:
        error = ended.error  # this error ended the run, which cancelled the test
    if error is None:
        return None
    if ended.error is not None and ended.error is not error:
        error.add_note(f"in addition, a background task failed: {ended.error!r}")
    replay = f"pytest {shlex.quote(node)} --odyssey-seed={seed}"
    heading = f"seed {seed}, after {ended.seconds:.6g} s of virtual time; to reproduce: {replay}"
    return Failure(seed, error, replay, f"{heading}\n{seed_report(run_of.entries())}")


class _RunOf:
    """A callable that runs one test in the simulated `World` that it receives.

    Attributes:
        error: the exception that the test raised, or an outcome of pytest, such as a skip; None if the test passed.
    """

    def __init__(self, test: Test, arguments: Mapping[str, object], plan: Plan, *, records: bool) -> None:
        self.error: BaseException | None = None
        self._records = records
        self._trace: ServerTrace | None = None
        self._test = test
        self._arguments = dict(arguments)
        self._plan = plan
        self._world: World | None = None

    def entries(self) -> Sequence[Entry]:
        """Return the entries of the server's journal; none if the run has not begun."""
        return self._world.mock.journal.entries if self._world is not None else ()

    def recording(self, seed: int) -> SeedRecording | None:
        """Return what was recorded; None if nothing was."""
        if self._world is None or self._trace is None:
            return None
        return SeedRecording(seed, self._trace.recording(), self._trace.secrets)

    async def __call__(self, world: World) -> None:
        self._world = world
        if not self._records:
            await self._play(world)
            return
        async with recorded_world(world) as self._trace:
            await self._play(world)

    async def _play(self, world: World) -> None:
        if WORLD_ARGUMENT in self._arguments:
            self._arguments[WORLD_ARGUMENT] = world
        # The limit of the loop ends a test that does not react to its cancellation.
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
            except BaseException as error:  # pytest's outcomes, such as skipping, are not an `Exception`
                self.error = error
                self._record_failure(error)
            await _end(chaos)
            await self._tidy(world)

    def _record_failure(self, error: BaseException) -> None:
        if self._trace is not None:
            self._trace.recorder.add("test", FAILED, side="test", error=error_text(error))

    async def _in_time(self) -> None:
        try:
            async with asyncio.timeout(self._plan.timeout) as limit:
                await self._test(**self._arguments)
        except TimeoutError as error:
            if not limit.expired():
                raise
            stuck = error.__cause__
            raise EndlessError(
                f"expected the test to end within {self._plan.timeout:g} s of virtual time, but it is still waiting. "
                "To allow more time: @pytest.mark.odyssey_sim(timeout=SECONDS)."
            ).with_traceback(None if stuck is None else stuck.__traceback__) from None

    async def _tidy(self, world: World) -> None:
        """Cancel the tasks that the test left running, as `asyncio.run` does."""
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
