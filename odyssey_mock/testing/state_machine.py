"""A Hypothesis state machine of a client in a simulated world, which users can extend.

It requires the extra `sim`, which installs Hypothesis.
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
"""Rules that use the client for simulation jobs."""
TROUBLE_RULES = frozenset({"inject_fault", "drop_connections", "cut_off", "heal", "jump_clock"})
"""Rules that cause failures, and repair them."""
RULES = STREAM_RULES | JOB_RULES | TROUBLE_RULES | {"pass_time"}
"""All built-in rules."""

LIMIT = 600.0
"""Default limit of one step in virtual seconds, well above every limit of the client."""

ECHOES = 60.0
"""Virtual seconds to wait at the end, after the time limits of sessions, so that late handler calls are noticed."""

_WAIT = st.sampled_from([True, True, True, False])
_OVER = frozenset({ConnectionStatus.DISCONNECTED, ConnectionStatus.FAILED})


def _can(name: str, when: Callable[[Any], bool] = lambda _: True) -> Callable[[Any], Any]:
    """Return a decorator that enables the built-in rule `name` while `when(machine)` is true.

    A rule that the machine names in `without` is always disabled.
    """  # Any: as in Hypothesis
    return precondition(lambda machine: name not in machine.without and bool(when(machine)))


def _is_open(machine: OdysseyMachine) -> bool:
    return machine.client.current_status not in _OVER


def _may_stream(machine: OdysseyMachine) -> bool:
    """Return whether a stream is probably running; the rules call `interact` and `end_stream` only then."""
    return _is_open(machine) and machine._streams  # noqa: SLF001 - for rules of the class


class OdysseyMachine(RuleBasedStateMachine):
    """A state machine with one client, one server and a simulated network.

    Virtual time passes only while a rule runs.

    Use the class unchanged, or extend it with rules and invariants for your own software::

        class MyMachine(OdysseyMachine):
            without = STREAM_RULES  # my application connects and streams itself

            @override
            def begin(self):
                self.app = MyApplication()  # its `Odyssey()` uses the simulated network

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

    Shrinking a failure is ten times as fast without Hypothesis' phase `explain`, which traces every executed line:
    `TestMyMachine.settings = settings(deadline=None, phases=[Phase.reuse, Phase.generate, Phase.shrink])`.

    Attributes:
        without: names from `RULES` of the built-in rules to disable.
        depth: `light` replaces WebRTC by peers without pixels, `full` uses real WebRTC.
        settings: settings of the mock.
        seed: the seed of everything that Hypothesis does not draw, such as ids and network delays.
        world: the simulated world; no virtual time passes between the steps.
        client: the client that the built-in rules use.
        jobs: the ids of the simulation jobs that the built-in rules have submitted.
        under_way: tasks of client calls that a rule started without waiting for the result.
    """

    without: ClassVar[Iterable[str]] = frozenset()
    depth: ClassVar[Fidelity] = "light"
    settings: ClassVar[Mapping[str, object]] = MappingProxyType({"fps": 4})
    seed: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if unknown := sorted(set(cls.without) - RULES):
            raise ValueError(f"unknown built-in rule {unknown[0]!r} in `without`; known: {sorted(RULES)}")

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

    # For subclasses.

    def begin(self) -> None:
        """Set up the software under test. Override this method, which is called once, before the first rule."""

    def end(self) -> None:
        """Close the software under test. Override this method, which is called after all faults are removed."""

    def run[T](self, work: Awaitable[T], *, seconds: float = LIMIT) -> T:
        """Advance the world until `work` is done, and return its result.

        Args:
            work: the awaitable to run.
            seconds: limit in virtual time.

        Raises:
            EndlessError: `work` is not done within `seconds`.
            SimulationDeadlockError: no task can continue, and `work` is not done.
            Exception: `work`, or a background task that no code awaits, raised this exception.
        """
        return self.world.step(work, seconds=seconds)

    def attempt[T](self, work: Awaitable[T], *, wait: bool = True) -> T | OdysseyError | None:
        """Run a call of the client, and return its result. If it raises an `OdysseyError`, return the error.

        If `wait` is False, return None at once.

        Args:
            work: the call.
            wait: whether to advance the world until the call is done. If False, the call continues during later steps.
                At the end, the machine fails if the call is not done within `LIMIT` seconds of virtual time.
        """
        if wait:
            return self.run(_settled(work))
        self.under_way.append(self.world.spawn(CLIENT, _settled(work)))
        return None

    def at_once[T](self, work: Callable[[], T]) -> T:
        """Call a function that requires a running event loop, and return its result."""
        return self.run(_called(work))

    def pass_by(self, seconds: float) -> None:
        """Let `seconds` of virtual time pass."""
        self.run(self.world.platform(CLIENT).clock.sleep(seconds), seconds=seconds + LIMIT)

    # Built-in rules.

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
        """Break every TCP connection, including the signaling socket."""
        self.at_once(lambda: reset(self.world))

    @_can("cut_off")
    @rule(link=st.sampled_from([(CLIENT, SERVER), (SERVER, CLIENT)]))
    def cut_off(self, link: tuple[str, str]) -> None:
        """Stop all packets in one direction between the client and the server."""
        self.at_once(lambda: self.world.wire.cut(*link))

    @_can("heal")
    @rule()
    def heal(self) -> None:
        """Deliver packets between the client and the server again, in both directions."""
        self.at_once(self.world.wire.heal)

    @_can("jump_clock")
    @rule(by=clock_jumps(largest=3600.0), host=st.sampled_from([CLIENT, SERVER]))
    def jump_clock(self, by: float, host: str) -> None:
        self.world.wall_clock(host).offset += by

    # Invariants.

    @invariant()
    def handlers_are_called_by_the_rules(self) -> None:
        """Check the order of statuses and fatal errors, and that no handler is called after `disconnect` returned."""
        self._watcher.check()

    @override
    def teardown(self) -> None:
        """Remove all faults, close the software under test and the client, and check that every connection is closed.

        The tasks of the client and the sessions of the server must have ended too.
        """
        # If a rule has failed, report that failure instead of its consequences.
        follows = suppress(Exception) if sys.exception() is not None else nullcontext()
        with self._resources, follows:
            self.at_once(self.world.mock.faults.clear)
            self.at_once(self.world.wire.heal)
            self.end()
            self.run(self.client.disconnect())
            self._watcher.close()
            self.run(_all_settled(self.under_way))
            # Sessions that no client joined, or whose client vanished, end only after these limits.
            limits = self.world.mock.settings
            self.pass_by(limits.dangling_session + max(limits.session_grace, limits.stale_session) + ECHOES)
            self._watcher.check(is_settled=True)
            left = self._left()
            assert not left, f"expected no open tasks, connections or sessions at the end, got {'; '.join(left)}"

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
