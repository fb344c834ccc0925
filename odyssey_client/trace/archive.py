"""Writing and reading of trace files.

A trace file is a zip. docs/reference/trace.md describes its entries. Secrets are masked before an event is written. A
file that is read may come from anywhere, so its size, its entries and their contents are checked, and nothing is
extracted to disk. All functions block.
"""

from __future__ import annotations

import json
import math
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from odyssey_client.file_replacement import file_to_replace, protect
from odyssey_client.models import JSON
from odyssey_client.partial_file import PartialFile
from odyssey_client.redaction import received, redacted_json
from odyssey_client.trace.events import FormatError, Manifest, SourceFile, TraceEvent
from odyssey_client.trace.recorder import Recording

SUFFIX = ".odytrace"
"""The suffix of trace files."""

FILE_LIMIT = 256 << 20
"""Maximum size of a file that is read, in bytes: five times the default limit of a recording."""
CONTENT_LIMIT = 512 << 20
"""Maximum size of all entries of a file that is read, in bytes after decompression."""
ENTRY_LIMIT = 20_000
"""Maximum number of entries of a file. A recording of 50 MB has about 12,000 thumbnails at most."""
LINE_LIMIT = 8 << 20
"""Maximum size of one event in a file, in bytes."""
EVENT_LIMIT = 2_000_000
"""Maximum number of events in a file."""
MANIFEST_LIMIT = 16 << 20
"""Maximum size of the manifest, in bytes."""

_MANIFEST, _EVENTS = "manifest.json", "events.jsonl"
_NAMES = re.compile(r"manifest\.json|events\.jsonl|frames/[0-9]{6}\.jpg|sources/[0-9]{1,4}\.txt")
_DIRECTORY_LIMIT = ENTRY_LIMIT * 100
"""Maximum size of the table of contents, in bytes: a name of the format takes less than 100."""
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Compression methods of entries. With others, a damaged entry raises more errors, or takes gigabytes of memory."""
_DIRECTORY_END, _LOCATOR = 22, 20
"""Sizes in bytes of the end of a table of contents, and of the locator of ZIP64 that may be before it."""
_LONGEST_COMMENT = (1 << 16) - 1
_LONGEST_INTEGER = 10_000
"""Number of bits of the largest integer that is written: fewer than Python converts to text."""
_LONGEST_TITLE, _LONGEST_TEXT = 2_000, 20_000
"""Number of characters of the title, and of other texts of a manifest. The redaction leaves out what is after 100,000
characters in all."""
_DATE = (1980, 1, 1, 0, 0, 0)
"""The date of every entry, so that equal traces are equal files."""

type Redact = Callable[[JSON], JSON]
"""A function that masks secrets in JSON."""


class TraceFileError(ValueError):
    """A file is not a trace, is damaged or too large, or was written by a newer version."""


class Trace:
    """The contents of a trace file. It is a context manager, which closes the file.

    Attributes:
        manifest: What the trace is about.
        events: The events, in order of their times, without their images; see `image`.
        sources: The source files.
    """

    def __init__(
        self,
        manifest: Manifest,
        events: Sequence[TraceEvent],
        sources: Sequence[SourceFile] = (),
        file: zipfile.ZipFile | None = None,
    ) -> None:
        self.manifest = manifest
        self.events = tuple(events)
        self.sources = tuple(sources)
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; `image` raises an error afterward."""
        if self._file is not None:
            self._file.close()

    def image(self, event: TraceEvent) -> bytes | None:
        """Return the thumbnail of an event as JPEG; None if it has none.

        Raises:
            TraceFileError: the file is damaged, or does not contain the thumbnail.
        """
        name = event.data.get("file")
        if event.image is not None or not isinstance(name, str) or self._file is None:
            return event.image
        if not name.startswith("frames/") or not _NAMES.fullmatch(name):
            raise TraceFileError(f"expected a thumbnail such as frames/000001.jpg, got {name[:80]!r}")
        return _contents(self._file, name, LINE_LIMIT)


def write_trace(
    path: Path | str,
    recording: Recording,
    manifest: Manifest,
    sources: Iterable[SourceFile] = (),
    *,
    redact: Redact = redacted_json,
) -> None:
    """Write a recording to a file, which appears when it is complete; an existing file is replaced.

    The duration and the numbers of dropped events in the manifest are taken from the recording.

    Args:
        path: The file.
        recording: The events.
        manifest: What the trace is about.
        sources: Source files that events or the failure refer to.
        redact: Masks secrets in everything that is written, except images and source files.

    Raises:
        OSError: the file cannot be written.
    """
    target = file_to_replace(Path(path))
    part = PartialFile.create(target, "trace")
    try:
        protect(part.path, target)
        with zipfile.ZipFile(part.path, "w", zipfile.ZIP_DEFLATED) as archive:
            _write(archive, recording, manifest, tuple(sources), redact)
        part.replace(target)
    finally:
        part.delete()


def read_trace(path: Path | str) -> Trace:
    """Read a trace file. Images are read later, by `Trace.image`, so close the trace at the end.

    Raises:
        TraceFileError: the file is not a trace, is damaged or too large, or was written by a newer version.
        OSError: the file cannot be read.
    """
    path = Path(path)
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # reading a pipe could wait forever
        raise TraceFileError(f"{path}: expected a file, got a directory, a pipe or a device")
    if found.st_size > FILE_LIMIT:
        raise TraceFileError(f"{path}: expected a file of {FILE_LIMIT:,} bytes or less, got {found.st_size:,} bytes")
    try:
        return _read(path)
    except (FormatError, TraceFileError) as error:
        raise TraceFileError(f"{path}: {error}") from None


# Writing.


def _write(
    archive: zipfile.ZipFile,
    recording: Recording,
    manifest: Manifest,
    sources: Sequence[SourceFile],
    redact: Redact,
) -> None:
    with archive.open(_info(_EVENTS), "w") as lines:
        frames = 0
        for number, event in enumerate(recording.events):
            if event.image is not None:
                name = f"frames/{frames:06}.jpg"
                event = replace(event, data={**event.data, "file": name})  # noqa: PLW2901 - with the name of its image
                frames += 1
            lines.write(_encoded(redact(event.to_json(number))) + b"\n")
    images = (event.image for event in recording.events if event.image is not None)
    for number, image in enumerate(images):
        archive.writestr(_info(f"frames/{number:06}.jpg"), image, zipfile.ZIP_STORED)
    listed: list[JSON] = []
    for number, source in enumerate(sources):
        name = f"sources/{number}.txt"
        archive.writestr(_info(name), _masked_lines(source.text).encode(errors="backslashreplace"))
        listed.append({"file": source.file, "entry": name, "first_line": source.first_line})
    complete = replace(_shortened(manifest), duration=recording.duration, dropped=recording.dropped)
    content = complete.to_json(sources=listed, events=len(recording.events), frames=frames)
    archive.writestr(_info(_MANIFEST), _encoded(redact(content)))


def _shortened(manifest: Manifest) -> Manifest:
    """Return the manifest with shorter texts: the beginning of each, and the end of the traceback."""
    failure = manifest.failure
    if failure is not None:
        failure = replace(failure, message=_beginning(failure.message), traceback=_end(failure.traceback))
    return replace(
        manifest,
        title=_beginning(manifest.title, _LONGEST_TITLE),
        command=None if manifest.command is None else _beginning(manifest.command),
        failure=failure,
    )


def _beginning(text: str, length: int = _LONGEST_TEXT) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _end(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    cut, _, rest = text[2 - _LONGEST_TEXT :].partition("\n")
    return f"…\n{rest or cut}"


def _masked_lines(text: str) -> str:
    """Return the text of a source file with its secrets masked, line by line."""
    return "".join(received(line) for line in text.splitlines(keepends=True))


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


def _encoded(value: JSON) -> bytes:
    # Lone surrogates have no UTF-8 encoding; escapes of JSON can express them.
    try:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, TypeError):  # rarely
        return json.dumps(_json(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def _json(value: object) -> JSON:
    """Return what JSON cannot express as text: NaN, infinity, very large integers, and objects.

    Python reads NaN in JSON from a server, so any message may contain it.
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if value.bit_length() <= _LONGEST_INTEGER else f"an integer of {value.bit_length():,} bits"
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): _json(each) for key, each in value.items()}
        case list() | tuple():
            return [_json(each) for each in value]
    return {"type": type(value).__name__}


# Reading.


def _read(path: Path) -> Trace:
    with path.open("rb") as file:
        _check_directory(file)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise TraceFileError(f"expected a trace file, got a damaged zip: {error}") from None
    try:
        _check_entries(archive)
        content = _parsed(_contents(archive, _MANIFEST, MANIFEST_LIMIT), _MANIFEST)
        manifest = Manifest.from_json(content)
        events = [TraceEvent.from_json(_parsed(line, _EVENTS)) for line in _lines(archive)]
        return Trace(manifest, sorted(events, key=lambda event: event.at), list(_sources(archive, content)), archive)
    except BaseException:
        archive.close()
        raise


def _check_directory(file: IO[bytes]) -> None:
    """Check the size of the table of contents, which `ZipFile` would read as a whole."""
    end = file.seek(0, 2)
    file.seek(max(0, end - _LONGEST_COMMENT - _DIRECTORY_END - _LOCATOR))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + _DIRECTORY_END:
        raise TraceFileError("expected a trace file (a zip), got something else or a part of a file")
    if tail[max(0, at - _LOCATOR) : at].startswith(b"PK\6\7"):  # with other numbers, which `ZipFile` prefers
        raise TraceFileError(f"expected at most {ENTRY_LIMIT:,} entries, got a zip with the extension ZIP64 for more")
    entries, size = struct.unpack("<HI", tail[at + 10 : at + 16])
    if entries > ENTRY_LIMIT or size > _DIRECTORY_LIMIT:
        raise TraceFileError(f"expected at most {ENTRY_LIMIT:,} entries, got more")


def _check_entries(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if len(entries) > ENTRY_LIMIT:
        raise TraceFileError(f"expected at most {ENTRY_LIMIT:,} entries, got {len(entries):,}")
    names = set[str]()
    for entry in entries:
        if not _NAMES.fullmatch(entry.orig_filename) or entry.orig_filename in names:
            raise TraceFileError(
                f"expected only the entries of a trace, each once, got {entry.orig_filename[:80]!r}; "
                'the page "Trace files" of the documentation lists them'
            )
        if entry.compress_type not in _METHODS:
            raise TraceFileError(
                f"{entry.orig_filename}: expected an entry that is stored or deflated, got the compression method "
                f"{entry.compress_type}"
            )
        names.add(entry.orig_filename)
    missing = {_MANIFEST, _EVENTS} - names
    if missing:
        raise TraceFileError(f"expected a trace file, got a zip without {min(missing)}")
    total = sum(entry.file_size for entry in entries)
    if total > CONTENT_LIMIT:
        raise TraceFileError(f"expected at most {CONTENT_LIMIT:,} bytes after decompression, got {total:,}")


def _contents(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with _entry(archive, name) as file:
        content = _next(file, name, limit + 1, by_line=False)
    if len(content) > limit:
        raise TraceFileError(f"{name}: expected at most {limit:,} bytes, got more")
    return content


def _lines(archive: zipfile.ZipFile) -> Iterator[bytes]:
    with _entry(archive, _EVENTS) as file:
        for _ in range(EVENT_LIMIT):
            line = _next(file, _EVENTS, LINE_LIMIT + 1, by_line=True)
            if not line:
                return
            if len(line) > LINE_LIMIT:
                raise TraceFileError(f"{_EVENTS}: expected lines of {LINE_LIMIT:,} bytes or less, got more")
            yield line
        if _next(file, _EVENTS, 1, by_line=False):
            raise TraceFileError(f"{_EVENTS}: expected at most {EVENT_LIMIT:,} events, got more")


def _sources(archive: zipfile.ZipFile, manifest: JSON) -> Iterator[SourceFile]:
    listed = manifest.get("sources", []) if isinstance(manifest, dict) else []
    names = set[str]()
    for each in listed if isinstance(listed, list) else []:
        match each:
            case {"file": str(path), "entry": str(name), "first_line": int(first)} if name.startswith("sources/"):
                if name in names:  # a small file could take much memory
                    raise TraceFileError(f"{_MANIFEST}: expected each source file once, got {name!r} again")
                names.add(name)
                text = _contents(archive, name, MANIFEST_LIMIT).decode(errors="replace")
                yield SourceFile(path, text, first)
            case _:
                raise TraceFileError(
                    f"{_MANIFEST}: expected source files with `file`, `entry` and `first_line`, got {str(each)[:80]!r}"
                )


def _entry(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return archive.open(name)
    except KeyError:
        raise TraceFileError(f"expected the entry {name[:80]!r}, got a file without it") from None
    except (zipfile.BadZipFile, NotImplementedError, OSError, struct.error) as error:
        raise TraceFileError(f"{name}: damaged: {error}") from None
    except RuntimeError:  # of which NotImplementedError is a subclass
        raise TraceFileError(f"{name}: expected an entry that is not encrypted") from None


def _next(file: IO[bytes], name: str, size: int, *, by_line: bool) -> bytes:
    try:
        return file.readline(size) if by_line else file.read(size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise TraceFileError(f"{name}: damaged: {error}") from None


def _parsed(text: bytes, name: str) -> JSON:
    with suppress(ValueError, RecursionError):
        value: JSON = json.loads(text, parse_constant=_refuse_constant)
        return value
    raise TraceFileError(f"{name}: expected JSON, got {text[:80]!r}")


def _refuse_constant(name: str) -> JSON:
    raise ValueError(f"expected JSON, got {name}")  # NaN or Infinity, which only Python reads
