"""A Hypothesis state machine of one user of Odyssey in a simulated world, for others to extend.

It needs the extra `sim`, which brings Hypothesis.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack, nullcontext, suppress
from types import MappingProxyType
from typing import Any, ClassVar, override
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from odyssey_client import ConnectionStatus, Odyssey, OdysseyError, Script
from odyssey_client.config import API_KEY_VARIABLE, API_URL_VARIABLE
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.run import opened
from odyssey_mock.sim.world import CLIENT, SERVER, World
from odyssey_mock.testing.callback_watcher import CallbackWatcher
from odyssey_mock.testing.chaos import reset
from odyssey_mock.testing.strategies import clock_jumps, faults, prompts, scripts

STREAM_RULES = frozenset({"connect", "start_stream", "interact", "end_stream", "disconnect"})
"""Rules that use the client for live streams."""
JOB_RULES = frozenset({"simulate", "poll_simulation", "cancel_simulation"})
"""Rules that use it for simulations."""
TROUBLE_RULES = frozenset({"inject_fault", "drop_connections", "cut_off", "heal", "jump_clock"})
"""Rules that make something go wrong, and right again."""
RULES = STREAM_RULES | JOB_RULES | TROUBLE_RULES | {"pass_time"}
"""All that are built in."""

LIMIT = 600.0
"""Virtual seconds that one step may take: far more than any limit of the client."""

ECHOES = 60.0
"""Virtual seconds after which nothing more may come of what was ended."""

_WAIT = st.sampled_from([True, True, True, False])
_OVER = frozenset({ConnectionStatus.DISCONNECTED, ConnectionStatus.FAILED})


def _can(name: str, when: Callable[[Any], bool] = lambda _: True) -> Callable[[Any], Any]:
    """Let a built-in rule be taken unless it is switched off."""  # Any: as Hypothesis' decorators have it
    return precondition(lambda machine: name not in machine.without and bool(when(machine)))


def _is_open(machine: OdysseyMachine) -> bool:
    return machine.client.current_status not in _OVER


def _may_stream(machine: OdysseyMachine) -> bool:
    """Whether a stream was started, as far as the rules can tell: mostly interact and end have something to do."""
    return _is_open(machine) and machine._streams  # noqa: SLF001 - its own rule asks


class OdysseyMachine(RuleBasedStateMachine):
    """One client, one server and the network between them, in virtual time, which passes only while a rule runs.

    Take it as it is, or extend it by rules and invariants for software of your own::

        class MyMachine(OdysseyMachine):
            without = STREAM_RULES  # my application connects and streams by itself

            @override
            def begin(self):
                self.app = MyApplication()  # its `Odyssey()` is in the simulated world

            @rule(prompt=prompts())
            def direct(self, prompt):
                self.run(self.app.direct(prompt))

            @invariant()
            def nothing_is_shown_twice(self):
                assert len(set(self.app.shown)) == len(self.app.shown)

            @override
            def end(self):
                self.run(self.app.close())

        TestMyMachine = MyMachine.TestCase

    Shrinking a failure is ten times as fast without Hypothesis' phase `explain`, which traces every line that runs:
    `TestMyMachine.settings = settings(deadline=None, phases=[Phase.reuse, Phase.generate, Phase.shrink])`.

    Attributes:
        without: built-in rules that are not wanted, names of `RULES`.
        depth: with real WebRTC or with peers without pixels.
        settings: of the mock.
        seed: of what Hypothesis does not draw, such as ids and the delays of the network.
        world: the simulated world; between the steps it stands still.
        client: what the built-in rules use.
        jobs: the ids of the simulations that the built-in rules have submitted.
        under_way: calls that a rule began and did not wait for.
    """

    without: ClassVar[Iterable[str]] = frozenset()
    depth: ClassVar[Fidelity] = "light"
    settings: ClassVar[Mapping[str, object]] = MappingProxyType({"fps": 4})
    seed: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if unknown := sorted(set(cls.without) - RULES):
            raise ValueError(f"there is no built-in rule {unknown[0]!r} to be without; known are {sorted(RULES)}")

    def __init__(self) -> None:
        super().__init__()
        with ExitStack() as stack:
            self.world: World = stack.enter_context(opened(self.seed, fidelity=self.depth, settings=self.settings))
            self.world.wire.set_defaults(latency=(0.005, 0.03))
            where = {API_URL_VARIABLE: self.world.mock.url, API_KEY_VARIABLE: self.world.mock.api_key}
            stack.enter_context(mock.patch.dict(os.environ, where))
            self.client: Odyssey = self.world.client()
            self.under_way: list[asyncio.Task[Any]] = []
            self._watcher = CallbackWatcher()
            self._streams = False
            self.jobs: list[str] = []
            self._resources = stack.pop_all()

    # For those who extend it.

    def begin(self) -> None:
        """Make what is to be tested, once the world is there; to be overridden."""

    def end(self) -> None:
        """Close what is tested, while the world is still there; network and server are well again. To be overridden."""

    def run[T](self, work: Awaitable[T], *, seconds: float = LIMIT) -> T:
        """Let the world go on until `work` is done, and return what it gives.

        Args:
            work: what is to be awaited.
            seconds: of virtual time, at most.

        Raises:
            EndlessError: it is not done in time.
            SimulationDeadlockError: nothing is left that could end it.
            Exception: what `work` raises; else what a task of anybody did that nobody awaits.
        """
        return self.world.step(work, seconds=seconds)

    def attempt[T](self, work: Awaitable[T], *, wait: bool = True) -> T | OdysseyError | None:
        """The same for a call of the client that may fail as documented: its `OdysseyError` is returned.

        Args:
            work: the call.
            wait: whether to let the world go on until it is done; else it goes on in the steps that follow, and is
                waited for at the end of the machine, where it must be done in time.
        """
        if wait:
            return self.run(_settled(work))
        self.under_way.append(self.world.spawn(CLIENT, _settled(work)))
        return None

    def at_once[T](self, work: Callable[[], T]) -> T:
        """Call what needs the event loop, and does not wait."""
        return self.run(_called(work))

    def pass_by(self, seconds: float) -> None:
        """Let so much time pass."""
        self.run(self.world.platform(CLIENT).clock.sleep(seconds), seconds=seconds + LIMIT)

    # The rules that are built in.

    @initialize()
    def _begin(self) -> None:
        self.begin()

    @_can("connect", lambda machine: not _is_open(machine))
    @rule(wait=_WAIT)
    def connect(self, wait: bool) -> None:
        self.attempt(self.client.connect(self._watcher.open()), wait=wait)

    @_can("start_stream", _is_open)
    @rule(prompt=prompts(max_size=40), portrait=st.booleans(), wait=_WAIT)
    def start_stream(self, prompt: str, portrait: bool, wait: bool) -> None:
        started = self.attempt(self.client.start_stream(prompt, portrait=portrait), wait=wait)
        self._streams = self._streams or not isinstance(started, OdysseyError)

    @_can("interact", _may_stream)
    @rule(prompt=prompts(max_size=100, trials=["error", "slow"]), wait=_WAIT)
    def interact(self, prompt: str, wait: bool) -> None:
        self.attempt(self.client.interact(prompt), wait=wait)

    @_can("end_stream", _may_stream)
    @rule(wait=_WAIT)
    def end_stream(self, wait: bool) -> None:
        ended = self.attempt(self.client.end_stream(), wait=wait)
        self._streams = isinstance(ended, OdysseyError)

    @_can("disconnect", _is_open)
    @rule()
    def disconnect(self) -> None:
        self.run(self.client.disconnect())
        self._watcher.close()
        self._streams = False

    @_can("simulate")
    @rule(script=scripts(max_seconds=10))
    def simulate(self, script: Script) -> None:
        job = self.attempt(self.client.simulate(script=script))
        if job is not None and not isinstance(job, OdysseyError):
            self.jobs.append(job.job_id)

    @_can("poll_simulation", lambda machine: machine.jobs)
    @rule(data=st.data())
    def poll_simulation(self, data: st.DataObject) -> None:
        self.attempt(self.client.get_simulate_status(data.draw(st.sampled_from(self.jobs))))

    @_can("cancel_simulation", lambda machine: machine.jobs)
    @rule(data=st.data())
    def cancel_simulation(self, data: st.DataObject) -> None:
        self.attempt(self.client.cancel_simulation(data.draw(st.sampled_from(self.jobs))))

    @_can("pass_time")
    @rule(seconds=st.sampled_from([0.0, 0.01, 0.1, 1.0, 10.0, 60.0]) | st.floats(0, 5))
    def pass_time(self, seconds: float) -> None:
        self.pass_by(seconds)

    @_can("inject_fault")
    @rule(fault=faults(), times=st.integers(1, 3))
    def inject_fault(self, fault: dict[str, JSON], times: int) -> None:
        self.at_once(lambda: self.world.mock.faults.add({**fault, "times": times}))

    @_can("drop_connections")
    @rule()
    def drop_connections(self) -> None:
        """Break the signaling socket, and every other TCP connection."""
        self.at_once(lambda: reset(self.world))

    @_can("cut_off")
    @rule(link=st.sampled_from([(CLIENT, SERVER), (SERVER, CLIENT)]))
    def cut_off(self, link: tuple[str, str]) -> None:
        """Let nothing pass in one direction."""
        self.at_once(lambda: self.world.wire.cut(*link))

    @_can("heal")
    @rule()
    def heal(self) -> None:
        """Let everything pass again."""
        self.at_once(self.world.wire.heal)

    @_can("jump_clock")
    @rule(by=clock_jumps(largest=3600.0), host=st.sampled_from([CLIENT, SERVER]))
    def jump_clock(self, by: float, host: str) -> None:
        self.world.wall_clock(host).offset += by

    # What must hold.

    @invariant()
    def handlers_are_called_by_the_rules(self) -> None:
        """Statuses follow each other as they may; nothing is told after `disconnect`; one fatal error, if it failed."""
        self._watcher.check()

    @override
    def teardown(self) -> None:
        """Make all well again, end what was begun, and see that nothing is left."""
        # Where a rule has failed, that is to be told, and not what follows from it.
        follows = suppress(Exception) if sys.exception() is not None else nullcontext()
        with self._resources, follows:
            self.at_once(self.world.mock.faults.clear)
            self.at_once(self.world.wire.heal)
            self.end()
            self.run(self.client.disconnect())
            self._watcher.close()
            self.run(_all_settled(self.under_way))
            # Sessions that nobody has come to, or whose goodbye was lost, are let go of in time.
            limits = self.world.mock.settings
            self.pass_by(limits.dangling_session + limits.session_grace + ECHOES)
            self._watcher.check(is_settled=True)
            left = self._left()
            assert not left, f"expected nothing to be left at the end, got {'; '.join(left)}"

    def _left(self) -> list[str]:
        tasks = [f"the task {task.get_coro()!r}" for task in self.world.wire.tasks(CLIENT)]
        ends = [end for end in self.world.wire.open_ends if end.startswith(f"{CLIENT}:")]
        return [*tasks, *ends, *(f"the server's session {session}" for session in self.world.mock.sessions)]


async def _settled[T](work: Awaitable[T]) -> T | OdysseyError:
    try:
        return await work
    except OdysseyError as error:
        return error


async def _all_settled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        await task


async def _called[T](function: Callable[[], T]) -> T:
    return function()
