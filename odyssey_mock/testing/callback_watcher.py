"""What a client may tell the handlers of its connections, checked as they are called."""

from __future__ import annotations

from odyssey_client import ConnectionStatus, OdysseyEventHandlers
from odyssey_mock.explore.callback_rules import LEGAL


class CallbackWatcher:
    """The handlers of one client's connections, one after the other, and what was wrong with their calls."""

    def __init__(self) -> None:
        self._connections: list[_ConnectionCallbacks] = []
        self._wrong: list[str] = []

    def open(self) -> OdysseyEventHandlers:
        """Make the handlers for a new connection."""
        connection = _ConnectionCallbacks(self._wrong)
        self._connections.append(connection)
        return connection.handlers()

    def close(self) -> None:
        """`disconnect` has returned: of the connections so far nothing may be told any more."""
        for connection in self._connections:
            connection.is_over = True

    def check(self, *, is_settled: bool = False) -> None:
        """Make sure that nothing was wrong.

        Args:
            is_settled: Whether handlers have had the time to be called with all that has happened.

        Raises:
            AssertionError: something was.
        """
        wrong = list(self._wrong)
        if is_settled:
            wrong += [each for connection in self._connections for each in connection.missing()]
        assert not wrong, "; ".join(wrong)


class _ConnectionCallbacks:
    def __init__(self, wrong: list[str]) -> None:
        self.is_over = False
        self._wrong = wrong
        self._status: ConnectionStatus | None = None
        self._fatal: list[Exception] = []

    def handlers(self) -> OdysseyEventHandlers:
        return OdysseyEventHandlers(
            on_connected=lambda: self._told("on_connected"),
            on_disconnected=lambda: self._told("on_disconnected"),
            on_stream_started=lambda: self._told("on_stream_started"),
            on_stream_ended=lambda: self._told("on_stream_ended"),
            on_interact_acknowledged=lambda: self._told("on_interact_acknowledged"),
            on_stream_error=lambda: self._told("on_stream_error"),
            on_error=self._error,
            on_status_change=self._changed,
            on_broadcast_ready=lambda: self._told("on_broadcast_ready"),
        )

    def missing(self) -> list[str]:
        """What should have been told, and was not."""
        if self._status is ConnectionStatus.FAILED and not self._fatal:
            return ["expected on_error with fatal=True of a connection that failed, got none"]
        return []

    def _told(self, what: str) -> None:
        if self.is_over:
            self._wrong.append(f"expected no handler to be called after disconnect() had returned, got {what}")

    def _changed(self, status: ConnectionStatus) -> None:
        self._told(f"on_status_change({status})")
        if status not in LEGAL[self._status]:
            legal = ", ".join(sorted(LEGAL[self._status])) or "none"
            self._wrong.append(f"expected one of these statuses after {self._status}: {legal}; got {status}")
        self._status = status

    def _error(self, error: Exception, fatal: bool) -> None:
        self._told("on_error")
        if not fatal:
            return
        self._fatal.append(error)
        if len(self._fatal) > 1:
            self._wrong.append(f"expected one fatal error of a connection, got {self._fatal}")
        if self._status is not ConnectionStatus.FAILED:
            self._wrong.append(f"expected a fatal error only with the status failed, got {error!r} with {self._status}")
