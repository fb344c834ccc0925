"""How far away each region is: all are pinged at once, and none of it may hold up or fail a connection."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

from odyssey_client.errors import OdysseyConnectionError, OdysseyError
from odyssey_client.models import JSON
from odyssey_client.rest.fields import Fields
from odyssey_client.rest.transport import Transport

logger = logging.getLogger("odyssey_client")

NO_ANSWER_MS = 9999.0
"""What stands for a region that did not answer in time (protocol.md section 2)."""

_CALL = "GET /regions"


async def measure(transport: Transport) -> dict[str, float]:
    """Return the time each region takes to answer, by region id, in milliseconds; `NO_ANSWER_MS` for one that does not.

    A region has ``AdvancedConfig.region_ping_timeout_s`` to answer, and all of this takes at most half as long again.
    If the list of regions cannot be had or read, the result is empty: clients go on without. Authenticate first: this
    limit is not meant for getting a token.
    """
    limit = transport.config.advanced.region_ping_timeout_s
    latencies: dict[str, float] = {}
    try:
        async with transport.clock.timeout(limit * 1.5):
            regions = _read(await transport.request("GET", "/regions"))
            latencies.update(dict.fromkeys(regions, NO_ANSWER_MS))
            async with asyncio.TaskGroup() as pings:
                for region, url in regions.items():
                    pings.create_task(_ping(transport, region, url, latencies), name=f"odyssey ping {region}")
    except TimeoutError:
        logger.debug("%s and pings took longer than %g s; %d regions known", _CALL, limit * 1.5, len(latencies))
    except OdysseyError as error:
        logger.debug("going on without regions: %s", error)
    return latencies


def _read(answer: JSON) -> dict[str, str]:
    """Return the ping URL by region id."""
    regions: dict[str, str] = {}
    for region in Fields(answer, _CALL).objects("regions"):
        url = region.text("ping_url")
        if not _can_be_asked(url):
            raise region.wrong("ping_url", "an HTTP URL")
        regions[region.text("id")] = url
    return regions


def _can_be_asked(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # no such port, or no such IPv6 address
        return False


async def _ping(transport: Transport, region: str, url: str, latencies: dict[str, float]) -> None:
    clock = transport.clock
    started = clock.monotonic()
    try:
        async with clock.timeout(transport.config.advanced.region_ping_timeout_s):
            answered = await transport.ping(url)
    except (TimeoutError, OdysseyConnectionError) as error:
        logger.debug("region %s does not answer: %s", region, str(error) or "too slow")
    else:
        if answered:
            latencies[region] = min((clock.monotonic() - started) * 1000, NO_ANSWER_MS)
