"""Measure what a user of `odyssey_client` sees on each impaired network, and write the table into its page.

Client and mock run in simulated time, with real WebRTC peers and H.264, and with the default size, rate and bitrate of
a stream. The results depend only on the seed. The script takes about two minutes.

    python scripts/impaired_networks.py
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from generated_tables import with_tables

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from odyssey_mock.impairment.presets import NETWORK_PRESETS  # noqa: E402
from odyssey_mock.settings import NetworkSetting, Settings  # noqa: E402
from odyssey_mock.sim.run import run  # noqa: E402
from odyssey_mock.sim.world import World  # noqa: E402

PAGE = ROOT / "docs" / "how-to" / "test-bad-networks.md"
SEED = 1
SECONDS = 40
"""Seconds for which the client watches the stream: the tunnel of the preset begins after 10 s, and lasts 20 s."""

COLUMNS = (
    "network",
    "frames per second",
    "freezes",
    "longest time without a frame",
    "packets lost",
    "NACK, PLI",
    "reply to `interact`",
    "round trip",
    "statuses",
)
NONE = "unknown"
"""A cell without a measurement."""
HEAD = f"\n| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"


def watched(network: NetworkSetting) -> Callable[[World], Awaitable[str]]:
    """Return a scenario that returns the cells of one network."""

    async def scenario(world: World) -> str:
        loop, times, statuses = asyncio.get_running_loop(), list[float](), list[str]()
        client = world.client()
        stream = await client.connect(on_status_change=lambda status: statuses.append(status.value))
        await client.start_stream("A lighthouse in a storm")
        world.mock.change_settings(network_profile=network)
        statuses.clear()

        async def read() -> None:
            async for _ in stream.frames(buffer=256):
                times.append(loop.time())

        task = asyncio.create_task(read())
        begun = loop.time()
        await client.interact("The storm clears")
        reply = loop.time() - begun
        await asyncio.sleep(SECONDS - reply)  # noqa: TID251 - virtual time
        task.cancel()
        reports: list[Mapping[str, Any]] = [*client.stats().values()]  # type: ignore[list-item]  # reports are objects
        # Without a connection, there are no statistics; a new one has no round trip yet.
        video = next((each for each in reports if each["type"] == "inbound-rtp"), None)
        pair = next((each for each in reports if "currentRoundTripTime" in each), None)
        seen = ", ".join(dict.fromkeys(statuses)) or "connected"
        longest = max(later - earlier for earlier, later in pairwise([begun, *times, loop.time()]))
        await client.disconnect()
        cells = (
            f"{len(times) / SECONDS:.1f}",
            NONE if video is None else str(video["freezeCount"]),
            f"{longest:.2f} s",
            NONE if video is None else f"{_lost(video):.1%}",
            NONE if video is None else f"{video['nackCount']}, {video['pliCount']}",
            f"{reply:.2f} s",
            NONE if pair is None else f"{pair['currentRoundTripTime'] * 1000:.0f} ms",
            seen,
        )
        return " | ".join(cells)

    return scenario


def _lost(video: Mapping[str, Any]) -> float:
    """Return the share of the packets that were lost. A new connection has had none."""
    packets: int = video["packetsLost"] + video["packetsReceived"]
    return video["packetsLost"] / packets if packets else 0.0


def main() -> None:
    """Measure all networks, and write the table."""
    networks: Mapping[str, NetworkSetting] = {
        "(none)": None,
        **{f"`{name}`": name for name in NETWORK_PRESETS},
        '30 % loss: `{"loss": 0.3}`': {"loss": 0.3},
    }
    defaults = Settings()
    # A simulated mock has smaller frames by default.
    video = {"bitrate": defaults.bitrate, "fps": defaults.fps, "portrait_size": defaults.portrait_size}
    rows = []
    for name, network in networks.items():
        went = run(SEED, watched(network), fidelity="full", settings=video)
        rows.append(f"| {name} | {went.result if went.error is None else went.error} |\n")
        click.echo(rows[-1], nl=False)
    PAGE.write_text(with_tables(PAGE, {"impaired": f"{HEAD}{''.join(rows)}\n"}))


if __name__ == "__main__":
    main()
