"""A fake Odyssey service for tests: real HTTP, WebSocket and WebRTC, without internet access.

Public names are imported on first use, because every pytest run imports the plugin of this package, even if no test
uses the mock.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odyssey_mock.accounts.accounts import MockAccount
    from odyssey_mock.assertions.failures import ExpectationError
    from odyssey_mock.assertions.frames import assert_frames
    from odyssey_mock.assertions.histories import History
    from odyssey_mock.assertions.requests import Request, Requests
    from odyssey_mock.broadcasts.broadcast import Broadcast
    from odyssey_mock.broadcasts.registry import Broadcasts
    from odyssey_mock.broadcasts.spectator import Spectator
    from odyssey_mock.core.clock import Clock, ClockEndError, ClockKindError, Deadline, ManualClock, RealClock
    from odyssey_mock.core.journal import Entry, Journal, JournalTimeoutError
    from odyssey_mock.faults.fault import Fault, FaultError
    from odyssey_mock.faults.registry import Faults
    from odyssey_mock.http.reachable_urls import ReachableUrl
    from odyssey_mock.media.stamp import FrameStamp, read_stamp
    from odyssey_mock.recordings.file_store import StoredFile
    from odyssey_mock.recordings.recordings import Recordings
    from odyssey_mock.recordings.stream_records import StreamRecord
    from odyssey_mock.server import MockOdyssey
    from odyssey_mock.sessions.errors import SessionStateError
    from odyssey_mock.sessions.session import Session
    from odyssey_mock.sessions.signaling_socket import CloseFrameError
    from odyssey_mock.setting_rules import SettingsError
    from odyssey_mock.settings import (
        PLANS,
        AccountSettings,
        FixedSettingError,
        Limits,
        Region,
        Settings,
        UnknownSettingError,
    )
    from odyssey_mock.simulations.job_records import JobRecord
    from odyssey_mock.simulations.jobs import Jobs
    from odyssey_mock.tls.errors import CertificateError

    __version__: str
    """The version of the installed package; ``0`` if it is not installed."""

__all__ = [
    "PLANS",
    "AccountSettings",
    "Broadcast",
    "Broadcasts",
    "CertificateError",
    "Clock",
    "ClockEndError",
    "ClockKindError",
    "CloseFrameError",
    "Deadline",
    "Entry",
    "ExpectationError",
    "Fault",
    "FaultError",
    "Faults",
    "FixedSettingError",
    "FrameStamp",
    "History",
    "JobRecord",
    "Jobs",
    "Journal",
    "JournalTimeoutError",
    "Limits",
    "ManualClock",
    "MockAccount",
    "MockOdyssey",
    "ReachableUrl",
    "RealClock",
    "Recordings",
    "Region",
    "Request",
    "Requests",
    "Session",
    "SessionStateError",
    "Settings",
    "SettingsError",
    "Spectator",
    "StoredFile",
    "StreamRecord",
    "UnknownSettingError",
    "assert_frames",
    "read_stamp",
]

_MODULES = {
    "accounts.accounts": ("MockAccount",),
    "core.clock": ("Clock", "ClockEndError", "ClockKindError", "Deadline", "ManualClock", "RealClock"),
    "assertions.failures": ("ExpectationError",),
    "assertions.frames": ("assert_frames",),
    "assertions.histories": ("History",),
    "assertions.requests": ("Request", "Requests"),
    "faults.fault": ("Fault", "FaultError"),
    "faults.registry": ("Faults",),
    "http.reachable_urls": ("ReachableUrl",),
    "core.journal": ("Entry", "Journal", "JournalTimeoutError"),
    "media.stamp": ("FrameStamp", "read_stamp"),
    "broadcasts.broadcast": ("Broadcast",),
    "broadcasts.registry": ("Broadcasts",),
    "broadcasts.spectator": ("Spectator",),
    "recordings.file_store": ("StoredFile",),
    "recordings.recordings": ("Recordings",),
    "recordings.stream_records": ("StreamRecord",),
    "sessions.errors": ("SessionStateError",),
    "sessions.session": ("Session",),
    "sessions.signaling_socket": ("CloseFrameError",),
    "simulations.job_records": ("JobRecord",),
    "simulations.jobs": ("Jobs",),
    "server": ("MockOdyssey",),
    "setting_rules": ("SettingsError",),
    "settings": (
        "PLANS",
        "AccountSettings",
        "FixedSettingError",
        "Limits",
        "Region",
        "Settings",
        "UnknownSettingError",
    ),
    "tls.errors": ("CertificateError",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


_EXTRA = frozenset({"jwt", "pydantic", "starlette", "uvicorn"})
"""Modules that the extra `mock` installs. An installation of the client alone does not have them."""


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("odyssey_client.version").client_version()
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "MockOdyssey":  # the server imports some of them later
        for required in sorted(_EXTRA):
            if find_spec(required) is None:
                raise _without_extra(required)
    try:
        module = import_module(f"{__name__}.{_HOME[name]}")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        raise _without_extra(missing) from error
    return getattr(module, name)


def _without_extra(missing: str) -> ImportError:
    return ImportError(
        f"odyssey_mock requires {missing}; install the extra `mock`: pip install 'odyssey-testkit[mock]'"
    )


def __dir__() -> list[str]:
    return __all__
