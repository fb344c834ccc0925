"""The interface through which a session uses the client's WebSocket (RFC 6455)."""

from typing import Protocol

NORMAL_CLOSURE = 1000
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
"""WebSocket close codes that the mock sends (RFC 6455 section 7.4.1)."""

CLEAN_CLOSE_CODES = frozenset({1000, 1001})
"""WebSocket close codes of a client that has finished or whose page was closed (RFC 6455 section 7.4.1)."""


class SignalingSocket(Protocol):
    """The client's WebSocket, already accepted."""

    @property
    def base_url(self) -> str:
        """The http or https URL at which the client reaches the mock, without a trailing slash."""
        ...

    @property
    def close_code(self) -> int | None:
        """The client's close code; None while the socket is open, 1006 if it broke (RFC 6455 section 7.4.1)."""
        ...

    async def receive(self) -> str | bytes | None:
        """Return the next message; None once the socket is closed or broken."""
        ...

    async def send(self, data: str | bytes) -> None:
        """Send a message; do nothing if the socket is already closed."""
        ...

    async def close(self, code: int, reason: str = "", *, why: str = "") -> None:
        """Close the socket; do nothing if it is already closed. `why`: the cause, for the journal."""
        ...
