"""Simulation scripts: built step by step, or read from JSON (protocol.md section 8).

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
"""A script, or its entries in their JSON form. An image may be of any type of `ImageSource`."""

ADVISED_GAP_MS = 3000
"""Recommended minimum time between two interactions, in milliseconds (protocol.md section 8)."""
USUAL_LIMIT_MS = 150_000
"""Default limit of a service for the length of a video, in milliseconds (protocol.md section 7)."""

_NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True)
class Script:
    """An immutable simulation script: each building step returns a new script.

    A building step raises an error for values that are never valid, such as a prompt that is not text. `faults` and
    `validate` check the whole script. Two scripts are equal if their entries are equal.

    Attributes:
        entries: The entries, in order.

    Raises:
        ScriptError: ``entries`` is not a sequence, or one of them is not a `ScriptEntry`.
    """

    entries: tuple[ScriptEntry, ...] = ()
    _elapsed_ns: int | None = field(default=None, repr=False, compare=False)
    """Time of the next entry, in nanoseconds; None if it is the time of the last entry.

    This time is more precise than the times of entries, so that rounding errors of many waits do not add up.
    """

    def __post_init__(self) -> None:
        entries: object = self.entries
        wrong = [each for each in entries if not isinstance(each, ScriptEntry)] if is_array(entries) else [entries]
        if wrong:
            expected = "ScriptEntry values (Script.of takes entries in their JSON form)"
            raise ScriptError([ScriptFault("script", expected, describe(wrong[0]))])
        object.__setattr__(self, "entries", tuple(self.entries))  # the caller might change a list

    def start(self, prompt: str, *, image: ImageSource | None = None) -> Script:
        """Add the start of the video.

        Args:
            prompt: The prompt; may be empty.
            image: The image that the video starts from. A file object is read now. A path is read when the script is
                checked or sent.

        Raises:
            ScriptError: ``prompt`` is not text, or ``image`` is of an unsupported type.
        """
        return self._then("start", {"prompt": prompt} if image is None else {"prompt": prompt, "image": image})

    def wait(self, seconds: float) -> Script:
        """Add a wait before the next entry. The times of entries are rounded to whole milliseconds.

        Raises:
            ScriptError: ``seconds`` is negative, too large, or not a number.
        """
        wait = _finite(seconds)
        if wait is None or not 0 <= wait <= LATEST_MS / 1000:
            expected = f"a wait of 0 to {LATEST_MS // 1000} seconds before this entry"
            raise ScriptError([ScriptFault(f"{self._next()}.timestamp_ms", expected, describe(seconds))])
        return Script(self.entries, self._elapsed() + round(wait * _NANOSECONDS))

    def interact(self, prompt: str) -> Script:
        """Add an interaction, which changes the video at the time of the last entry plus the waits after that entry.

        Raises:
            ScriptError: ``prompt`` is not text.
        """
        return self._then("interact", {"prompt": prompt})

    def end(self) -> Script:
        """Add the end of the video. The time of this entry is the length of the video."""
        return self._then("end", {})

    @property
    def duration_seconds(self) -> float | None:
        """The length of the video in seconds; None if the script has no end yet."""
        if not self.entries or self.entries[-1].action != "end":
            return None
        return self.entries[-1].timestamp_ms / 1000

    @classmethod
    def of(cls, source: ScriptSource, *, path: str = "script") -> Script:
        """Return a checked script from a script or its entries. Decoding an image may take a second.

        Args:
            source: The script, or its entries. A string as ``image`` is a ``data:`` URL or a path.
            path: The name of the script in reported faults.

        Raises:
            ScriptError: the script is invalid; the error lists its faults.
        """
        if not isinstance(source, Script):
            return _read(source, path, checked)
        _faults_of(source, path).check()
        return source

    @classmethod
    def from_json(
        cls, text: str | bytes, *, path: str = "script", images_from: str | os.PathLike[str] | None = None
    ) -> Script:
        """Read a script from JSON text: an array of entries. Decoding an image may take a second.

        Args:
            text: JSON according to RFC 8259, as text or in UTF-8, without duplicate keys.
            path: The name of the script in reported faults.
            images_from: The directory for relative paths of images; with None, images must be ``data:`` URLs.

        Raises:
            ScriptError: the script is invalid; the error lists its faults.
        """
        return _read(read_json(text, path), path, named_in(images_from))

    @classmethod
    def load(cls, file: str | os.PathLike[str], *, path: str = "script") -> Script:
        """Read a script from a JSON file, as `from_json` does. Paths of images are relative to the file's directory.

        Raises:
            ScriptError: the file cannot be read, is larger than 64 MiB, or the script is invalid. The error lists
                its faults.
        """
        content = read_file(file, path)
        return cls.from_json(content, path=path, images_from=os.path.dirname(file))  # noqa: PTH120 - "" for "a", not "."

    def faults(self, path: str = "script") -> tuple[ScriptFault, ...]:
        """Check the script and return its faults, in the order of the script. Images are read and decoded.

        Only the first 100 faults are returned; the ``ScriptError`` of `validate` also has the number of the others.
        """
        return _faults_of(self, path).listed()

    def validate(self) -> None:
        """Check the script as `faults` does.

        Raises:
            ScriptError: the script is invalid; the error lists its faults.
        """
        Script.of(self)

    def advice(self) -> tuple[str, ...]:
        """Return warnings about valid parts that may not work as expected, one line each."""
        times = [(index, entry.timestamp_ms) for index, entry in enumerate(self.entries) if entry.action == "interact"]
        lines = [
            f"script[{index}].timestamp_ms: {time - before} ms after the previous interaction; "
            f"{ADVISED_GAP_MS} ms or more are recommended, so that each change is visible"
            for (_, before), (index, time) in pairwise(times)
            if 0 <= time - before < ADVISED_GAP_MS
        ]
        if (duration := self.duration_seconds) is not None and duration * 1000 > USUAL_LIMIT_MS:
            lines.append(
                f"script[{len(self.entries) - 1}].timestamp_ms: a video of {duration:g} s; "
                f"the simulation fails on a service with the usual limit of {USUAL_LIMIT_MS / 1000:g} s"
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


def _faults_of(script: Script, path: str) -> Faults:
    faults = Faults()
    read_entries([entry.to_dict() for entry in script.entries], path, checked, faults)
    return faults


def _finite(seconds: float) -> float | None:
    try:
        return float(seconds) if is_number(seconds) else None
    except OverflowError:  # an integer that is too large
        return None


def _read(value: object, path: str, take_image: TakeImage) -> Script:
    faults = Faults()
    entries = read_entries(value, path, take_image, faults)
    faults.check()
    return Script(entries)
