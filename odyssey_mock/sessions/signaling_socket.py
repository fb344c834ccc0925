"""The interface through which a session uses the client's WebSocket (RFC 6455)."""

from collections.abc import Mapping
from typing import Protocol

from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.faults.catalog import POINTS, Parameter

NORMAL_CLOSURE = 1000
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
"""WebSocket close codes that the mock sends (RFC 6455 section 7.4.1)."""
TRY_AGAIN_LATER = 1013
"""The close code of an overloaded server (IANA's registry of WebSocket close codes)."""

CLEAN_CLOSE_CODES = frozenset({1000, 1001})
"""WebSocket close codes of a client that has finished or whose page was closed (RFC 6455 section 7.4.1)."""

SEND_LIMIT = 5.0
"""Timeout in seconds for sending a message to a client that does not read. The message is then dropped."""

_CLOSING: Mapping[str, Parameter] = POINTS["signaling.connected"].actions["close"].parameters
"""The rules for code and reason of a close frame, by name."""


class CloseFrameError(PicklableError, ValueError):
    """The code or the reason of a close frame is invalid; `field` is its name."""

    def __init__(self, field: str, expected: str, got: object) -> None:
        super().__init__(f"{field}: expected {expected}, got {got!r}")
        self.field = field


def check_close_frame(code: int, reason: str) -> None:
    """Check that a socket can be closed with this code and reason (RFC 6455 sections 5.5 and 7.4).

    Raises:
        CloseFrameError: one of them is invalid.
    """
    for field, value in (("code", code), ("reason", reason)):
        rule = _CLOSING[field]
        if not rule.holds(value):
            raise CloseFrameError(field, rule.expected, value)


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
