"""Check of the order in which an `Odyssey` client calls its event handlers."""

from __future__ import annotations

from odyssey_client import ConnectionStatus, OdysseyEventHandlers
from odyssey_mock.sim.status_transitions import STATUS_TRANSITIONS


class CallbackWatcher:
    """Event handlers for the connections of one client; they record illegal calls, such as those after `disconnect`."""

    def __init__(self) -> None:
        self._connections: list[_ConnectionCallbacks] = []
        self._wrong: list[str] = []

    def open(self) -> OdysseyEventHandlers:
        """Return the handlers for a new connection."""
        connection = _ConnectionCallbacks(self._wrong)
        self._connections.append(connection)
        return connection.handlers()

    def close(self) -> None:
        """Record that `disconnect` has returned: each further call of the existing handlers breaks a rule."""
        for connection in self._connections:
            connection.is_over = True

    def check(self, *, is_settled: bool = False) -> None:
        """Assert that no call broke a rule.

        Args:
            is_settled: whether the client has had time for all required calls; if so, missing calls are reported too.

        Raises:
            AssertionError: a call broke a rule, or, if `is_settled`, a required call is missing.
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
        """Return a description of each required handler call that did not happen."""
        if self._status is ConnectionStatus.FAILED and not self._fatal:
            return ["expected on_error with fatal=True, because the connection failed; got no such call"]
        return []

    def _told(self, what: str) -> None:
        if self.is_over:
            self._wrong.append(f"expected no handler call after disconnect() had returned, got {what}")

    def _changed(self, status: ConnectionStatus) -> None:
        self._told(f"on_status_change({status})")
        if status not in STATUS_TRANSITIONS[self._status]:
            legal = ", ".join(sorted(STATUS_TRANSITIONS[self._status])) or "none"
            self._wrong.append(f"expected one of these statuses after {self._status}: {legal}; got {status}")
        self._status = status

    def _error(self, error: Exception, fatal: bool) -> None:
        self._told("on_error")
        if not fatal:
            return
        self._fatal.append(error)
        if len(self._fatal) > 1:
            self._wrong.append(f"expected at most one fatal error per connection, got {self._fatal}")
        if self._status is not ConnectionStatus.FAILED:
            self._wrong.append(f"expected status failed before a fatal error, got {error!r} with status {self._status}")
