"""What happens to the streaming of a connection, and what is to be done about it.

The words between `operations.py` and its shell, `streaming.py`. A call is known by a number that the shell gives it;
an answer of the streamer is the event that the user sees. Plain frozen values, no behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass

from odyssey_client.connection.messages import BroadcastUnusable
from odyssey_client.errors import OdysseyError
from odyssey_client.events import BroadcastReady, InteractAcknowledged, StreamEnded, StreamError, StreamStarted


@dataclass(frozen=True, slots=True)
class Start:
    call: int
    prompt: str


@dataclass(frozen=True, slots=True)
class Interact:
    call: int
    prompt: str


@dataclass(frozen=True, slots=True)
class End:
    call: int


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The call timed out or was cancelled; the same again when its place is to be given up too."""

    call: int


@dataclass(frozen=True, slots=True)
class LoseSession:
    """The session is gone, because of ``error``; the connection is about to get another one."""

    error: OdysseyError


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is over, because of ``error``."""

    error: OdysseyError


type Call = Start | Interact | End
type Announced = StreamStarted | InteractAcknowledged | StreamEnded | StreamError | BroadcastReady
type Answer = Announced | BroadcastUnusable
type Input = Call | GaveUp | Answer | LoseSession | Close


# What is to be done.


@dataclass(frozen=True, slots=True)
class Resolve:
    """The call returns ``value``: the stream's id, the acknowledged prompt, or nothing."""

    call: int
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """The call raises ``error``."""

    call: int
    error: OdysseyError


@dataclass(frozen=True, slots=True)
class Announce:
    """Handlers and event streams are told."""

    answer: Announced


type Effect = Resolve | Reject | Announce
