"""Example of a user's tests in the simulated world, for the application in `directing.py`.

`test_odyssey_sim_example.py` runs this file. The test of `HastyDirector` fails with a seed for which the connection
breaks between an interaction and its acknowledgment.
"""

import asyncio
from collections import Counter

import pytest

from odyssey_mock.sim.world import World
from tests.mock.testing.examples.directing import Director, HastyDirector

HAPPENINGS = ("It begins to snow", "The sun rises", "A ship comes in", "A sailor waves")


@pytest.mark.odyssey_sim(seeds=200, weather=["reset"])
@pytest.mark.parametrize("make", [HastyDirector, Director])
async def test_nothing_happens_twice(odyssey_sim: World, make: type[HastyDirector]) -> None:
    director = make()
    await director.open("A harbour in the morning")
    known = []
    for happening in HAPPENINGS:
        known += [happening] if await director.direct(happening) else []
        await asyncio.sleep(0.5)  # noqa: TID251 - a user's test uses asyncio directly
    await director.close()
    applied = Counter(entry.data["message"]["prompt"] for entry in odyssey_sim.mock.journal.find("channel", "update"))
    assert set(known) <= set(applied)
    assert max(applied.values(), default=0) <= 1
