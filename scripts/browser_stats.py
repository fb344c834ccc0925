"""Measure what `getStats` of Chromium says about a stream of the mock; write the table into performance.md.

    python scripts/browser_stats.py [--before COMMIT]

The page uses the npm package of the vendor. With `--before`, the table also has the figures of an earlier commit of
this project, measured in turns with those of the present one. The machine should have nothing else to do.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from generated_tables import with_tables

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))


from tests.contract.browser import chromium  # noqa: E402
from tests.contract.browser.official_client import OfficialClient  # noqa: E402

PAGE = ROOT / "docs" / "explanation" / "performance.md"
ROUNDS = 3
"""Visits to each server. The median of each figure counts."""
FRAMES = 200
"""Frames of each visit whose figures are compared: 10 s of stream."""
WARM_UP = 40
"""Frames before them: the decoder and the jitter buffer settle."""
LIMIT = 60.0
"""Timeout in seconds of the start of a server, of its end, and of a visit."""


@dataclass(frozen=True)
class Figures:
    """What the browser measured over `FRAMES` frames."""

    decode_ms: float
    jitter_buffer_ms: float
    dropped: float
    kbits_per_s: float


FIGURES = {
    "decode_ms": "decoding a frame, ms (`totalDecodeTime`)",
    "jitter_buffer_ms": "in the jitter buffer, ms (`jitterBufferDelay`)",
    "dropped": "dropped frames (`framesDropped`)",
    "kbits_per_s": "received, kbit/s (`bytesReceived`)",
}


@asynccontextmanager
async def served(tree: Path) -> AsyncIterator[dict[str, str]]:
    """Run `odyssey-mock serve` with the packages of a tree; yield the line of `--json`."""
    code = "from odyssey_mock.cli import main; main(['serve', '--port', '0', '--json'])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=tree, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(LIMIT):
            line = await process.stdout.readline()
        yield json.loads(line)
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            process.terminate()
        async with asyncio.timeout(LIMIT):
            await process.wait()


@asynccontextmanager
async def opened(page_url: str, api_url: str) -> AsyncIterator[Page]:
    """Open the page of the vendor's client in a Chromium of its own, and yield the page."""
    async with chromium.launched() as browser, chromium.Pages(browser).opened(page_url, api_url=api_url) as page:
        yield page


async def after(official: OfficialClient, frames: int) -> dict[str, Any]:  # Any: JSON
    """Wait until the browser has decoded `frames` frames; return its report of the video."""
    await official.decoded(frames=frames)
    return (await official.statistics())["video"]


async def visit(page_url: str, server: dict[str, str]) -> Figures:
    """Watch a stream, and compare two reports of the browser."""
    async with asyncio.timeout(LIMIT), opened(page_url, server["url"]) as page:
        official = OfficialClient(page)
        await official.connect(server["api_key"])
        await official.start_stream("A lighthouse in a storm")
        decoded = (await official.statistics())["video"]["framesDecoded"]
        first = await after(official, decoded + WARM_UP)
        last = await after(official, first["framesDecoded"] + FRAMES)
        await official.disconnect()
    change = {name: last[name] - first[name] for name in last if isinstance(last[name], int | float) and name in first}
    return Figures(
        decode_ms=1000 * change["totalDecodeTime"] / change["framesDecoded"],
        jitter_buffer_ms=1000 * change["jitterBufferDelay"] / change["jitterBufferEmittedCount"],
        dropped=change["framesDropped"],
        kbits_per_s=8 * change["bytesReceived"] / change["timestamp"],
    )


def table(measured: dict[str, Sequence[Figures]]) -> str:
    """Return the table in Markdown, with a column for each server."""
    rows = [["", *measured], ["---"] * (len(measured) + 1)]
    for name, title in FIGURES.items():
        medians = [statistics.median(getattr(each, name) for each in figures) for figures in measured.values()]
        rows.append([title, *(f"{median:.3g}" if median < 100 else f"{median:.0f}" for median in medians)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


async def measure(trees: dict[str, Path]) -> dict[str, Sequence[Figures]]:
    """Visit the server of each tree in turns."""
    measured: dict[str, list[Figures]] = {name: [] for name in trees}
    with chromium.served_page() as page_url:
        for number in range(ROUNDS):
            for name, tree in trees.items():
                async with served(tree) as server:
                    measured[name].append(await visit(page_url, server))
                print(number, name, measured[name][-1], file=sys.stderr)  # noqa: T201 - progress
    return {**measured}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="COMMIT", help="an earlier commit to compare with")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trees = {"now": ROOT}
        if options.before is not None:
            archive = Path(folder, "before.tar")
            command = ["git", "-C", ROOT, "archive", f"--output={archive}", options.before]
            subprocess.run(command, check=True)  # noqa: S603 - a commit that the caller names
            with tarfile.open(archive) as opened_archive:
                opened_archive.extractall(Path(folder, "before"), filter="data")
            command = ["git", "-C", ROOT, "rev-parse", "--short=8", options.before]
            commit = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
            trees = {f"before (`{commit}`)": Path(folder, "before"), **trees}
        result = table(asyncio.run(measure(trees)))
    PAGE.write_text(with_tables(PAGE, {"browser": result}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
