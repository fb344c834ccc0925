"""The whole server goes away, as when its machine or its network breaks down, and comes back."""

from typing import TYPE_CHECKING

from odyssey_mock.clock import Deadline
from odyssey_mock.http_server import HttpServer

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend


class Away:
    """Whether the server can be reached. What it knows stays: accounts, tokens, jobs, and sessions for their grace."""

    def __init__(self, backend: "Backend", http: HttpServer) -> None:
        self._backend = backend
        self._http = http
        self._return: Deadline | None = None

    @property
    def is_away(self) -> bool:
        """Whether it cannot be reached."""
        return self._http.is_away

    async def go(self, seconds: float | None = None) -> None:
        """Cut all that is connected, and refuse whoever wants to connect.

        Where it is away already, it comes back as this call says.

        Args:
            seconds: when to come back, on the server's clock; None for not by itself.
        """
        if self._return is not None:
            self._return.cancel()
            self._return = None
        if seconds is not None:
            self._return = self._backend.clock.call_later(seconds, "the server comes back", self.come_back)
        if self.is_away:
            return
        self._note("up", "away", seconds)
        for broadcast in self._backend.broadcasts.values():
            for spectator in broadcast.spectators.values():
                spectator.leave("the server went away")
        await self._http.go_away()

    async def come_back(self) -> None:
        """Listen again, under the same address; nothing where it is not away."""
        if self._return is not None:
            self._return.cancel()
            self._return = None
        if self.is_away:
            await self._http.come_back()
            self._note("away", "up", None)

    def _note(self, before: str, after: str, seconds: float | None) -> None:
        self._backend.journal.record("state", "server", {"from": before, "to": after, "seconds": seconds})
