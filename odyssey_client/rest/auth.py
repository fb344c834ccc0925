"""A cache of the access token (protocol.md section 2). It renews the token one minute before it expires."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from odyssey_client.models import JSON
from odyssey_client.platform import Clock
from odyssey_client.redaction import remember
from odyssey_client.rest.fields import Fields

RENEW_EARLY_S = 60.0
"""A token is replaced this many seconds before it expires."""

_CALL = "POST /auth/token"
_FIT_FOR_A_HEADER = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and its lifetime in seconds."""

    value: str = field(repr=False)
    lifetime: float


def read_token(answer: JSON) -> Token:
    """Parse the response to ``POST /auth/token``.

    Raises:
        UnexpectedResponseError: the token is missing or cannot be sent in a header, or its lifetime is invalid.
    """
    fields = Fields(answer, _CALL)
    value = fields.text("access_token")
    if not _FIT_FOR_A_HEADER.fullmatch(value):
        raise fields.wrong("access_token", "printable ASCII without spaces")
    remember(value)
    return Token(value, fields.number("expires_in"))


class AccessToken:
    """The cached access token. Use it from one event loop at a time."""

    def __init__(self, renew: Callable[[], Awaitable[Token]], clock: Clock) -> None:
        """Create an empty cache. ``renew`` requests a new token; at most one call of ``renew`` runs at a time."""
        self._renew = renew
        self._clock = clock
        self._value: str | None = None
        self._good_until = 0.0
        self._renewal: asyncio.Task[str] | None = None
        self._waiting = 0

    @property
    def current(self) -> str | None:
        """The cached token, or None if it is missing or about to expire."""
        return self._value if self._clock.monotonic() < self._good_until else None

    async def get(self) -> str:
        """Return a valid token, and renew it first if necessary. Concurrent callers share one renewal.

        Raises:
            OdysseyError: the renewal failed. Every caller that waited for it gets the error.
        """
        if (current := self.current) is not None:
            return current
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._store_new(), name="odyssey access token")
        renewal = self._renewal
        self._waiting += 1
        try:
            return await asyncio.shield(renewal)
        finally:
            self._waiting -= 1
            if not self._waiting:
                await self._abandon(renewal)

    def discard(self, value: str) -> None:
        """Drop the token ``value``, which the service rejected. A newer token is kept."""
        if value == self._value:
            self._value, self._good_until = None, 0.0

    async def _store_new(self) -> str:
        try:
            token = await self._renew()
        finally:
            if self._renewal is asyncio.current_task():
                self._renewal = None
        self._value = token.value
        # Subtracting a minute would leave little or nothing of a short lifetime: use at least half of it.
        self._good_until = self._clock.monotonic() + max(token.lifetime - RENEW_EARLY_S, token.lifetime / 2)
        return token.value

    async def _abandon(self, renewal: asyncio.Task[str]) -> None:
        """Cancel a renewal for which no caller waits any more, unless it has finished."""
        if renewal.done():
            return
        if self._renewal is renewal:
            self._renewal = None  # the next caller starts a new renewal
        renewal.cancel()
        await asyncio.wait([renewal])
