"""Where a connection gets its sessions from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from odyssey_client.connection import connection_events
from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import OdysseyError


class SessionSource(Protocol):
    """The REST calls that lead to credentials."""

    def open(self, on_queued: Callable[[int, str], None]) -> Awaitable[ClientCredentials]:
        """Get a new session.

        ``on_queued`` is called each time no streamer was free, with how often that was and what the service said.
        """
        ...

    def renew(self, credentials: ClientCredentials) -> Awaitable[ClientCredentials]:
        """Get credentials with which the session of ``credentials`` can be taken up again.

        Raises:
            SessionLostError: there is no such session any more.
        """
        ...


async def outcome(
    asking: Awaitable[ClientCredentials],
) -> connection_events.SessionOpened | connection_events.SessionRefused:
    """Wait for credentials; say what happened."""
    try:
        return connection_events.SessionOpened(await asking)
    except OdysseyError as error:
        return connection_events.SessionRefused(error)
