"""The mock for sync code, for other event loops and for threads."""

from odyssey_mock.sync.mock_odyssey import AsyncCalls, MockOdyssey
from odyssey_mock.sync.views import (
    BroadcastView,
    ClockView,
    FaultsView,
    JobsView,
    JournalView,
    RecordingsView,
    SessionView,
    SpectatorView,
)

__all__ = [
    "AsyncCalls",
    "BroadcastView",
    "ClockView",
    "FaultsView",
    "JobsView",
    "JournalView",
    "MockOdyssey",
    "RecordingsView",
    "SessionView",
    "SpectatorView",
]
