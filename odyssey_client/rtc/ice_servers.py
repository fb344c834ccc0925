"""ICE servers of a peer connection, from the service's `/config` (protocol.md sections 3 and 5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from odyssey_client.errors import ServiceUnreachableError
from odyssey_client.platform import Clock, IceServer
from odyssey_client.redaction import get_logger, remember, without_query

logger = get_logger(__name__)

type Fetch = Callable[[str], Awaitable[object]]
"""A function that returns the JSON at a URL.

It raises `ServiceUnreachableError` without a response, and `ValueError` if the response is not JSON.
"""

CONFIG_LIMIT_S = 2.0
"""Time limit for the request of `/config`, in seconds.

Without a response, the peer uses only its own addresses, which takes no time. Other clients ask a public STUN server
instead, which takes seconds without internet access.
"""


MAX_SERVERS = 20
"""Maximum number of ICE servers, and of URLs of one server; later ones are ignored."""


async def fetch_ice_servers(url: str, fetch: Fetch, clock: Clock) -> list[IceServer]:
    """Request the ICE servers from ``url``; an empty list if no valid response arrives in `CONFIG_LIMIT_S`."""
    try:
        async with clock.timeout(CONFIG_LIMIT_S):
            return read_ice_servers(await fetch(url))
    except TimeoutError:
        logger.warning(
            "no ICE servers from %s within %g s; connecting without them", without_query(url), CONFIG_LIMIT_S
        )
    except (ServiceUnreachableError, ValueError) as error:
        logger.warning("no ICE servers from %s (%s); connecting without them", without_query(url), error)
    return []


def read_ice_servers(body: object) -> list[IceServer]:
    """Parse the response of `/config`; invalid entries are left out.

    Raises:
        ValueError: ``body`` has no list of servers.
    """
    entries = body.get("iceServers") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        # Not a TypeError, because the caller handles only ValueError.
        raise ValueError("expected a response with a list `iceServers`, got a response without one")  # noqa: TRY004
    servers = []
    for entry in entries[:MAX_SERVERS]:
        if not isinstance(entry, dict):
            continue
        urls = entry.get("urls")
        listed = [urls] if isinstance(urls, str) else urls if isinstance(urls, list) else []
        usable = [
            url
            for url in listed[:MAX_SERVERS]
            if isinstance(url, str) and url.startswith(("stun:", "stuns:", "turn:", "turns:"))
        ]
        if usable:
            server = IceServer(usable, _text(entry.get("username")), _text(entry.get("credential")))
            remember(server.credential)
            servers.append(server)
    return servers


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
