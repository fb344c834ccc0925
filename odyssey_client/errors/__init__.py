"""Every error this package raises.

::

    OdysseyError                            anything below; code, status, detail, request_id, retryable
    ├── OdysseyConfigError                  (also ValueError) a wrong argument or setting; nothing was sent
    ├── OdysseyAuthError                    401, 403 and 422 of an API key; 401 of a token
    ├── OdysseyConnectionError              no connection, or none any longer
    │   ├── ServiceUnreachableError         no HTTP answer: refused, reset, no such host, too slow
    │   ├── QueueTimeoutError               no streamer became free in time
    │   ├── ConnectTimeoutError             one step of connecting took longer than its limit
    │   ├── SignalingError                  the signaling socket refused, broke or said something impossible
    │   ├── PeerError                       the WebRTC peer connection failed or closed
    │   ├── StreamerNotAvailableError       signaling: the streamer does not answer
    │   ├── StreamerDisconnectedError       signaling: the streamer is gone
    │   ├── BroadcastNotFoundError          no such broadcast, or none any longer
    │   ├── ConnectionLimitReachedError     signaling: the connection has lasted as long as it may
    │   ├── SessionLostError                the session is gone, and its stream with it
    │   └── ConnectionClosedError           the connection ended while a call was waiting on it
    ├── OdysseyStreamError                  the streamer refused or ended something; reason, message
    │   ├── OperationTimeoutError           a start, interaction or end was not answered in time
    │   └── InvalidStateError               the call does not fit the present state; nothing was sent
    ├── OdysseyUsageError                   429: a limit of the account; action, action_url, details
    │   ├── MonthlyLimitReachedError
    │   ├── ConcurrentLimitReachedError
    │   ├── StreamDurationExceededError
    │   ├── AccountSuspendedError
    │   └── RateLimitError
    ├── OdysseyApiError                     any other HTTP error status
    │   └── UnexpectedResponseError         a success status with a body that is not what it must be
    ├── OdysseySimulationError              a call about a simulation job was refused
    │   ├── SimulationFailedError           the job failed, or some of its streams did
    │   ├── SimulationCancelledError        the job was cancelled
    │   └── SimulationTimeoutError          the job had not ended in the time it was waited for
    ├── DownloadError                       a file could not be fetched whole, or not be written
    ├── ScriptError                         (also ValueError) a simulation script is wrong; all its faults
    └── ImageError                          (also ValueError) an image cannot be used

What the service says, and which of these it becomes, is the table in `wire.py`. Messages that the vendor documents
(protocol.md section 9) are kept word for word; what the service added is in ``detail``. No message, ``repr`` or
``detail`` holds an API key or a token.
"""

from odyssey_client.errors.base import (
    ImageError,
    OdysseyApiError,
    OdysseyAuthError,
    OdysseyConfigError,
    OdysseyError,
    UnexpectedResponseError,
    excerpt,
)
from odyssey_client.errors.connection import (
    BroadcastNotFoundError,
    ConnectionClosedError,
    ConnectionLimitReachedError,
    ConnectTimeoutError,
    InvalidStateError,
    OdysseyConnectionError,
    OdysseyStreamError,
    OperationTimeoutError,
    PeerError,
    QueueTimeoutError,
    ServiceUnreachableError,
    SessionLostError,
    SignalingError,
    StreamerDisconnectedError,
    StreamerNotAvailableError,
)
from odyssey_client.errors.service_errors import connection_error, stream_error
from odyssey_client.errors.simulation import (
    DownloadError,
    OdysseySimulationError,
    ScriptError,
    ScriptFault,
    SimulationCancelledError,
    SimulationFailedError,
    SimulationTimeoutError,
)
from odyssey_client.errors.usage import (
    AccountSuspendedError,
    ConcurrentLimitReachedError,
    MonthlyLimitReachedError,
    OdysseyUsageError,
    RateLimitError,
    StreamDurationExceededError,
)

__all__ = [
    "AccountSuspendedError",
    "BroadcastNotFoundError",
    "ConcurrentLimitReachedError",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "ConnectionLimitReachedError",
    "DownloadError",
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
    "connection_error",
    "excerpt",
    "stream_error",
]
