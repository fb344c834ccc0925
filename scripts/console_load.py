"""Measure the console in Chromium with 20 sessions and 50,000 journal entries, and its memory while time passes.

    python scripts/console_load.py [SESSIONS] [ENTRIES]

Each line has the milliseconds per second that the page's main thread works while 100 entries per second arrive. The
time is that of the processor, so it does not depend on the load of the machine. The next line has the seconds from an
entry to the animation frame that shows it. Then 10 minutes of the mock's clock pass, with 100 entries for each second,
and the memory of the page is measured twelve times. The exit code is 1 if a limit is exceeded.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import fmean, quantiles

from playwright.async_api import CDPSession, Page

sys.path.insert(0, str(Path(__file__).parent.parent))

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from tests.contract.browser.chromium import launched
from tests.contract.browser.waiting import wait_until

SESSIONS = 20
ENTRIES = 50_000
VIEWS = ("overview", "sessions", "timeline")
PER_SECOND = 100
"""Entries that are written each second: about what 20 clients cause that interact once per second."""
BUSY_MS = 400.0
"""Limit of the milliseconds per second that the main thread works. The rest is left for the user."""
LATE = 0.2
"""Limit of the seconds after which 99 of 100 entries are shown."""
SECONDS = 10.0
"""Seconds for which each view is measured."""
CLOCK_SECONDS = 600
STEPS = 60
SAMPLES = 12
"""How often the memory is measured while the clock passes. It varies by a few megabytes."""
GROWTH = 1.1
"""Limit of the growth of the page's memory: the mean of the second half of the samples by that of the first."""
WATCH = """async () => {
  const { createApi } = await import("console/api.js");
  const { createLiveModel } = await import("console/live_model.js");
  window.delays = [];
  const begun = Date.now() / 1000;
  let last = -1;
  const api = createApi({ page: new URL(".", document.baseURI), token: "" });
  window.watched = createLiveModel({ api, onChange({ events }) {
    for (let at = events.length - 1; at >= 0 && events[at].i > last; at--) {
      const { written } = events[at].data;
      if (written > begun) window.delays.push(Date.now() / 1000 - written);
    }
    last = events.at(-1)?.i ?? -1;
    window.kept = events.length;
  } });
}"""


def write(mock: MockOdyssey, number: int) -> None:
    """Write an entry like one of a message on a data channel, with the time at which it was written."""
    sessions = list(mock.sessions)
    mock.journal.record(
        "channel",
        ("update", "update_acknowledged", "keepalive")[number % 3],
        {
            "from": "client" if number % 3 == 0 else "server",
            "message": {"type": "update", "prompt": f"the cat jumps {number} times"},
            "written": time.time(),  # noqa: TID251 - the time of the browser
        },
        session=sessions[number % len(sessions)] if sessions else None,
    )


@asynccontextmanager
async def traffic(mock: MockOdyssey) -> AsyncIterator[None]:
    """Write `PER_SECOND` entries each second during the block."""

    async def run() -> None:
        number = 0
        while True:
            write(mock, number)
            number += 1
            await asyncio.sleep(1 / PER_SECOND)  # noqa: TID251 - a real load

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()


async def metrics(devtools: CDPSession) -> dict[str, float]:
    found = await devtools.send("Performance.getMetrics")
    return {metric["name"]: metric["value"] for metric in found["metrics"]}


async def busy(mock: MockOdyssey, page: Page, devtools: CDPSession) -> tuple[float, float]:
    """Return the milliseconds per second of the main thread: of scripts, and of all its tasks."""
    async with traffic(mock):
        await page.wait_for_timeout(2_000)
        before = await metrics(devtools)
        await page.wait_for_timeout(SECONDS * 1000)
        after = await metrics(devtools)
    script, task = ((after[name] - before[name]) * 1000 / SECONDS for name in ("ScriptDuration", "TaskDuration"))
    return script, task


async def memory(page: Page, devtools: CDPSession) -> float:
    """Return the megabytes of the page's JavaScript after garbage collection."""
    await page.wait_for_timeout(1_000)
    for _ in range(2):
        await devtools.send("HeapProfiler.collectGarbage")
    return (await metrics(devtools))["JSHeapUsedSize"] / 1e6


async def pass_time(mock: MockOdyssey, seconds: float) -> None:
    """Let the clock pass, with entries for each of its seconds."""
    step = CLOCK_SECONDS / STEPS
    for number in range(round(seconds / step)):
        for entry in range(int(step * PER_SECOND)):
            write(mock, number * entry)
            if entry % PER_SECOND == 0:
                await asyncio.sleep(0.02)  # noqa: TID251 - as fast as a page can read
        await mock.advance(step)


async def main(sessions: int, entries: int) -> bool:
    """Print the figures, and return whether all are within their limits."""
    is_good = True

    def report(line: str, *, is_ok: bool) -> None:
        nonlocal is_good
        is_good &= is_ok
        sys.stdout.write(f"{line}{'' if is_ok else '  TOO MUCH'}\n")
        sys.stdout.flush()

    # Small pictures: the page is measured, and not the encoder, which runs on the same processors.
    small = MockOdyssey(
        fps=2, portrait_size=(88, 160), concurrent_sessions=None, stream_duration=None, journal_limit=entries
    )
    async with AsyncExitStack() as stack:
        mock = await stack.enter_async_context(small)
        for number in range(sessions):
            client = await stack.enter_async_context(Odyssey(mock.api_key, api_url=mock.url))
            await client.connect()
            await client.start_stream(f"A cat with {number} lives")
        for number in range(entries - mock.journal.next_index):
            write(mock, number)
        browser = await stack.enter_async_context(launched())
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        for view in VIEWS:
            await page.goto("about:blank")
            await page.goto(f"{mock.url}/_mock/console/#/{view}")
            await page.wait_for_selector(".view-head")
            script, task = await busy(mock, page, devtools)
            report(f"{view:12} {script:6.0f} ms per s of scripts, {task:6.0f} ms in all", is_ok=task < BUSY_MS)
        await page.evaluate(WATCH)
        await wait_until(page, "entries => window.kept >= entries", entries)
        async with traffic(mock):
            await page.wait_for_timeout(SECONDS * 1000)
        delays = await page.evaluate("window.watched.close() ?? window.delays")
        shares = quantiles(delays, n=100)
        median, late = shares[49], shares[98]
        report(
            f"{len(delays)} entries, shown after {median * 1000:.0f} ms (median), {late * 1000:.0f} ms (99 of 100)",
            is_ok=late < LATE,
        )
        await pass_time(mock, 2 * CLOCK_SECONDS)  # the page drops its first entries
        samples = []
        for _ in range(SAMPLES):
            await pass_time(mock, CLOCK_SECONDS / SAMPLES)
            samples.append(await memory(page, devtools))
        before, after = fmean(samples[: SAMPLES // 2]), fmean(samples[SAMPLES // 2 :])
        report(
            f"memory in the first and the second half of {CLOCK_SECONDS} s of the mock's clock: "
            f"{before:.1f} MB, {after:.1f} MB ({min(samples):.1f} to {max(samples):.1f})",
            is_ok=after < before * GROWTH,
        )
    return is_good


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:]]
    sessions_wanted, entries_wanted = (*numbers, *(SESSIONS, ENTRIES)[len(numbers) :])
    sys.exit(0 if asyncio.run(main(sessions_wanted, entries_wanted)) else 1)
