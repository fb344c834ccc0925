"""The whole server goes away, as when its machine or its network breaks down, and comes back."""

import asyncio
from typing import TYPE_CHECKING

from odyssey_mock.core.clock import Deadline
from odyssey_mock.http.uvicorn_server import HttpServer

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend


class Outage:
    """Whether the server can be reached. What it knows stays: accounts, tokens, jobs, and sessions for their grace."""

    def __init__(self, backend: "Backend", http: HttpServer) -> None:
        self._backend = backend
        self._http = http
        self._return: Deadline | None = None
        self._changing = asyncio.Lock()

    @property
    def is_away(self) -> bool:
        """Whether it cannot be reached."""
        return self._http.is_away

    async def go(self, seconds: float | None = None) -> None:
        """Cut all that is connected, and refuse whoever wants to connect; nothing where the mock was left.

        Where it is away already, it comes back as this call says.

        Args:
            seconds: when to come back, on the server's clock; None for not by itself.

        Raises:
            ValueError: `seconds` is negative or not a number.
        """
        if self._http.is_stopping:
            return
        self._comes_back(
            None
            if seconds is None
            else self._backend.clock.call_later(seconds, "the server comes back", self.come_back)
        )
        async with self._changing:
            if self.is_away or self._http.is_stopping:
                return
            self._note("up", "away", seconds)
            self._fall_silent()
            await self._http.go_away()

    async def come_back(self) -> None:
        """Listen again, under the same address; nothing where it is not away, or the mock was left."""
        self._comes_back(None)
        async with self._changing:
            if not self.is_away or self._http.is_stopping:
                return
            await self._http.come_back()
            self._note("away", "up", None)

    def _comes_back(self, deadline: Deadline | None) -> None:
        if self._return is not None:
            self._return.cancel()
        self._return = deadline

    def _fall_silent(self) -> None:
        """Let no peer say goodbye as its socket is cut: a breakdown is not to be taken for an end."""
        for session in self._backend.sessions.sessions.values():
            session.vanish()
        for broadcast in self._backend.broadcasts.values():
            for spectator in broadcast.spectators.values():
                spectator.vanish("the server went away")

    def _note(self, before: str, after: str, seconds: float | None) -> None:
        self._backend.journal.record("state", "server", {"from": before, "to": after, "seconds": seconds})
