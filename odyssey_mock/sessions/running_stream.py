"""The stream that is on, and what waits for its frames."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from odyssey_mock.core.clock import Deadline
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.sessions.channel_sender import NORMAL_REPLY, ReplyMode
from odyssey_mock.sessions.frame_pump import StreamSource

if TYPE_CHECKING:
    from odyssey_mock.broadcasts.broadcast import Broadcast


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """An update that is answered once frame `index` of its stream was sent."""

    index: int
    prompt: str
    manner: ReplyMode = NORMAL_REPLY


@dataclass(slots=True)
class RunningStream:
    """What belongs to the stream that is on."""

    record: StreamRecord
    bypass: bool
    showing: StreamSource
    broadcast: "Broadcast | None"
    manner: ReplyMode = NORMAL_REPLY
    """How the start is answered."""
    deadlines: list[Deadline] = field(default_factory=list)
    """What is due while it runs."""
    acknowledgements: deque[Acknowledgement] = field(default_factory=deque)

    def due(self, index: int) -> Iterator[Acknowledgement]:
        """What is to be answered now that frame `index` was sent, oldest first; each is given once."""
        while self.acknowledgements and self.acknowledgements[0].index <= index:
            yield self.acknowledgements.popleft()

    def end(self, next_index: int, now: float) -> None:
        """Nothing of it is due any more; `next_index` is that of the first frame that is not its own."""
        for deadline in self.deadlines:
            deadline.cancel()
        self.record.timeline.end(next_index)
        self.record.ended_at = now
