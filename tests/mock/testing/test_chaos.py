"""Tests of chaos in simulated tests (keyword `weather`): network delays, connection resets, clock jumps and so on."""

import asyncio
from collections.abc import Collection
from typing import Literal

import pytest

from odyssey_client import AdvancedConfig, ConnectionStatus
from odyssey_mock.sim.run import run
from odyssey_mock.sim.world import CLIENT, SERVER, World
from odyssey_mock.testing import chaos

SECONDS = 40.0
"""Duration of a run in virtual seconds, longer than any network outage and the reconnect after it."""


type Story = tuple[list[ConnectionStatus], list[str], float]


def statuses(seed: int, sort: bool | Literal["calm"] | Collection[str]) -> Story:
    """Run a client in a simulated world for `SECONDS`. `sort` selects the chaos, like the keyword `weather`.

    Return the client's statuses, the descriptions of the chaos events, and how many seconds a wall clock jumped.
    """

    async def scenario(world: World) -> Story:
        seen: list[ConnectionStatus] = []
        client = world.client(advanced=AdvancedConfig(keepalive_interval_s=1.0))
        await client.connect(on_status_change=lambda status: note(seen, status))
        chaos.draw_network(world, sort)
        happenings = world.spawn(SERVER, chaos.apply_chaos(world, sort))
        await client.start_stream("A cat")
        await world.platform().clock.sleep(SECONDS)
        happenings.cancel()
        await asyncio.wait({happenings})
        await client.disconnect()
        notes = [entry.name for entry in world.mock.journal.find("note")]
        return seen, notes, world.wall_clock(CLIENT).offset or world.wall_clock(SERVER).offset

    ended = run(seed, scenario, settings={"fps": 4}, keeps_log=False)
    if ended.error is not None:
        raise ended.error
    assert ended.result is not None
    return ended.result


def note(seen: list[ConnectionStatus], status: ConnectionStatus) -> None:
    seen.append(status)  # `seen.append` has no signature, so the client would pass all arguments


def first_with(what: str) -> Story:
    """Call `statuses` with one seed after another until a chaos event of the kind `what` happens; return its result."""
    runs = (statuses(seed, [what]) for seed in range(20))
    return next(result for result in runs if result[1])


def test_default_network_has_different_delays_per_seed() -> None:
    def delays(sort: bool | Literal["calm"]) -> list[float]:
        async def scenario(world: World) -> float:
            chaos.draw_network(world, sort)
            await world.client().list_simulations()
            return world.now()

        return [run(seed, scenario, keeps_log=False).result or 0.0 for seed in range(6)]

    usual = delays(False)
    assert len(set(usual)) == len(usual)
    assert all(0.001 < each < 1.0 for each in usual)
    assert delays("calm") == [0.0] * 6


def test_no_event_happens_without_chaos() -> None:
    for sort in (False, "calm", ()):
        seen, notes, _ = statuses(3, sort)
        assert notes == []
        assert ConnectionStatus.RECONNECTING not in seen


def test_client_reconnects_after_reset() -> None:
    seen, notes, _ = first_with("reset")
    assert notes[0] == "chaos: every TCP connection is reset"
    assert ConnectionStatus.RECONNECTING in seen
    assert seen[-2:] == [ConnectionStatus.CONNECTED, ConnectionStatus.DISCONNECTED]


def test_both_sides_notice_reset_at_once() -> None:
    async def scenario(world: World) -> list[str]:
        client = world.client()
        await client.connect()
        chaos.reset(world)
        left = [end for end in world.wire.open_ends if "TCP" in end and "listens" not in end]
        await client.disconnect()
        return left

    assert run(1, scenario, keeps_log=False).result == []


def test_keepalive_detects_half_open_connection() -> None:
    seen, notes, _ = first_with("half_open")
    assert "is not notified" in notes[0]
    assert ConnectionStatus.RECONNECTING in seen


def test_connection_recovers_after_partition() -> None:
    seen, notes, _ = first_with("partition")
    assert [note.split()[1] for note in notes[:2]] == ["no", "packets"]
    assert seen[-2:] == [ConnectionStatus.CONNECTED, ConnectionStatus.DISCONNECTED]


def test_clock_jump_only_moves_wall_clock() -> None:
    seen, notes, offset = first_with("clock_jump")
    assert "jumps by" in notes[0]
    assert offset != 0.0
    assert ConnectionStatus.RECONNECTING not in seen


def test_same_seed_gives_same_chaos() -> None:
    assert statuses(5, True) == statuses(5, True)


@pytest.mark.parametrize("sort", ["reset", "storm", 3, None, ["storm"]])
def test_unknown_chaos_kind_is_rejected(sort: object) -> None:
    with pytest.raises(chaos.ChaosError, match="reset, half_open, partition, clock_jump"):
        chaos.check_chaos(sort)
