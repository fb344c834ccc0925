"""Tests of the simulated world: crashes of the server's host, wall clocks and randomness."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import pytest

from odyssey_client import AdvancedConfig, Script
from odyssey_mock.core.network import ListenError
from odyssey_mock.sim.platform import EPOCH
from odyssey_mock.sim.world import CLIENT, PORT, SERVER, World
from tests.support.hash_seeds import other_hash_seed
from tests.support.simulated_worlds import complete, of, play, play_nothing, wait


def test_crashed_server_returns_with_its_data() -> None:
    async def scenario(world: World) -> None:
        client = world.client()
        await client.connect()
        stream_id = await client.start_stream("a cat")
        await wait(3)
        await client.end_stream()
        job = await client.simulate(script=Script().start("a cat").wait(1).end())
        await client.wait_for_simulation(job.job_id)
        session = client.current_session_id
        await world.crash()
        with pytest.raises(TimeoutError):  # the host does not reply
            async with asyncio.timeout(2):
                await asyncio.open_connection(SERVER, PORT)
        world.wire.revive(SERVER)
        with pytest.raises(ConnectionRefusedError):  # the host is up, but has no listener
            await asyncio.open_connection(SERVER, PORT)
        await world.bounce()
        assert list(world.mock.sessions) == [session]
        assert (await client.get_simulate_status(job.job_id)).status == "completed"
        recording = await client.get_recording(stream_id)
        assert recording.duration_seconds == pytest.approx(3, abs=0.2)
        await client.disconnect()

    play_nothing(scenario)


def test_client_reconnects_after_a_server_crash() -> None:
    async def scenario(world: World) -> list[str]:
        statuses: list[str] = []
        client = world.client()
        await client.connect(on_status_change=lambda status: statuses.append(status.value))
        await client.start_stream("a cat")
        await world.crash()
        await wait(3)
        await world.bounce()
        await wait(10)
        await client.interact("a dog")
        await client.disconnect()
        return statuses

    assert play(scenario)[2:] == ["connected", "reconnecting", "connected", "disconnected"]


def test_crash_and_bounce_run_on_the_servers_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where: list[str | None] = []

    async def scenario(world: World) -> None:
        go_away, come_back = world.mock.go_away, world.mock.come_back

        async def noted(what: Callable[[], Awaitable[None]]) -> None:
            where.append(world.wire.here)
            await what()

        monkeypatch.setattr(world.mock, "go_away", lambda: noted(go_away))
        monkeypatch.setattr(world.mock, "come_back", lambda: noted(come_back))
        await world.crash()
        await world.bounce()

    play_nothing(scenario)
    assert where == [SERVER, SERVER]


def test_stun_server_is_available_after_a_crash() -> None:
    """After a crash, the STUN server restarts with its host. Without STUN, every connect takes two seconds longer."""

    async def scenario(world: World) -> None:
        (before,) = [end for end in world.wire.open_ends if end.startswith(f"{SERVER}: UDP")]
        await world.crash()
        await world.bounce()
        assert before in world.wire.open_ends
        assert before.endswith(f" {world.mock.backend.stun_port}")

    play_nothing(scenario)


def test_listening_on_an_unknown_address_fails() -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1"):
            world.mock._network.listen("192.0.2.1", 80)

    play_nothing(scenario)


def test_wall_clock_jump_affects_only_its_host() -> None:
    async def scenario(world: World) -> None:
        platform, other = world.platform(CLIENT), world.platform("other")
        await wait(5)
        world.wall_clock(CLIENT).offset += 3600
        assert platform.clock.time() == EPOCH + 3605
        assert platform.clock.monotonic() == 5
        assert other.clock.time() == world.mock.clock.time() == EPOCH + 5
        now = time.time()  # noqa: TID251 - under test
        assert now == EPOCH + 3605, f"expected time.time() to return the client's wall clock, {EPOCH + 3605}, got {now}"
        assert time.monotonic() == asyncio.get_running_loop().time() == 5  # noqa: TID251
        assert await world.spawn("other", of(asyncio.to_thread(platform.clock.monotonic))) < 6

        async def look() -> float:
            return time.time()  # noqa: TID251 - under test

        assert await world.spawn("other", look()) == pytest.approx(EPOCH + 5, abs=0.1)

    play_nothing(scenario)


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_client_timeouts_ignore_clock_jumps(jump: float) -> None:
    async def scenario(world: World) -> float:
        clock = world.platform(CLIENT).clock
        began = world.now()

        async def turn() -> None:
            await wait(1)
            world.wall_clock(CLIENT).offset += jump

        turning = asyncio.ensure_future(turn())
        with pytest.raises(TimeoutError):
            async with clock.timeout(10):
                await clock.sleep(20)
        await turning
        return world.now() - began

    assert play(scenario) == 10


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_server_deadlines_ignore_clock_jumps(jump: float) -> None:
    async def scenario(world: World) -> float:
        fired: list[float] = []
        world.mock.clock.call_later(60, "test", lambda: fired.append(world.now()))
        await wait(1)
        world.wall_clock(SERVER).offset += jump
        await wait(100)
        (at,) = fired
        assert world.mock.clock.time() == EPOCH + 101 + jump
        return at

    assert play(scenario) == 60


def test_server_checks_tokens_by_its_own_clock() -> None:
    async def scenario(world: World) -> None:
        client = world.client(advanced=AdvancedConfig(max_retries=0))
        await client.list_simulations()
        world.wall_clock(CLIENT).offset += 30 * 86400
        await client.list_simulations()
        tokens = world.mock.backend.tokens
        token = tokens.mint("session", "account", 60)
        tokens.verify(token)
        world.wall_clock(SERVER).offset += 59
        tokens.verify(token)
        world.wall_clock(SERVER).offset += 3600
        with pytest.raises(Exception, match="expired"):
            tokens.verify(token)
        world.wall_clock(SERVER).offset = 0
        tokens.verify(token)
        await client.disconnect()

    play_nothing(scenario)


async def life_cycle(world: World) -> tuple[str, ...]:
    """Connect, run a stream and disconnect.

    Return the session id, the stream id and two random values from the simulated world.
    """
    world.wire.set_defaults(latency=(0.01, 0.03))
    client = world.client()
    await client.connect()
    session = client.current_session_id
    stream = await client.start_stream("a cat")
    await client.end_stream()
    await client.disconnect()
    return str(session), stream, world.platform("other").entropy.uuid(), os.urandom(8).hex()  # noqa: TID251


def test_extra_draws_do_not_change_other_streams() -> None:
    async def scenario(world: World) -> tuple[object, ...]:
        for _ in range(draws[0]):
            world.platform(CLIENT).entropy.uuid()
            os.urandom(8)  # noqa: TID251
            world.chance.stream("workload").random()
        client = world.client()
        await client.connect()
        session = client.current_session_id
        await client.disconnect()
        return session, world.platform("other").entropy.uuid(), world.chance.stream("weather").random()

    draws = [0]
    expected = play(scenario)
    draws[0] = 7
    assert play(scenario) == expected


PRINT_A_RUN = """
from tests.mock.sim.test_world import complete, life_cycle
went = complete(life_cycle, seed=7)
print(went.run_hash, went.seconds, *went.result)
"""


def test_seed_gives_the_same_run_in_every_process() -> None:
    # Compared with the subprocess, this process has another hash seed.
    printed = subprocess.run(
        [sys.executable, "-c", PRINT_A_RUN],
        env={**os.environ, "PYTHONHASHSEED": other_hash_seed()},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    mine = complete(life_cycle, seed=7)
    assert mine.result is not None
    assert printed.split() == [mine.run_hash, str(mine.seconds), *mine.result]
    assert complete(life_cycle, seed=8).run_hash != mine.run_hash
