"""What happens to a connection, and what is to be done about it: the words between the machine and its shell.

`machine.py` takes the first kind and gives the second; `runner.py` the other way round. Plain frozen values, no
behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass

from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import OdysseyError
from odyssey_client.models import ConnectionStatus

# What happens, with what came along.


@dataclass(frozen=True, slots=True)
class Connect:
    """`connect`, or with credentials `connect_with_credentials`."""

    credentials: ClientCredentials | None = None


@dataclass(frozen=True, slots=True)
class NoStreamerFree:
    pass


@dataclass(frozen=True, slots=True)
class SessionOpened:
    credentials: ClientCredentials


@dataclass(frozen=True, slots=True)
class SessionRefused:
    error: OdysseyError


@dataclass(frozen=True, slots=True)
class VideoAdded:
    pass


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    pass


@dataclass(frozen=True, slots=True)
class SignalingClosed:
    """The socket closed with ``code`` (RFC 6455 section 7.4), or did not open: then ``code`` is None."""

    code: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ErrorReported:
    reason: str


@dataclass(frozen=True, slots=True)
class PeerLost:
    error: OdysseyError


@dataclass(frozen=True, slots=True)
class RetryDue:
    pass


@dataclass(frozen=True, slots=True)
class ReasonOverdue:
    pass


@dataclass(frozen=True, slots=True)
class Held:
    """A connection that came back has lasted as long as `WatchHold` said."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    pass


@dataclass(frozen=True, slots=True)
class Disconnect:
    pass


@dataclass(frozen=True, slots=True)
class Broke:
    """One of the connection's own tasks raised what it must not: a defect of this package."""

    error: Exception


type Input = (
    Connect
    | NoStreamerFree
    | SessionOpened
    | SessionRefused
    | VideoAdded
    | ChannelOpened
    | SignalingClosed
    | ErrorReported
    | PeerLost
    | RetryDue
    | ReasonOverdue
    | Held
    | TimedOut
    | Disconnect
    | Broke
)

# What is to be done about it.


@dataclass(frozen=True, slots=True)
class SetStatus:
    status: ConnectionStatus
    message: str | None = None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Make the REST calls that lead to credentials."""


@dataclass(frozen=True, slots=True)
class RenewSession:
    """Get a new token for the session of ``credentials``."""

    credentials: ClientCredentials


@dataclass(frozen=True, slots=True)
class LoseSession:
    """The session is gone: settle the calls that wait, tell of the stream that it has ended."""

    error: OdysseyError


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Send `TimedOut` after ``seconds``, unless it is stopped before, or the connection over."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StopTimer:
    pass


@dataclass(frozen=True, slots=True)
class OpenSignaling:
    """Open the socket and answer its offer."""

    credentials: ClientCredentials


@dataclass(frozen=True, slots=True)
class DropAttempt:
    """Give up what is under way: the REST calls, the watches, the socket and the peer connection.

    The socket is closed so that the service keeps the session. Whatever any of them still says is passed over.
    """


@dataclass(frozen=True, slots=True)
class ScheduleRetry:
    """Send `RetryDue` after ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AwaitReason:
    """Send `ReasonOverdue` after a moment."""


@dataclass(frozen=True, slots=True)
class WatchVideo:
    """Send `PeerLost` once no frame has come for too long."""


@dataclass(frozen=True, slots=True)
class WatchHold:
    """Send `Held` after ``seconds``, unless the attempt is dropped before."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CallConnected:
    pass


@dataclass(frozen=True, slots=True)
class CallDisconnected:
    pass


@dataclass(frozen=True, slots=True)
class Report:
    error: OdysseyError
    fatal: bool


@dataclass(frozen=True, slots=True)
class Release:
    """Say goodbye, close everything, and settle every call that still waits with ``error``."""

    error: OdysseyError


type Told = SetStatus | LoseSession | CallConnected | CallDisconnected | Report | Release
"""What somebody hears of."""

type Work = (
    OpenSession
    | RenewSession
    | StartTimer
    | StopTimer
    | OpenSignaling
    | DropAttempt
    | ScheduleRetry
    | AwaitReason
    | WatchVideo
    | WatchHold
)
"""What runs for a while."""

type Effect = Told | Work
