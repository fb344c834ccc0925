"""One stream as its event log: what was asked for, at which frame (`docs/architecture.md`, media).

Everything that shows a stream (live track, recording, thumbnail) is a function of its timeline, so the same timeline
always gives the same frames.
"""

from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter

MIN_SHORT_SIDE = 88
MIN_LONG_SIDE = 160


class TimelineError(ValueError):
    """A timeline was asked for what it cannot hold; the text says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height of a frame in pixels.

    Raises:
        TimelineError: an odd side (yuv420p halves both for color), or a frame too small to carry a stamp.
    """

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width % 2 or self.height % 2:
            raise TimelineError(f"expected an even width and height, got {self}")
        if min(self.width, self.height) < MIN_SHORT_SIDE or max(self.width, self.height) < MIN_LONG_SIDE:
            raise TimelineError(f"expected at least {MIN_SHORT_SIDE}x{MIN_LONG_SIDE} (either way up), got {self}")

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def scale(self) -> float:
        """Pixels that one pixel of the service's own sizes (704x1280, 1280x704) becomes."""
        return min(self.width, self.height) / 704


@dataclass(frozen=True, slots=True)
class Change:
    """The prompt that holds from frame `index` on, as number `revision` of its stream (0: the start)."""

    index: int
    revision: int
    prompt: str


@dataclass(frozen=True, slots=True)
class Moment:
    """What a timeline holds at one frame: every change up to it, the start first."""

    index: int
    changes: tuple[Change, ...]

    @property
    def prompt(self) -> str:
        """The prompt in force."""
        return self.changes[-1].prompt

    @property
    def revision(self) -> int:
        """How many interactions the frame shows."""
        return self.changes[-1].revision

    @property
    def changed_at(self) -> int:
        """Index of the first frame that shows the prompt in force."""
        return self.changes[-1].index


class Timeline:
    """A stream's start, its interactions at frame indexes, and its end; append only.

    Read from any thread. A frame's content is settled once it has been rendered: interactions take the index of a frame
    that is yet to be made.

    Args:
        tag: 16-bit number that tells streams apart in the frame stamps; None for the idle scene, which no stream owns.
        size: of every frame.
        fps: frames per second.
        prompt: the prompt of the start.
        image: what the stream starts from, as an encoded image (JPEG, PNG, WebP, GIF, BMP, HEIC, HEIF or AVIF).

    Raises:
        TimelineError: a tag outside 16 bits, or no frames per second.
    """

    def __init__(
        self, *, tag: int | None, size: Size, fps: int = 20, prompt: str = "", image: bytes | None = None
    ) -> None:
        if tag is not None and not 0 <= tag < 2**16:
            raise TimelineError(f"expected a stream tag from 0 to 65535 or None, got {tag}")
        if fps < 1:
            raise TimelineError(f"expected at least 1 frame per second, got {fps}")
        self.tag = tag
        self.size = size
        self.fps = fps
        self.image = image
        # Only ever appended to, which a thread that renders sees before or after, and never between.
        self._changes = [Change(index=0, revision=0, prompt=prompt)]
        self._frames: int | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """The start and every interaction, in order."""
        return tuple(self._changes)

    @property
    def frames(self) -> int | None:
        """How many frames the stream has; None while it runs."""
        return self._frames

    def interact(self, index: int, prompt: str) -> int:
        """Let `prompt` hold from frame `index` on; return its revision.

        Several interactions may share a frame: it shows the last of them.

        Raises:
            TimelineError: before the latest change, after the end, or on the idle scene.
        """
        if self.tag is None:
            raise TimelineError("expected a stream to interact with, got the idle scene; start a stream first")
        if self._frames is not None:
            raise TimelineError(
                f"expected a running stream, got an interaction with one that ended at frame {self._frames}"
            )
        latest = self._changes[-1]
        if index < latest.index:
            raise TimelineError(f"expected a frame from {latest.index} (the latest change) on, got {index}")
        self._changes.append(Change(index=index, revision=latest.revision + 1, prompt=prompt))
        return latest.revision + 1

    def end(self, index: int) -> None:
        """Close the log: the stream has the frames 0 to `index` - 1.

        Raises:
            TimelineError: before the latest change, or ended already.
        """
        if self._frames is not None:
            raise TimelineError(f"expected a running stream, got the end of one that ended at frame {self._frames}")
        if index < self._changes[-1].index:
            raise TimelineError(f"expected an end at frame {self._changes[-1].index} or later, got {index}")
        self._frames = index

    def at(self, index: int) -> Moment:
        """Look up what holds at frame `index`.

        Raises:
            TimelineError: a negative index, or one past the end.
        """
        frames = self._frames
        if index < 0 or (frames is not None and index >= frames):
            raise TimelineError(f"expected a frame from 0{'' if frames is None else f' to {frames - 1}'}, got {index}")
        count = bisect_right(self._changes, index, key=attrgetter("index"))
        return Moment(index=index, changes=tuple(self._changes[:count]))
