"""The access token (protocol.md section 2): renewed a minute early, by one call however many wait for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from odyssey_client.models import JSON
from odyssey_client.platform import Clock
from odyssey_client.rest.fields import Fields

RENEW_EARLY_S = 60.0
"""How long before its end a token is no longer used."""

_CALL = "POST /auth/token"
_FIT_FOR_A_HEADER = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and for how many seconds from its making it is good."""

    value: str = field(repr=False)
    lifetime: float


def read_token(answer: JSON) -> Token:
    """Read the answer to ``POST /auth/token``.

    Raises:
        UnexpectedResponseError: it has no token that fits into a header, or does not say how long it is good.
    """
    fields = Fields(answer, _CALL)
    value = fields.text("access_token")
    if not _FIT_FOR_A_HEADER.fullmatch(value):
        raise fields.wrong("access_token", "printable ASCII without spaces")
    return Token(value, fields.number("expires_in"))


class AccessToken:
    """The token in use. It belongs to one event loop at a time."""

    def __init__(self, renew: Callable[[], Awaitable[Token]], clock: Clock) -> None:
        """``renew`` makes a new token; it is called when one is needed, and never twice at a time."""
        self._renew = renew
        self._clock = clock
        self._value: str | None = None
        self._good_until = 0.0
        self._renewal: asyncio.Task[str] | None = None
        self._waiting = 0

    @property
    def current(self) -> str | None:
        """The token if there is one that is still good."""
        return self._value if self._clock.monotonic() < self._good_until else None

    async def get(self) -> str:
        """Return a good token, a new one if need be; whoever else wants one meanwhile waits for the same renewal.

        Raises:
            OdysseyError: the renewal failed, for all that waited for it.
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
        """Use ``value`` no more: the service refused it. A newer token stays."""
        if value == self._value:
            self._value, self._good_until = None, 0.0

    async def _store_new(self) -> str:
        try:
            token = await self._renew()
        finally:
            if self._renewal is asyncio.current_task():
                self._renewal = None
        self._value = token.value
        # A token so short-lived that a minute is most of its life is still good for a while.
        self._good_until = self._clock.monotonic() + max(token.lifetime - RENEW_EARLY_S, token.lifetime / 2)
        return token.value

    async def _abandon(self, renewal: asyncio.Task[str]) -> None:
        """End a renewal that nobody waits for any longer; nothing to do when it came to its end by itself."""
        if renewal.done():
            return
        if self._renewal is renewal:
            self._renewal = None  # whoever comes now starts a new one
        renewal.cancel()
        await asyncio.wait([renewal])
