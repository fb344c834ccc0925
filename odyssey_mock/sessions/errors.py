"""Errors of calls on sessions."""

from odyssey_mock.core.picklable_error import PicklableError


class SessionStateError(PicklableError, RuntimeError):
    """The state of the session does not permit the call. The message states what was expected."""
