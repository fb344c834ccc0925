"""A fake backend for Odyssey: real HTTP, WebSocket and WebRTC, off line and on demand.

Names are loaded when they are first used: the pytest plugin of this package is imported in every run of pytest, whether
it needs the mock or not.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odyssey_mock.assertions import ExpectationError
    from odyssey_mock.broadcasts.broadcast import Broadcast
    from odyssey_mock.broadcasts.registry import Broadcasts
    from odyssey_mock.broadcasts.spectator import Spectator
    from odyssey_mock.core.clock import Clock, ManualClock, RealClock
    from odyssey_mock.core.journal import Entry, Journal, JournalTimeoutError
    from odyssey_mock.faults.fault import Fault, FaultError
    from odyssey_mock.faults.registry import Faults
    from odyssey_mock.media.stamp import FrameStamp, read_stamp
    from odyssey_mock.recordings.file_store import StoredFile
    from odyssey_mock.recordings.recordings import Recordings
    from odyssey_mock.recordings.stream_records import StreamRecord
    from odyssey_mock.server import MockOdyssey
    from odyssey_mock.sessions.session import Session
    from odyssey_mock.settings import (
        PLANS,
        AccountSettings,
        Limits,
        Region,
        Settings,
        SettingsError,
        UnknownSettingError,
    )
    from odyssey_mock.simulations.job_records import JobRecord
    from odyssey_mock.simulations.jobs import Jobs

    __version__: str
    """The version of this distribution; ``0`` where it runs without being installed."""

__all__ = [
    "PLANS",
    "AccountSettings",
    "Broadcast",
    "Broadcasts",
    "Clock",
    "Entry",
    "ExpectationError",
    "Fault",
    "FaultError",
    "Faults",
    "FrameStamp",
    "JobRecord",
    "Jobs",
    "Journal",
    "JournalTimeoutError",
    "Limits",
    "ManualClock",
    "MockOdyssey",
    "RealClock",
    "Recordings",
    "Region",
    "Session",
    "Settings",
    "SettingsError",
    "Spectator",
    "StoredFile",
    "StreamRecord",
    "UnknownSettingError",
    "read_stamp",
]

_MODULES = {
    "core.clock": ("Clock", "ManualClock", "RealClock"),
    "assertions": ("ExpectationError",),
    "faults.fault": ("Fault", "FaultError"),
    "faults.registry": ("Faults",),
    "core.journal": ("Entry", "Journal", "JournalTimeoutError"),
    "media.stamp": ("FrameStamp", "read_stamp"),
    "broadcasts.broadcast": ("Broadcast",),
    "broadcasts.registry": ("Broadcasts",),
    "broadcasts.spectator": ("Spectator",),
    "recordings.file_store": ("StoredFile",),
    "recordings.recordings": ("Recordings",),
    "recordings.stream_records": ("StreamRecord",),
    "sessions.session": ("Session",),
    "simulations.job_records": ("JobRecord",),
    "simulations.jobs": ("Jobs",),
    "server": ("MockOdyssey",),
    "settings": ("PLANS", "AccountSettings", "Limits", "Region", "Settings", "SettingsError", "UnknownSettingError"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


_EXTRA = frozenset({"jwt", "pydantic", "starlette", "uvicorn"})
"""What the extra `mock` brings; who only wants the client has none of it."""


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("odyssey_client.version").client_version()
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_HOME[name]}")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        raise ImportError(
            f"odyssey_mock needs {missing}, which comes with its extra: pip install 'odyssey-testkit[mock]'"
        ) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
