"""Overload one process with live sessions of clients and mock, and count the calls that get no answer.

    python scripts/overload.py [SESSIONS] [SECONDS]

Clients and mock share one event loop, and every frame is drawn, encoded, sent and decoded. 30 sessions overload two
processors. The exit code is 1 if a call got neither a reply nor an error within `LIMIT` seconds.
"""

import asyncio
import statistics
import sys
from collections import Counter
from collections.abc import Awaitable

from odyssey_client import Odyssey, OdysseyError
from odyssey_mock import MockOdyssey

LIMIT = 15.0
"""Seconds until a call counts as unanswered."""
PAUSE = 1.5
"""Seconds between the interactions of one session."""


class Calls:
    """The results and times of all calls."""

    def __init__(self) -> None:
        self.results: Counter[str] = Counter()
        self.times: list[float] = []

    async def count(self, name: str, call: Awaitable[object]) -> None:
        """Await a call, and count whether it is answered, raises an error, or is not answered within `LIMIT`."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(LIMIT):
                await call
            self.results[f"{name}: answered"] += 1
            self.times.append(loop.time() - begun)
        except TimeoutError:
            self.results[f"{name}: unanswered"] += 1
        except OdysseyError as error:
            self.results[f"{name}: {error.code}"] += 1


async def session(mock: MockOdyssey, number: int, seconds: float, calls: Calls) -> None:
    """Connect a client, start a stream, and interact until `seconds` have passed."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        await calls.count("connect", client.connect())
        await calls.count("start", client.start_stream(f"cat {number}", portrait=False))
        turn = 0
        while loop.time() < end:
            await calls.count("interact", client.interact(f"cat {number}, turn {turn}"))
            await asyncio.sleep(PAUSE)  # noqa: TID251 - a real overload
            turn += 1


async def main(sessions: int, seconds: float) -> bool:
    """Run the sessions, print the figures, and return whether every call was answered."""
    calls = Calls()
    async with MockOdyssey(concurrent_sessions=None, stream_duration=None) as mock:
        async with asyncio.TaskGroup() as group:
            for number in range(sessions):
                group.create_task(session(mock, number, seconds, calls))
        frames = [stream.timeline.frames or 0 for stream in mock.streams.values()]
    lines = [f"{name:40} {count:5}" for name, count in sorted(calls.results.items())]
    lines += [
        f"median and longest answer                {statistics.median(calls.times):.1f} s, {max(calls.times):.1f} s",
        f"frames per second and stream             {statistics.mean(frames) / seconds:.1f}",
    ]
    sys.stdout.write("\n".join([*lines, ""]))
    return not any(name.endswith("unanswered") for name in calls.results)


if __name__ == "__main__":
    numbers = [float(each) for each in sys.argv[1:]]
    sessions_wanted, seconds_wanted = (*numbers, *(30.0, 60.0)[len(numbers) :])
    sys.exit(0 if asyncio.run(main(int(sessions_wanted), seconds_wanted)) else 1)
