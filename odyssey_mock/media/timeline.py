"""The timeline of a stream: its prompts, each with the first frame that shows it (`docs/architecture.md`, Media).

Live video, recording and thumbnail of a stream depend only on its timeline, so the same timeline always gives the same
frames.
"""

from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter

from odyssey_mock.media.look import Look
from odyssey_mock.settings import StartImageFit

MIN_SHORT_SIDE = 88
MIN_LONG_SIDE = 160

_PLAIN_LOOK = Look()


class TimelineError(ValueError):
    """A value or an operation is invalid for a timeline. The message states what was expected and what was received."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height of a frame in pixels.

    Raises:
        TimelineError: width or height is odd, which yuv420p does not support, or the frame is too small for a stamp.
    """

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width % 2 or self.height % 2:
            raise TimelineError(f"expected an even width and height, got {self}")
        if min(self.width, self.height) < MIN_SHORT_SIDE or max(self.width, self.height) < MIN_LONG_SIDE:
            raise TimelineError(
                f"expected at least {MIN_SHORT_SIDE}x{MIN_LONG_SIDE} (in either orientation), got {self}"
            )

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def scale(self) -> float:
        """Scale relative to the sizes that the service uses (704x1280, 1280x704): 1.0 for these sizes."""
        return min(self.width, self.height) / 704


@dataclass(frozen=True, slots=True)
class Change:
    """A prompt that applies from frame `index` on.

    `revision` numbers the prompts of a stream: 0 for the prompt of the start, 1 for the first interaction.
    """

    index: int
    revision: int
    prompt: str


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of a timeline at one frame: all prompts up to this frame, beginning with that of the start."""

    index: int
    changes: tuple[Change, ...]

    @property
    def prompt(self) -> str:
        """The current prompt."""
        return self.changes[-1].prompt

    @property
    def revision(self) -> int:
        """Number of interactions that the frame shows."""
        return self.changes[-1].revision

    @property
    def changed_at(self) -> int:
        """Index of the first frame that shows the current prompt."""
        return self.changes[-1].index


class Timeline:
    """The start of a stream, its interactions by frame index, and its end. Append-only; any thread may read it.

    A frame must not change after it was rendered. The caller must therefore add an interaction before the first frame
    that shows it is rendered.

    Args:
        tag: 16-bit number that identifies the stream in frame stamps; None for the idle scene, outside any stream.
        size: size of every frame.
        fps: frames per second.
        prompt: prompt of the start.
        image: encoded start image (JPEG, PNG, WebP, GIF, BMP, HEIC, HEIF or AVIF).
        image_fit: how the start image fills the frame.
        look: what is drawn over the picture.

    Raises:
        TimelineError: `tag` does not fit in 16 bits, or `fps` is less than 1.
    """

    def __init__(
        self,
        *,
        tag: int | None,
        size: Size,
        fps: int = 20,
        prompt: str = "",
        image: bytes | None = None,
        image_fit: StartImageFit = "crop",
        look: Look = _PLAIN_LOOK,
    ) -> None:
        if tag is not None and not 0 <= tag < 2**16:
            raise TimelineError(f"expected a stream tag from 0 to 65535 or None, got {tag}")
        if fps < 1:
            raise TimelineError(f"expected at least 1 frame per second, got {fps}")
        self.tag = tag
        self.size = size
        self.fps = fps
        self.image = image
        self.image_fit: StartImageFit = image_fit
        self.look = look
        # Append-only: a rendering thread sees the list before or after an append, never in between.
        self._changes = [Change(index=0, revision=0, prompt=prompt)]
        self._frames: int | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """The start and every interaction, in order."""
        return tuple(self._changes)

    @property
    def frames(self) -> int | None:
        """Number of frames in the stream; None while the stream runs."""
        return self._frames

    def interact(self, index: int, prompt: str) -> int:
        """Add `prompt`, which applies from frame `index` on, and return its revision.

        If several interactions have the same index, the frame shows the last of them.

        Raises:
            TimelineError: `index` is before the latest change, the stream has ended, or this is the idle scene.
        """
        if self.tag is None:
            raise TimelineError("expected a stream to interact with, got the idle scene; start a stream first")
        if self._frames is not None:
            raise TimelineError(
                f"expected a running stream to interact with, got one that ended at frame {self._frames}"
            )
        latest = self._changes[-1]
        if index < latest.index:
            raise TimelineError(f"expected frame {latest.index} (that of the latest change) or later, got {index}")
        self._changes.append(Change(index=index, revision=latest.revision + 1, prompt=prompt))
        return latest.revision + 1

    def end(self, index: int) -> None:
        """End the stream, which then has the frames 0 to `index` - 1.

        Raises:
            TimelineError: `index` is before the latest change, or the stream has already ended.
        """
        if self._frames is not None:
            raise TimelineError(f"expected a running stream to end, got one that already ended at frame {self._frames}")
        if index < self._changes[-1].index:
            raise TimelineError(f"expected an end at frame {self._changes[-1].index} or later, got {index}")
        self._frames = index

    def at(self, index: int) -> Moment:
        """Return the state at frame `index`.

        Raises:
            TimelineError: `index` is negative or past the end.
        """
        frames = self._frames
        if index < 0 or (frames is not None and index >= frames):
            frame = "a frame index of 0 or more" if frames is None else f"a frame index below {frames}, the end"
            raise TimelineError(f"expected {frame}, got {index}")
        count = bisect_right(self._changes, index, key=attrgetter("index"))
        return Moment(index=index, changes=tuple(self._changes[:count]))
