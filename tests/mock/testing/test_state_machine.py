"""Tests of `OdysseyMachine`, of subclasses with own rules, and of the simulated world that advances in steps."""

import asyncio
import os
import random  # noqa: TID251 - the test checks that it is unchanged
import re
import time
from typing import override

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from odyssey_client import ConnectionStatus, Odyssey, OdysseyError
from odyssey_mock.sim.loop import EndlessError
from odyssey_mock.sim.run import opened
from odyssey_mock.sim.sandbox import SandboxError
from odyssey_mock.sim.world import World
from odyssey_mock.testing.state_machine import JOB_RULES, RULES, STREAM_RULES, OdysseyMachine

MODEST = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)

SHRUNK = settings(MODEST, max_examples=100, phases=[Phase.generate, Phase.shrink])
UNSHRUNK = settings(MODEST, phases=[Phase.generate])


class AsItIs(OdysseyMachine):
    """`OdysseyMachine` with its built-in rules only."""


TestAsItIs = AsItIs.TestCase
TestAsItIs.settings = MODEST


class Counting:
    """A user's application with a bug: it counts prompts as applied even if they were not applied."""

    def __init__(self) -> None:
        self.client = Odyssey()
        self.applied = 0

    async def open(self) -> None:
        await self.client.connect()
        await self.client.start_stream("A harbour")

    async def direct(self, prompt: str) -> None:
        self.applied += 1
        await self.client.interact(prompt)


class Counted(OdysseyMachine):
    """A user's subclass of `OdysseyMachine`, which tests `Counting`.

    It has one rule of its own, which sends a prompt through the application. It keeps only the built-in rules that
    disturb the network or let time pass.
    """

    without = STREAM_RULES | JOB_RULES | {"inject_fault", "jump_clock"}

    @override
    def begin(self) -> None:
        self.application = Counting()
        self.acknowledged = 0
        self.run(self.application.open())

    @rule()
    def direct(self) -> None:
        answer = self.attempt(self.application.direct("It begins to snow"))
        self.acknowledged += not isinstance(answer, OdysseyError)

    @invariant()
    def what_is_counted_was_applied(self) -> None:
        assert self.application.applied == self.acknowledged, (
            f"expected the application to count {self.acknowledged} applied prompts, got {self.application.applied}"
        )

    @override
    def end(self) -> None:
        self.run(self.application.client.disconnect())


def found() -> str:
    """Run Hypothesis until it finds the bug in `Counting`; return the notes of the `AssertionError`, one per line."""
    with pytest.raises(AssertionError, match=r"to count \d+ applied prompts, got \d+") as caught:
        run_state_machine_as_test(
            Counted, settings=settings(MODEST, max_examples=100, phases=[Phase.generate, Phase.shrink])
        )
    return "\n".join(getattr(caught.value, "__notes__", []))


def test_bug_is_found_shrunk_and_reproduced() -> None:
    story = found()
    rules = [
        line.strip() for line in story.splitlines() if re.match(r"\s*state\.(?!.*_by_the_rules|what_is|_begin)", line)
    ]
    # The steps are: cut a connection, perhaps wait, interact, tear down.
    assert len(rules) <= 4, f"expected at most 4 steps after shrinking, got {len(rules)}:\n{story}"
    assert rules[-2:] == ["state.direct()", "state.teardown()"]
    assert any(name in rules[0] for name in ("drop_connections", "cut_off")), (
        f"expected drop_connections or cut_off as the first step, got {rules[0]}:\n{story}"
    )
    assert found() == story


class Broken(OdysseyMachine):
    without = RULES - {"connect", "disconnect"}

    @rule()
    def tell_late(self) -> None:
        """Call `on_connected` after `disconnect`, to imitate a client with a bug."""
        if self.client.current_status is ConnectionStatus.DISCONNECTED and self._watcher._connections:
            self._watcher._connections[-1].handlers().on_connected()  # type: ignore[misc]  # the handler is set


def test_illegal_handler_call_is_found() -> None:
    with pytest.raises(AssertionError, match=r"after disconnect\(\) had returned, got on_connected"):
        run_state_machine_as_test(Broken, settings=UNSHRUNK)


class Untidy(OdysseyMachine):
    without = RULES

    @rule()
    def leave_a_task(self) -> None:
        self.at_once(lambda: self.world.spawn("client", asyncio.Event().wait()))


def test_task_left_at_end_is_found() -> None:
    with pytest.raises(
        AssertionError, match="expected no open tasks, connections or sessions at the end, got the task"
    ):
        run_state_machine_as_test(Untidy, settings=UNSHRUNK)


def test_unknown_rule_name_is_rejected() -> None:
    with pytest.raises(ValueError, match="unknown built-in rule 'conect'"):
        type("Mistaken", (OdysseyMachine,), {"without": {"conect"}})
    assert {name for name in RULES if callable(getattr(OdysseyMachine, name))} == RULES


def test_world_advances_only_in_steps() -> None:
    random.seed(7)
    expected = [random.Random(7).random(), time.sleep]  # noqa: TID251 - compared, not called
    with opened(1) as world:
        client = world.client()
        world.step(client.list_simulations())
        before = world.now()
        assert [random.random(), time.sleep] == expected  # noqa: TID251 - as above
        assert world.now() == before
        world.step(world.platform().clock.sleep(100.0))
        assert world.now() == before + 100.0
        world.step(client.disconnect())
    assert world.wire.open_ends == []


def test_step_ends_or_reports_why_not() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async def busy() -> None:
        while True:
            await world.platform().clock.sleep(0)

    async def fail() -> None:
        raise ValueError("raised by a background task")

    async def begin() -> None:
        world.spawn("client", fail())
        await world.platform().clock.sleep(1.0)

    async def block() -> None:
        os.system("true")  # noqa: ASYNC221 - the test checks that it is rejected

    with opened(1) as world:
        world.step(ticking(world))
        with pytest.raises(EndlessError, match="by second 30 of virtual time"):
            world.step(never(), seconds=30.0)
        with pytest.raises(EndlessError, match=r"no virtual time passed.*in busy"):
            world.step(busy())
        with pytest.raises(ValueError, match="raised by a background task"):
            world.step(begin())
        with pytest.raises(SandboxError, match=r"os\.system"):
            world.step(block())
        assert world.step(world.client().list_simulations()).jobs == ()


async def ticking(world: World) -> None:
    """Start an endless task that sleeps again and again, like the background task of a connection."""

    async def tick() -> None:
        while True:
            await world.platform().clock.sleep(10.0)

    world.spawn("client", tick())
