"""The client's WebSocket as a session sees it (RFC 6455)."""

from typing import Protocol

NORMAL_CLOSURE = 1000
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
"""Close codes (section 7.4.1)."""

CLEAN_CLOSE_CODES = frozenset({1000, 1001})
"""Of a client that is done, or whose page was left (section 7.4.1)."""


class SignalingSocket(Protocol):
    """The client's WebSocket, already accepted."""

    @property
    def close_code(self) -> int | None:
        """What the client closed it with; None while it is open, 1006 where it broke (section 7.4.1)."""
        ...

    async def receive(self) -> str | bytes | None:
        """The next message; None once the socket is closed, however that came about."""
        ...

    async def send(self, data: str | bytes) -> None:
        """Send a message; silent when the socket is closed already."""
        ...

    async def close(self, code: int, reason: str = "") -> None:
        """Close it; silent when it is closed already."""
        ...
