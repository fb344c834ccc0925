"""The results file of a campaign, which lets a later run skip the seeds that were run already.

The file contains ASCII JSON, one object per line. The first line is the header. An object with the key `held`
is the record of a range of seeds without violations. An object with the key `seed` is the record of a seed that
violated rules. Lines are only appended. If a run is killed, at most the last line is incomplete, and the next run
removes it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from odyssey_mock.explore import code_version
from odyssey_mock.explore.outcome import FailedSeed, Failure, HeldSeeds, SeedRecord

if TYPE_CHECKING:
    from odyssey_mock.sim.fidelity import Fidelity

if sys.platform != "win32":
    import fcntl

FORMAT = "odyssey-mock explore"
VERSION = 1

_BEGINNING = f'{{"format": "{FORMAT}"'
"""The text with which every results file starts. A file that starts with other text is never changed."""


class ResultsError(ValueError):
    """The results file cannot be used. The message states the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Header:
    """The fidelity and the code version that the results are valid for.

    Attributes:
        fidelity: fidelity of the runs, `light` or `full`.
        commit: commit of the code, for messages.
        code: hash of the code (`code_version.fingerprint`), which also changes with uncommitted edits.
    """

    fidelity: Fidelity
    commit: str
    code: str

    @classmethod
    def of(cls, fidelity: Fidelity) -> Header:
        """Return a header with this fidelity and the version of the running code."""
        return cls(fidelity, code_version.commit(), code_version.fingerprint())

    def __str__(self) -> str:
        return f"{self.fidelity} runs of {self.commit} (code {self.code})"


class Results:
    """An open results file, which this process has locked."""

    def __init__(self, file: IO[str], records: tuple[SeedRecord, ...]) -> None:
        self._file = file
        self.before = records
        """The records that were in the file when it was opened."""

    def add(self, records: Iterable[SeedRecord]) -> None:
        """Append records to the file, and flush the file, so that no record is lost if this process is killed."""
        self._file.write("".join(f"{json.dumps(_to_json(record))}\n" for record in records))
        self._file.flush()


@contextmanager
def results_in(path: Path, header: Header, *, restart: bool = False) -> Iterator[Results]:
    """Open the results file until the block ends, and yield its `Results`. Create the file if it does not exist.

    Args:
        path: path of the file.
        header: fidelity and code version of the new runs.
        restart: whether to discard the results in the file, even those of another code version.

    Raises:
        ResultsError: the file is not a results file, has results of other code or another fidelity, is in use by
            another run, or cannot be opened.
    """
    with _opened(path) as file:
        _lock(file, path)
        yield Results(file, _read(file, path, header, restart=restart))


def _opened(path: Path) -> IO[str]:
    try:
        # Mode "a" creates a missing file, does not truncate before the lock is held, and only appends.
        return path.open("a+", encoding="ascii", newline="\n")
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror}; use another file") from error


def _lock(file: IO[str], path: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ResultsError(f"another run is using {path}: wait until it ends, or use another file") from error


def _read(file: IO[str], path: Path, header: Header, *, restart: bool) -> tuple[SeedRecord, ...]:
    """Return the records in the file. Remove an incomplete last line, and write the header if it is missing."""
    file.seek(0)
    try:
        text = file.read()
        if not text.startswith(_BEGINNING[: len(text)]):
            raise ValueError(f"expected the file to start with {_BEGINNING}, got other text")
        whole = "" if restart else text[: text.rfind("\n") + 1]
        lines = [json.loads(line) for line in whole.split("\n")[:-1]]
        found = _header_from_json(lines[0]) if lines else header
        records = tuple(_from_json(line) for line in lines[1:])
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is not a valid results file: {error!r}; use another file") from error
    if found != header:
        raise ResultsError(
            f"expected {path} to have results of {header}, got {found}: "
            "use another file, or discard the results with --restart"
        )
    if len(whole) < len(text):
        file.truncate(len(whole))
    if not lines:
        file.write(f"{json.dumps(_header_to_json(header))}\n")
        file.flush()
    return records


def _header_to_json(header: Header) -> dict[str, Any]:  # Any: JSON
    return {
        "format": FORMAT,
        "version": VERSION,
        "depth": header.fidelity,
        "commit": header.commit,
        "code": header.code,
    }


def _header_from_json(data: Any) -> Header:  # Any: JSON
    if (data["format"], data["version"]) != (FORMAT, VERSION):
        raise ValueError(f"expected {FORMAT!r} version {VERSION}, got {data['format']!r} version {data['version']!r}")
    return Header(data["depth"], data["commit"], data["code"])


def _to_json(record: SeedRecord) -> dict[str, Any]:  # Any: JSON
    more = {"steps": record.steps, "seconds": round(record.seconds, 3)}
    if isinstance(record, HeldSeeds):
        return {"held": [record.first, record.last], **more}
    failures = [
        {"signature": each.signature, "rule": each.rule, "message": each.message, "at": each.at}
        for each in record.failures
    ]
    return {"seed": record.seed, "failures": failures, **more}


def _from_json(data: Any) -> SeedRecord:  # Any: JSON
    if "held" in data:
        first, last = data["held"]
        return HeldSeeds(int(first), int(last), data["steps"], data["seconds"])
    failures = tuple(Failure(each["rule"], each["message"], each["at"]) for each in data["failures"])
    return FailedSeed(data["seed"], failures, data["steps"], data["seconds"])
