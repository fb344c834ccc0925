"""Connectivity checks (RFC 8445 section 6.1.4) whose result counts at once, in place of those of aioice.

aioice starts a check every 20 ms, and looks for a result only at these times. A connection therefore takes 20 ms or
more, although the checks of two peers on one machine take 1 ms.
"""

from __future__ import annotations

import asyncio

from aioice import Connection

PACE_S = 0.02
"""Seconds between the beginnings of two checks, as in aioice."""


def complete_at_once(connection: Connection) -> None:
    """Make ``connection`` connect as soon as its checks have succeeded or failed. Call this before it connects."""
    _Checks(connection)


class _Checks:
    """The checks of one connection. Its methods replace those of aioice that have the same names."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._connect = connection.connect
        self._check_next = connection._check_periodic  # noqa: SLF001 - aioice has no public way to its checks
        self._timer: asyncio.TimerHandle | None = None
        connection.connect = self.connect  # type: ignore[method-assign]
        connection._check_periodic = self.check_periodic  # type: ignore[method-assign]  # noqa: SLF001

    async def connect(self) -> None:
        """Connect; see `aioice.Connection.connect`."""
        try:
            await self._connect()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def check_periodic(self) -> bool:
        """Start the first check; return whether aioice must call this method again.

        If not, aioice waits for the result of all checks, while a timer starts the others.
        """
        if not self._connection._check_list:  # noqa: SLF001 - as above
            # aioice would fail, because there is nothing to check. The candidates may still arrive.
            return self._check_next()
        self._start_next()
        return False

    def _start_next(self) -> None:
        if self._check_next():
            self._timer = asyncio.get_running_loop().call_later(PACE_S, self._start_next)
