"""Tests of how runs in the simulated world end: their result, their error, and what they leave open."""

import asyncio
import gc
import time
import weakref

import pytest

from odyssey_client import Odyssey, OdysseyAuthError
from odyssey_mock.sim.loop import EndlessError, SimulationDeadlockError
from odyssey_mock.sim.platform import EPOCH
from odyssey_mock.sim.run import opened, run
from odyssey_mock.sim.sandbox import SandboxError
from odyssey_mock.sim.world import CLIENT, World
from tests.mock.sim.test_world import life_cycle
from tests.support.forks import run_python
from tests.support.simulated_worlds import HOST, complete, of, play, play_nothing, wait

COUNT_FROZEN = """
import gc
from odyssey_mock.sim.run import opened, run

async def nothing(world):
    pass

gc.unfreeze()  # this process is a fork
run(1, nothing)
after_run = gc.get_freeze_count()
with opened(1), opened(2):
    pass
print(after_run, gc.get_freeze_count())
"""


async def nothing(_: World) -> None:
    """Do nothing in the world."""


def test_successful_run_has_a_result_and_no_leftovers() -> None:
    async def scenario(world: World) -> str:
        await wait(100)
        return "done"

    went = run(5, scenario)
    assert (went.seed, went.result, went.error, went.left) == (5, "done", None, ())
    assert went.seconds == pytest.approx(100, abs=1)
    assert went.run_hash == run(5, scenario).run_hash
    assert run(5, scenario, keeps_log=False).run_hash == ""


def test_exception_of_the_program_is_the_runs_error() -> None:
    async def scenario(world: World) -> None:
        await wait(1)
        raise ZeroDivisionError("raised by the scenario")

    went = run(1, scenario)
    assert isinstance(went.error, ZeroDivisionError)
    assert went.result is None
    assert went.left == (), f"expected the run to leave nothing open after the exception, got {went.left}"


def test_endless_run_is_stopped() -> None:
    async def scenario(world: World) -> None:
        while True:
            await wait(3600)

    went = run(1, scenario, seconds=86_400)
    assert isinstance(went.error, EndlessError)
    assert went.seconds == pytest.approx(86_400, abs=3601)


def test_failure_of_an_unawaited_task_fails_the_run() -> None:
    async def fail() -> None:
        raise ZeroDivisionError("raised by a task of the scenario")

    async def scenario(world: World) -> str:
        tasks = [asyncio.ensure_future(fail())]
        await wait(1)
        return f"done with {len(tasks)}"

    went = run(1, scenario)
    assert isinstance(went.error, ZeroDivisionError)
    assert went.result is None


def test_program_without_a_wake_up_is_a_deadlock() -> None:
    async def scenario(world: World) -> None:
        await asyncio.get_running_loop().create_future()

    went = run(1, scenario)
    assert isinstance(went.error, SimulationDeadlockError)
    assert went.left == ()


def test_cancelled_program_is_an_error() -> None:
    async def scenario(world: World) -> None:
        task = asyncio.ensure_future(wait(10))
        await wait(1)
        task.cancel()
        await task

    went = run(1, scenario)
    assert isinstance(went.error, RuntimeError)
    assert isinstance(went.error.__cause__, asyncio.CancelledError)


def test_blocking_call_fails_the_run() -> None:
    async def scenario(world: World) -> None:
        time.sleep(1)  # noqa: TID251, ASYNC251 - must be blocked

    went = run(1, scenario)
    assert isinstance(went.error, SandboxError)
    assert "time.sleep(1)" in str(went.error)


def test_run_reports_leftover_tasks_and_sockets() -> None:
    async def forget(seconds: float) -> None:
        await wait(seconds)

    async def scenario(world: World) -> None:
        world.wire.host(HOST)
        loop = asyncio.get_running_loop()
        # Keep the streams: since Python 3.13, a writer closes its connection when it is garbage-collected.
        await world.spawn(HOST, of(asyncio.start_server(lambda *ends: kept.append(ends), "0.0.0.0", 80)))
        kept.append(await world.spawn(CLIENT, of(asyncio.open_connection(HOST, 80))))
        await world.spawn(CLIENT, of(loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("0.0.0.0", 9))))
        kept.append(asyncio.ensure_future(forget(1000)))

    kept: list[object] = []
    left = run(1, scenario).left
    assert "forget" in left[0]
    (port,) = [end.rpartition(" ")[2] for end in left if end.startswith(f"{CLIENT}: TCP")]
    assert left[1:] == (
        f"{CLIENT}: TCP port {port}",
        f"{CLIENT}: UDP port 9",
        f"{HOST}: TCP port 80",
        f"{HOST}: listens on TCP port 80",
    )


def test_invalid_server_settings_fail_the_run() -> None:
    async def scenario(world: World) -> None:
        raise AssertionError("expected the run to fail before the scenario starts, but the scenario has started")

    went = run(1, scenario, settings={"fps": "many"})
    assert went.error is not None
    assert "fps" in str(went.error)


def test_nested_run_is_an_error() -> None:
    async def inner(world: World) -> None:
        await wait(1)

    async def outer(world: World) -> None:
        with pytest.raises((SandboxError, RuntimeError)):
            run(2, inner)
        await wait(1)

    play_nothing(outer)


def test_client_made_in_a_run_uses_its_world() -> None:
    async def scenario(world: World) -> bool:
        client = Odyssey(world.mock.api_key, api_url=world.mock.url)
        with pytest.raises(OdysseyAuthError):
            await Odyssey("ody_invalid_key", api_url=world.mock.url).connect()
        await client.connect()
        await client.disconnect()
        return True

    assert play(scenario)


def test_opened_world_advances_only_in_steps() -> None:
    with opened(1) as world:
        client = world.client()
        world.step(client.connect())
        assert client.is_connected
        assert abs(time.time() - EPOCH) > 1000  # noqa: TID251 - the machine's clock
        world.step(wait(100))
        assert world.now() >= 100
        world.step(client.disconnect())
    assert world.loop.is_closed()


def test_world_continues_after_a_failed_step() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def leave() -> None:
        tasks.append(asyncio.ensure_future(fail()))
        await wait(1)

    tasks: list[asyncio.Future[None]] = []
    with opened(1) as world:
        for work in (fail, leave):
            with pytest.raises(ZeroDivisionError):
                world.step(work())
        world.step(wait(1))


def test_step_that_cannot_end_is_an_error() -> None:
    async def for_ever() -> None:
        try:
            while True:
                await wait(1)
        finally:
            ended.append(world.now())

    async def never() -> None:
        await asyncio.Event().wait()

    ended: list[float] = []
    with opened(1) as world:
        began = world.now()
        with pytest.raises(EndlessError):
            world.step(for_ever(), seconds=50)
        assert ended == [pytest.approx(began + 51)]
        with pytest.raises(SimulationDeadlockError):
            world.step(never())
        world.step(wait(1))


def test_run_is_possible_between_steps() -> None:
    with opened(1) as world:
        world.step(wait(5))
        assert complete(life_cycle, seed=7).result == complete(life_cycle, seed=7).result
        world.step(wait(5))
        assert world.now() >= 10


def test_objects_that_the_process_froze_stay_frozen() -> None:
    gc.freeze()
    run(1, nothing)
    assert gc.get_freeze_count() > 0


def test_next_run_frees_the_last_world() -> None:
    worlds: list[weakref.ref[World]] = []

    async def scenario(world: World) -> None:
        worlds.append(weakref.ref(world))

    gc.freeze()
    run(1, scenario)
    run(2, scenario)
    assert worlds[0]() is None


def test_run_leaves_nothing_frozen() -> None:
    counted = run_python("-c", COUNT_FROZEN, limit_s=60)
    assert (counted.stdout, counted.stderr) == ("0 0\n", "")
