"""Measure what recording costs: CPU time of a live test with and without a recorder, in turns.

    .venv/bin/python scripts/trace_cost.py [VISITS]

Client and mock run in one process, as in a test with the fixture `odyssey_mock`, so their CPU time is measured
together.
"""

import asyncio
import statistics
import sys
import time

from odyssey_client import Odyssey
from odyssey_client.trace import Recorder, record_by_default
from odyssey_mock import MockOdyssey


async def visit(mock: MockOdyssey) -> None:
    """Do what a short live test does."""
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        stream = await client.connect()
        await client.start_stream("A cat")
        await client.interact("It sleeps")
        frames = stream.frames()
        for _ in range(5):
            await anext(frames)
        await client.end_stream()


def cost(recorder: Recorder | None) -> float:
    """Return the CPU time of one visit, in seconds. A recorder is cleared before it, as between two tests."""
    if recorder is not None:
        recorder.clear()
    record_by_default(recorder)

    async def live_test() -> None:
        async with MockOdyssey() as mock:
            await visit(mock)

    began = time.process_time()
    asyncio.run(live_test())
    spent = time.process_time() - began
    record_by_default(None)
    return spent


def main() -> None:
    visits = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    recorder = Recorder()
    for _ in range(3):  # imports and caches
        cost(None)
        cost(recorder)
    pairs = [(cost(None), cost(recorder)) for _ in range(visits)]
    without, with_recorder = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(recorded / plain for plain, recorded in pairs)
    sys.stdout.write(
        f"CPU time of a live test: {without * 1000:.1f} ms, recorded {with_recorder * 1000:.1f} ms\n"
        f"ratio: median of {visits} pairs {ratio:.3f}, of the medians {with_recorder / without:.3f}\n"
    )


if __name__ == "__main__":
    main()
