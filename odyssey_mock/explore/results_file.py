"""The file of a campaign: which seeds were played, and how they went. A second run goes on where the first one ended.

JSON in ASCII, a line each: a header, which says of what these are the results; `held`, from the first seed to the last
in which every rule held; `seed`, of one in which rules did not. Lines are added and never changed, and each says all of
its seeds, so whatever ends a run, what was written stays true.
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
"""Of every such file: another one is left alone."""


class ResultsError(ValueError):
    """The file cannot be gone on with: the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Header:
    """Of what these are the results.

    Attributes:
        fidelity: how deep the runs went.
        commit: of the code, for people.
        code: its fingerprint, which tells changes apart that are in no commit.
    """

    fidelity: Fidelity
    commit: str
    code: str

    @classmethod
    def of(cls, fidelity: Fidelity) -> Header:
        """That of the code that runs."""
        return cls(fidelity, code_version.commit(), code_version.fingerprint())

    def __str__(self) -> str:
        return f"{self.fidelity} runs of {self.commit} (code {self.code})"


class Results:
    """A file that is open, and held by nobody else."""

    def __init__(self, file: IO[str], records: tuple[SeedRecord, ...]) -> None:
        self._file = file
        self.before = records
        """What it held when it was opened."""

    def add(self, records: Iterable[SeedRecord]) -> None:
        """Write down what was played, so that it is there whatever happens to this process next."""
        self._file.write("".join(f"{json.dumps(_to_json(record))}\n" for record in records))
        self._file.flush()


@contextmanager
def results_in(path: Path, header: Header, *, restart: bool = False) -> Iterator[Results]:
    """Open the file, and make it where there is none.

    Args:
        path: where it is.
        header: of what is going to be played.
        restart: forget what is in it, whatever it is the results of.

    Raises:
        ResultsError: it holds the results of something else, is no such file, is written to by another run, or cannot
            be opened.
    """
    with _opened(path) as file:
        _lock(file, path)
        yield Results(file, _read(file, path, header, restart=restart))


def _opened(path: Path) -> IO[str]:
    try:
        # "a" makes a file, empties none before it can be locked, and only ever adds.
        return path.open("a+", encoding="ascii", newline="\n")
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror}; name another file") from error


def _lock(file: IO[str], path: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ResultsError(f"{path} is written to by another run: wait for its end, or name another file") from error


def _read(file: IO[str], path: Path, header: Header, *, restart: bool) -> tuple[SeedRecord, ...]:
    """What is in the file; a last line that was never finished is cut off, and a header made where there is none."""
    file.seek(0)
    try:
        text = file.read()
        if not text.startswith(_BEGINNING[: len(text)]):
            raise ValueError(f"it does not begin with {_BEGINNING}")
        whole = "" if restart else text[: text.rfind("\n") + 1]
        lines = [json.loads(line) for line in whole.split("\n")[:-1]]
        found = _header_from_json(lines[0]) if lines else header
        records = tuple(_from_json(line) for line in lines[1:])
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is no file of results: {error!r}; name another file") from error
    if found != header:
        raise ResultsError(
            f"{path} has the results of {found}, and these are {header}: "
            "name another file, or begin this one anew by --restart"
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
