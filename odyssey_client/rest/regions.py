"""Measurement of region latencies. A failed ping never fails a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

from odyssey_client.errors import OdysseyConnectionError, OdysseyError, excerpt
from odyssey_client.models import JSON
from odyssey_client.redaction import get_logger
from odyssey_client.rest.fields import Fields
from odyssey_client.rest.transport import Transport

logger = get_logger("odyssey_client")

NO_ANSWER_MS = 9999.0
"""The latency of a region that did not respond in time (protocol.md section 2)."""

MAX_REGIONS = 100
"""Maximum number of regions that are measured; later ones in the list are ignored. The service has fewer than ten."""

PINGS_AT_ONCE = 25
"""Number of pings in parallel. Each ping opens a connection, and too many at once would delay the responses."""

_CALL = "GET /regions"


async def measure(transport: Transport) -> dict[str, float]:
    """Return the latency of each region in milliseconds, by region id; `NO_ANSWER_MS` for a region without a response.

    A region has ``AdvancedConfig.region_ping_timeout_s`` to respond. The whole measurement takes at most 1.5 times as
    long. If the list of regions is unavailable or invalid, the result is empty. Call `Transport.authenticate` first:
    the time limit is too short to request a token as well.
    """
    limit = transport.config.advanced.region_ping_timeout_s
    latencies: dict[str, float] = {}
    try:
        async with transport.clock.timeout(limit * 1.5):
            regions = _read(await transport.request("GET", "/regions"))
            latencies.update(dict.fromkeys(regions, NO_ANSWER_MS))
            waiting = iter(regions.items())
            async with asyncio.TaskGroup() as group:
                for _ in range(min(PINGS_AT_ONCE, len(regions))):
                    group.create_task(_ping_each(transport, waiting, latencies), name="odyssey pings")
    except TimeoutError:
        logger.debug("%s and the pings took over %g s; regions received: %d", _CALL, limit * 1.5, len(latencies))
    except OdysseyError as error:
        logger.debug("connecting without region latencies: %s", error)
    return latencies


def _read(answer: JSON) -> dict[str, str]:
    """Parse the list of regions; return a dictionary of region ids and ping URLs, of `MAX_REGIONS` at most."""
    regions: dict[str, str] = {}
    for region in Fields(answer, _CALL).objects("regions"):
        if len(regions) == MAX_REGIONS:
            logger.warning("%s lists more than %d regions; ignoring the others", _CALL, MAX_REGIONS)
            break
        url = region.text("ping_url")
        if not _can_be_asked(url):
            raise region.wrong("ping_url", "an HTTP URL")
        regions[region.text("id")] = url
    return regions


def _can_be_asked(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # an invalid port or IPv6 address
        return False


async def _ping_each(transport: Transport, regions: Iterator[tuple[str, str]], latencies: dict[str, float]) -> None:
    for region, url in regions:
        await _ping(transport, region, url, latencies)


async def _ping(transport: Transport, region: str, url: str, latencies: dict[str, float]) -> None:
    clock = transport.clock
    started = clock.monotonic()
    try:
        async with clock.timeout(transport.config.advanced.region_ping_timeout_s):
            answered = await transport.ping(url)
    except (TimeoutError, OdysseyConnectionError) as error:
        logger.debug("region %s did not respond to the ping: %s", excerpt(region, 100), str(error) or "timed out")
    else:
        if answered:
            latencies[region] = min((clock.monotonic() - started) * 1000, NO_ANSWER_MS)
