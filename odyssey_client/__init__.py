"""Client library for Odyssey: interactive video over WebRTC, simulations and recordings.

Public names are imported on first use, because the command `odyssey` and every pytest run import this package, even if
they use none of them. Heavy dependencies (aiortc, av, numpy, Pillow, httpx, websockets) are imported later, by the call
that needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odyssey_client.client.odyssey import Odyssey
    from odyssey_client.config import AdvancedConfig, Reconnect
    from odyssey_client.credentials import ClientCredentials
    from odyssey_client.errors import (
        AccountSuspendedError,
        BroadcastNotFoundError,
        ConcurrentLimitReachedError,
        ConnectionClosedError,
        ConnectionLimitReachedError,
        ConnectTimeoutError,
        DownloadError,
        DownloadTimeoutError,
        ImageError,
        InvalidStateError,
        MonthlyLimitReachedError,
        OdysseyApiError,
        OdysseyAuthError,
        OdysseyConfigError,
        OdysseyConnectionError,
        OdysseyError,
        OdysseySimulationError,
        OdysseyStreamError,
        OdysseyUsageError,
        OperationTimeoutError,
        PeerError,
        QueueTimeoutError,
        RateLimitError,
        ScriptError,
        ScriptFault,
        ServiceUnreachableError,
        SessionLostError,
        SignalingError,
        SimulationCancelledError,
        SimulationFailedError,
        SimulationTimeoutError,
        StreamDurationExceededError,
        StreamerDisconnectedError,
        StreamerNotAvailableError,
        UnexpectedResponseError,
    )
    from odyssey_client.events import (
        BroadcastReady,
        Connected,
        Disconnected,
        ErrorOccurred,
        Event,
        EventReader,
        InteractAcknowledged,
        OdysseyEventHandlers,
        StatusChanged,
        StreamEnded,
        StreamFailed,
        StreamStarted,
    )
    from odyssey_client.media.frames import FrameReader, VideoFrame
    from odyssey_client.media.recorder import Recorder
    from odyssey_client.media.recovery import recover_recordings
    from odyssey_client.media.stream import MediaStream
    from odyssey_client.models import (
        BroadcastInfo,
        ConnectionStatus,
        Recording,
        SimulationJob,
        SimulationJobDetail,
        SimulationJobInfo,
        SimulationJobsList,
        SimulationJobStatus,
        SimulationStream,
        StreamerCapabilities,
        StreamRecordingsListResponse,
        StreamRecordingSummary,
    )
    from odyssey_client.platform import Clock, Entropy, Network
    from odyssey_client.rest.downloads import Artifact, DownloadProgress
    from odyssey_client.scripts.rules import ScriptEntry
    from odyssey_client.scripts.script import Script, ScriptSource
    from odyssey_client.spectator.spectator_connection import SpectatorConnection, connect_to_stream
    from odyssey_client.spectator.spectator_machine import SpectatorState
    from odyssey_client.system import SystemClock, SystemEntropy, SystemNetwork

    __version__: str
    """Version of the installed distribution; ``0`` if the package is not installed."""

__all__ = [
    "AccountSuspendedError",
    "AdvancedConfig",
    "Artifact",
    "BroadcastInfo",
    "BroadcastNotFoundError",
    "BroadcastReady",
    "ClientCredentials",
    "Clock",
    "ConcurrentLimitReachedError",
    "ConnectTimeoutError",
    "Connected",
    "ConnectionClosedError",
    "ConnectionLimitReachedError",
    "ConnectionStatus",
    "Disconnected",
    "DownloadError",
    "DownloadProgress",
    "DownloadTimeoutError",
    "Entropy",
    "ErrorOccurred",
    "Event",
    "EventReader",
    "FrameReader",
    "ImageError",
    "InteractAcknowledged",
    "InvalidStateError",
    "MediaStream",
    "MonthlyLimitReachedError",
    "Network",
    "Odyssey",
    "OdysseyApiError",
    "OdysseyAuthError",
    "OdysseyConfigError",
    "OdysseyConnectionError",
    "OdysseyError",
    "OdysseyEventHandlers",
    "OdysseySimulationError",
    "OdysseyStreamError",
    "OdysseyUsageError",
    "OperationTimeoutError",
    "PeerError",
    "QueueTimeoutError",
    "RateLimitError",
    "Reconnect",
    "Recorder",
    "Recording",
    "Script",
    "ScriptEntry",
    "ScriptError",
    "ScriptFault",
    "ScriptSource",
    "ServiceUnreachableError",
    "SessionLostError",
    "SignalingError",
    "SimulationCancelledError",
    "SimulationFailedError",
    "SimulationJob",
    "SimulationJobDetail",
    "SimulationJobInfo",
    "SimulationJobStatus",
    "SimulationJobsList",
    "SimulationStream",
    "SimulationTimeoutError",
    "SpectatorConnection",
    "SpectatorState",
    "StatusChanged",
    "StreamDurationExceededError",
    "StreamEnded",
    "StreamFailed",
    "StreamRecordingSummary",
    "StreamRecordingsListResponse",
    "StreamStarted",
    "StreamerCapabilities",
    "StreamerDisconnectedError",
    "StreamerNotAvailableError",
    "SystemClock",
    "SystemEntropy",
    "SystemNetwork",
    "UnexpectedResponseError",
    "VideoFrame",
    "connect_to_stream",
    "recover_recordings",
]

_MODULES = {
    "client.odyssey": ("Odyssey",),
    "config": ("AdvancedConfig", "Reconnect"),
    "credentials": ("ClientCredentials",),
    "errors": (
        "AccountSuspendedError",
        "BroadcastNotFoundError",
        "ConcurrentLimitReachedError",
        "ConnectionClosedError",
        "ConnectionLimitReachedError",
        "ConnectTimeoutError",
        "DownloadError",
        "DownloadTimeoutError",
        "ImageError",
        "InvalidStateError",
        "MonthlyLimitReachedError",
        "OdysseyApiError",
        "OdysseyAuthError",
        "OdysseyConfigError",
        "OdysseyConnectionError",
        "OdysseyError",
        "OdysseySimulationError",
        "OdysseyStreamError",
        "OdysseyUsageError",
        "OperationTimeoutError",
        "PeerError",
        "QueueTimeoutError",
        "RateLimitError",
        "ScriptError",
        "ScriptFault",
        "ServiceUnreachableError",
        "SessionLostError",
        "SignalingError",
        "SimulationCancelledError",
        "SimulationFailedError",
        "SimulationTimeoutError",
        "StreamDurationExceededError",
        "StreamerDisconnectedError",
        "StreamerNotAvailableError",
        "UnexpectedResponseError",
    ),
    "events": (
        "BroadcastReady",
        "Connected",
        "Disconnected",
        "ErrorOccurred",
        "Event",
        "EventReader",
        "InteractAcknowledged",
        "OdysseyEventHandlers",
        "StatusChanged",
        "StreamEnded",
        "StreamFailed",
        "StreamStarted",
    ),
    "media.frames": ("FrameReader", "VideoFrame"),
    "media.recorder": ("Recorder",),
    "media.recovery": ("recover_recordings",),
    "media.stream": ("MediaStream",),
    "models": (
        "BroadcastInfo",
        "ConnectionStatus",
        "Recording",
        "SimulationJob",
        "SimulationJobDetail",
        "SimulationJobInfo",
        "SimulationJobsList",
        "SimulationJobStatus",
        "SimulationStream",
        "StreamerCapabilities",
        "StreamRecordingsListResponse",
        "StreamRecordingSummary",
    ),
    "platform": ("Clock", "Entropy", "Network"),
    "rest.downloads": ("Artifact", "DownloadProgress"),
    "scripts.rules": ("ScriptEntry",),
    "scripts.script": ("Script", "ScriptSource"),
    "spectator.spectator_connection": ("SpectatorConnection", "connect_to_stream"),
    "spectator.spectator_machine": ("SpectatorState",),
    "system": ("SystemClock", "SystemEntropy", "SystemNetwork"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
_PARTS = frozenset(module.partition(".")[0] for module in _MODULES)
"""Modules and packages of this one, which `import odyssey_client` makes accessible, such as `odyssey_client.errors`."""


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module(f"{__name__}.version").client_version()
    if name in _PARTS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
