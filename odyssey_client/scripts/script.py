"""Scripts of simulations: made step by step, or read from JSON (protocol.md section 8).

::

    Script().start("A cat", image="cat.jpg").wait(3).interact("It looks out").wait(3).end()
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from odyssey_client.errors import ScriptError, ScriptFault
from odyssey_client.media.image_source import ImageSource, hold_image
from odyssey_client.scripts.json_format import checked, named_in, read_file, read_json
from odyssey_client.scripts.rules import (
    LATEST_MS,
    Faults,
    ScriptAction,
    ScriptEntry,
    TakeImage,
    describe,
    is_array,
    is_number,
    read_entries,
    read_entry,
)

type ScriptSource = Script | Sequence[Mapping[str, object]]
"""A script, or its entries in the form they have in JSON, with images of every kind (`ImageSource`)."""

ADVISED_GAP_MS = 3000
"""The least time between interactions that is advised [C]."""
USUAL_LIMIT_MS = 150_000
"""The longest video that a service makes by default [M]."""

_NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True)
class Script:
    """A script that cannot be changed: each step of building gives a new one.

    A step refuses at once what can never be right, such as a prompt that is no text; whether the whole is a good
    script, `faults` and `validate` say. Two scripts are equal if their entries are.

    Attributes:
        entries: What happens, in order.

    Raises:
        ScriptError: entries are given that are no `ScriptEntry`.
    """

    entries: tuple[ScriptEntry, ...] = ()
    _elapsed_ns: int | None = field(default=None, repr=False, compare=False)
    """The time of what comes next, finer than entries have it, so that many waits do not add up their rounding."""

    def __post_init__(self) -> None:
        entries: object = self.entries
        wrong = [each for each in entries if not isinstance(each, ScriptEntry)] if is_array(entries) else [entries]
        if wrong:
            expected = "values of ScriptEntry (Script.of takes entries in the form they have in JSON)"
            raise ScriptError([ScriptFault("script", expected, describe(wrong[0]))])
        object.__setattr__(self, "entries", tuple(self.entries))  # a list would change under its owner's hands

    def start(self, prompt: str, *, image: ImageSource | None = None) -> Script:
        """Begin the video.

        Args:
            prompt: What is to be seen; may be empty.
            image: What to begin from; a file object is read at once, a path when the script is judged or sent.

        Raises:
            ScriptError: the prompt is no text, or the image of no kind that can be sent.
        """
        return self._then("start", {"prompt": prompt} if image is None else {"prompt": prompt, "image": image})

    def wait(self, seconds: float) -> Script:
        """Let time pass before what follows. Times of entries are whole milliseconds, the nearest.

        Raises:
            ScriptError: ``seconds`` is no number, below 0, or beyond all bounds.
        """
        wait = _finite(seconds)
        if wait is None or not 0 <= wait <= LATEST_MS / 1000:
            expected = f"a wait of 0 to {LATEST_MS // 1000} seconds before it"
            raise ScriptError([ScriptFault(f"{self._next()}.timestamp_ms", expected, describe(seconds))])
        return Script(self.entries, self._elapsed() + round(wait * _NANOSECONDS))

    def interact(self, prompt: str) -> Script:
        """Change the video, at the time that the waits before this come to.

        Raises:
            ScriptError: the prompt is no text.
        """
        return self._then("interact", {"prompt": prompt})

    def end(self) -> Script:
        """End the video; the time of this is its length."""
        return self._then("end", {})

    @property
    def duration_seconds(self) -> float | None:
        """The length of the video; None as long as the script has no end."""
        if not self.entries or self.entries[-1].action != "end":
            return None
        return self.entries[-1].timestamp_ms / 1000

    @classmethod
    def of(cls, source: ScriptSource, *, path: str = "script") -> Script:
        """Read a script, or judge one that is made already. Images are decoded, which may take a second each.

        Args:
            source: The script; text at ``image`` is a ``data:`` URL or a path.
            path: What the script is called in faults.

        Raises:
            ScriptError: with all that is wrong.
        """
        if not isinstance(source, Script):
            return _read(source, path, checked)
        if faults := source.faults(path):
            raise ScriptError(faults)
        return source

    @classmethod
    def from_json(
        cls, text: str | bytes, *, path: str = "script", images_from: str | os.PathLike[str] | None = None
    ) -> Script:
        """Read a script from JSON text: an array of entries. Images are decoded, which may take a second each.

        Args:
            text: JSON as RFC 8259 has it, bytes in UTF-8. No object may have a key twice.
            path: What the script is called in faults.
            images_from: The directory that paths of images start from; with None, images are ``data:`` URLs.

        Raises:
            ScriptError: with all that is wrong.
        """
        return _read(read_json(text, path), path, named_in(images_from))

    @classmethod
    def load(cls, file: str | os.PathLike[str], *, path: str = "script") -> Script:
        """Read a script from a JSON file, as `from_json` does; paths of images start from the file's directory.

        Raises:
            ScriptError: the file cannot be read, has more than 64 MiB, or the script is wrong; with all that is.
        """
        content = read_file(file, path)
        return cls.from_json(content, path=path, images_from=os.path.dirname(file))  # noqa: PTH120 - of "a", it is ""

    def faults(self, path: str = "script") -> tuple[ScriptFault, ...]:
        """Return all that is wrong, in the order of the script; images are read and decoded for it."""
        faults = Faults()
        read_entries([entry.to_dict() for entry in self.entries], path, checked, faults)
        return faults.all()

    def validate(self) -> None:
        """Judge the script as `faults` does.

        Raises:
            ScriptError: with all that is wrong.
        """
        Script.of(self)

    def advice(self) -> tuple[str, ...]:
        """Return what is allowed and yet may disappoint, a line each; empty if there is nothing to say."""
        times = [(index, entry.timestamp_ms) for index, entry in enumerate(self.entries) if entry.action == "interact"]
        lines = [
            f"script[{index}].timestamp_ms: {time - before} ms after the interaction before it; "
            f"{ADVISED_GAP_MS} ms or more are advised, for each to show"
            for (_, before), (index, time) in pairwise(times)
            if 0 <= time - before < ADVISED_GAP_MS
        ]
        if (duration := self.duration_seconds) is not None and duration * 1000 > USUAL_LIMIT_MS:
            lines.append(
                f"script[{len(self.entries) - 1}].timestamp_ms: a video of {duration:g} s; "
                f"a service that makes at most {USUAL_LIMIT_MS / 1000:g} s, as is usual, fails it"
            )
        return tuple(lines)

    def __repr__(self) -> str:
        duration = self.duration_seconds
        length = "no end yet" if duration is None else f"{duration:g} s"
        return f"<Script: {len(self.entries)} {'entry' if len(self.entries) == 1 else 'entries'}, {length}>"

    def _then(self, action: ScriptAction, fields: Mapping[str, object]) -> Script:
        elapsed = self._elapsed()
        faults = Faults()
        entry = {"timestamp_ms": round(elapsed / 10**6), action: fields}
        found = read_entry(entry, self._next(), hold_image, faults)
        faults.check()
        return Script((*self.entries, *found.entries()), elapsed)

    def _elapsed(self) -> int:
        if self._elapsed_ns is not None:
            return self._elapsed_ns
        return self.entries[-1].timestamp_ms * 10**6 if self.entries else 0

    def _next(self) -> str:
        return f"script[{len(self.entries)}]"


def _finite(seconds: float) -> float | None:
    try:
        return float(seconds) if is_number(seconds) else None
    except OverflowError:  # an integer beyond all bounds
        return None


def _read(value: object, path: str, take_image: TakeImage) -> Script:
    faults = Faults()
    entries = read_entries(value, path, take_image, faults)
    faults.check()
    return Script(entries)
