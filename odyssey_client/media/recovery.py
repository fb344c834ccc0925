"""Recovery of recordings that ended early: their complete fragments get names ending in ``-recovered``."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path

from odyssey_client.partial_file import PartialFile
from odyssey_client.redaction import get_logger

RECORDING, COPY = "recording", "copy"
"""Parts of the hidden names of the fragmented file, and of the plain file that is copied from it at the end."""

logger = get_logger("odyssey_client")


def recover_recordings(directory: str | Path) -> list[Path]:
    """Rename the recordings in ``directory`` that killed processes left there, and return their new paths.

    A process that is killed while it records leaves a hidden file, which is playable up to its last complete second.
    For ``a.mp4``, the file gets the name ``a-recovered.mp4``, or ``a-recovered-2.mp4`` if that exists, and so on. Names
    of more than 96 bytes are shortened. Hidden files without a complete second are deleted. Hidden files of processes
    that are still recording are left alone, and subdirectories are not searched.

    The function blocks while it renames the files, and may be called at any time. Only a program that records to a new
    path each time needs it: a new recording to the same path renames the hidden file of the previous recording.

    Raises:
        OSError: the directory cannot be read.
    """
    directory = Path(directory)
    _delete(PartialFile.leftovers_in(directory, COPY))
    return _recover((each, directory / each.target_name) for each in PartialFile.leftovers_in(directory, RECORDING))


def recover_target(target: Path) -> None:
    """Recover the recordings to the path ``target``, as `recover_recordings` recovers those in a directory."""
    _delete(PartialFile.leftovers(target, COPY))
    _recover((each, target) for each in PartialFile.leftovers(target, RECORDING))


def keep(recording: PartialFile, target: Path) -> Path | None:
    """Cut ``recording`` after its last complete fragment, rename it, and return its new path.

    The new name is derived from ``target`` and not yet in use: see `recover_recordings`. If the file cannot be renamed,
    for example because its directory has become read-only, it stays in place, and its hidden path is returned. A file
    without a complete fragment is deleted. If no file remains, None is returned.
    """
    try:
        size = _complete_size(recording.file)
        if size:
            recording.file.truncate(size)
            path = _take_recovered_name(recording, target)
        recording.delete()
    except OSError as error:
        logger.warning("%s: this file of an interrupted recording cannot be moved: %s", recording.path, error)
        recording.close()
        return recording.path if os.path.lexists(recording.path) else None
    return path if size else None


def _recover(leftovers: Iterable[tuple[PartialFile, Path]]) -> list[Path]:
    recovered: list[Path] = []
    for recording, target in leftovers:
        path = keep(recording, target)
        if path is not None and path != recording.path:
            logger.warning("recovered a recording that was interrupted by the end of its process: %s", path)
            recovered.append(path)
    return recovered


def _delete(copies: Iterable[PartialFile]) -> None:
    for copy in copies:
        try:
            copy.delete()
        except OSError as error:  # a leftover must not prevent a new recording
            logger.warning("%s: this file of an interrupted recording cannot be deleted: %s", copy.path, error)


def _take_recovered_name(recording: PartialFile, target: Path) -> Path:
    """Give the recording the first free name derived from ``target``, such as ``a-recovered.mp4``; return its path."""
    stem, endings = target.stem, _endings()
    ending = next(endings)
    while True:
        path = target.with_name(f"{stem}{ending}{target.suffix}")
        try:
            recording.take_free_name(path)
        except FileExistsError:
            ending = next(endings)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG or not stem:
                raise
            stem = stem[:-1]  # the greatest length is that of the file system, in bytes or in characters
        else:
            return path


def _endings() -> Iterator[str]:
    yield "-recovered"
    for number in itertools.count(2):
        yield f"-recovered-{number}"


def _complete_size(file: FileIO) -> int:
    """Return the size in bytes of a fragmented MP4 file up to the end of its last complete fragment; 0 without one.

    A fragment is a box ``moof`` and a box ``mdat`` (ISO/IEC 14496-12). A full disk or a killed process can leave an
    incomplete one at the end, and players report an error there.
    """
    end = file.seek(0, 2)
    at = complete = 0
    while at + 8 <= end:
        file.seek(at)
        header = file.read(16)
        size, kind = int.from_bytes(header[:4]), header[4:8]
        if size == 1:  # the size is too large for its field and follows the type
            size = int.from_bytes(header[8:])
        if size < 8 or at + size > end:
            break
        at += size
        if kind == b"mdat":
            complete = at
    return complete
