"""Disturbances of a scenario: bad network conditions, crashes and clock jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from odyssey_mock.explore.scenario import ChaosStep, ScenarioError
from odyssey_mock.sim.run_log import WORLD, RunLog
from odyssey_mock.sim.world import SERVER, World

CALM = (0.001, 0.005)
"""Minimum and maximum latency of the network in seconds, once `restore` has removed all disturbances."""

type ApplyChaos = Callable[[World, Mapping[str, Any]], Coroutine[object, object, None]]  # Any: arguments in JSON


async def apply_chaos(world: World, run_log: RunLog, steps: Sequence[ChaosStep]) -> None:
    """Apply each disturbance at its time, and return when the last one has ended.

    Raises:
        ScenarioError: a disturbance is not a key of `CHAOS`.
    """
    if unknown := [each.what for each in steps if each.what not in CHAOS]:
        raise ScenarioError(f"expected a disturbance ({', '.join(CHAOS)}), got {unknown[0]!r}")
    async with asyncio.TaskGroup() as tasks:
        for each in steps:
            await asyncio.sleep(max(0.0, each.at - world.now()))
            run_log.add(WORLD, each.what, each.arguments)
            tasks.create_task(CHAOS[each.what](world, each.arguments))


async def restore(world: World) -> None:
    """Remove all disturbances of the network, and restart the server if it crashed.

    Wall clocks stay changed. A fault `impair` without `duration` stays until its connection ends, as other faults do.
    """
    world.wire.heal()
    world.wire.tell_the_bereaved()
    world.wire.set_defaults(latency=CALM, drop=0.0, duplicate=0.0)
    await world.bounce()
    world.mock.change_settings(network_profile=None)


async def _latency(world: World, arguments: Mapping[str, Any]) -> None:
    world.wire.set_defaults(latency=(arguments["from"], arguments["to"]))


async def _loss(world: World, arguments: Mapping[str, Any]) -> None:
    world.wire.set_defaults(drop=arguments["lost"], duplicate=arguments["doubled"])


async def _cut(world: World, arguments: Mapping[str, Any]) -> None:
    for way in _ways(arguments):
        world.wire.cut(*way)
    await asyncio.sleep(arguments["seconds"])
    for way in _ways(arguments):
        world.wire.mend(*way)


async def _hold(world: World, arguments: Mapping[str, Any]) -> None:
    for way in _ways(arguments):
        world.wire.hold(*way)
    await asyncio.sleep(arguments["seconds"])
    for way in _ways(arguments):
        world.wire.release(*way)


def _ways(arguments: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    host = str(arguments["host"])
    ways = {"in": [(SERVER, host)], "out": [(host, SERVER)]}
    return ways.get(str(arguments["ways"]), [*ways["in"], *ways["out"]])


async def _half_open(world: World, arguments: Mapping[str, Any]) -> None:
    ends = (arguments["host"], SERVER) if arguments["dead"] == "client" else (SERVER, arguments["host"])
    world.wire.half_open(*ends)


async def _reset(world: World, arguments: Mapping[str, Any]) -> None:
    world.wire.reset(arguments["host"], SERVER)


async def _crash(world: World, arguments: Mapping[str, Any]) -> None:
    await world.crash()
    await asyncio.sleep(arguments["seconds"])
    await world.bounce()


async def _away(world: World, arguments: Mapping[str, Any]) -> None:
    await world.mock.go_away()
    await asyncio.sleep(arguments["seconds"])
    await world.mock.come_back()


async def _jump(world: World, arguments: Mapping[str, Any]) -> None:
    world.wall_clock(arguments["host"]).offset += arguments["seconds"]


async def _lose_worker(world: World, _: Mapping[str, Any]) -> None:
    for job_id, record in world.mock.jobs.items():
        if record.status in {"dispatched", "processing"}:
            await world.mock.jobs.lose_worker(job_id)
            return


CHAOS: Mapping[str, ApplyChaos] = MappingProxyType(
    {
        "latency": _latency,
        "loss": _loss,
        "cut": _cut,
        "hold": _hold,
        "half open": _half_open,
        "reset": _reset,
        "crash": _crash,
        "away": _away,
        "jump": _jump,
        "lose worker": _lose_worker,
    }
)
"""The function that applies each disturbance, by name of the disturbance."""
