"""Outages: the whole server is unreachable for a time, as if its machine or network had failed."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.core.clock import Clock, Deadline
from odyssey_mock.core.journal import Journal
from odyssey_mock.faults.registry import Faults
from odyssey_mock.http.callers import Callers
from odyssey_mock.http.endpoint import Serving
from odyssey_mock.http.errors import note_cause
from odyssey_mock.sessions.registry import SessionRegistry

type GoAway = Callable[[float | None], Awaitable[None]]
"""Takes the server offline for a number of seconds, or with None until `come_back` is called."""


class Outage:
    """Takes the server offline and online again.

    Accounts, tokens and jobs are kept. Sessions are kept for `session_grace` seconds.
    """

    def __init__(
        self, http: Serving, *, clock: Clock, journal: Journal, sessions: SessionRegistry, broadcasts: Broadcasts
    ) -> None:
        self._http = http
        self._clock = clock
        self._journal = journal
        self._sessions = sessions
        self._broadcasts = broadcasts
        self._return: Deadline | None = None
        self._changing = asyncio.Lock()

    @property
    def is_away(self) -> bool:
        """Whether the server is unreachable."""
        return self._http.is_away

    async def go(self, seconds: float | None = None) -> None:
        """Cut all connections, and refuse new ones. Has no effect once the mock is closing or closed.

        If the server is already away, this call only changes the end of the outage.

        Args:
            seconds: the length of the outage in seconds of the server's clock; None: until `come_back()` is called.

        Raises:
            ValueError: `seconds` is negative or not a number.
        """
        if self._http.is_stopping:
            return
        self._comes_back(
            None if seconds is None else self._clock.call_later(seconds, "the server comes back", self.come_back)
        )
        async with self._changing:
            if self.is_away or self._http.is_stopping:
                return
            self._note("up", "away", seconds)
            self._fall_silent()
            await self._http.go_away()

    async def come_back(self) -> None:
        """Listen again on the same address. Has no effect if the server is not away or the mock was closed."""
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
        """Make all WebRTC peers stop sending without closing them, so that clients see a failure, not a normal end."""
        for session in self._sessions.sessions.values():
            session.vanish()
        for broadcast in self._broadcasts.values():
            for spectator in broadcast.spectators.values():
                spectator.vanish("the server went away")

    def _note(self, before: str, after: str, seconds: float | None) -> None:
        self._journal.record("state", "server", {"from": before, "to": after, "seconds": seconds})


class OutagePoint:
    """The fault point `server`, which every HTTP request and WebSocket upgrade reaches before it is routed."""

    def __init__(
        self, app: ASGIApp, *, faults: Faults, callers: Callers, go_away: GoAway, spared: Callable[[Scope], bool]
    ) -> None:
        """Create the fault point. `spared` returns whether a request does not reach it."""
        self._app = app
        self._faults = faults
        self._callers = callers
        self._go_away = go_away
        self._spared = spared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._spared(scope):
            return await self._app(scope, receive, send)
        if not self._faults.any_at("server"):
            self._faults.skip("server")
        elif (fault := self._faults.fire("server", account=self._callers.account_of(scope))) is not None:
            note_cause(scope, f"{fault.label} takes the server away")
            # This also cuts the connection of this request.
            return await self._go_away(fault.number("seconds"))
        return await self._app(scope, receive, send)
