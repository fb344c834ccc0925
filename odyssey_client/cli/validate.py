"""The command `odyssey validate`: checks scripts without contacting the service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from odyssey_client.cli.output import Answer, json_of
from odyssey_client.cli.service import finish, json_option
from odyssey_client.errors import ScriptError
from odyssey_client.models import JSON
from odyssey_client.scripts.script import Script

FILES = click.Path(path_type=Path)
"""The type of the argument FILE. It accepts missing files, because `Script.load` reports them like other faults."""


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@json_option
def validate(files: tuple[Path, ...], as_json: bool) -> None:
    """Check simulation scripts and their images.

    The service is not contacted. Every fault is listed with its path in the script. A note warns about a valid
    part that may not work as expected, such as interactions in quick succession. The exit code is 1 if a script is
    invalid.

    Example: odyssey validate cat.json

    A small script that is valid:

    \b
    [{"timestamp_ms": 0, "start": {"prompt": "A cat"}},
     {"timestamp_ms": 2000, "interact": {"prompt": "Pet it"}},
     {"timestamp_ms": 4000, "end": {}}]
    """  # noqa: D301 - click prints the paragraph after \b unchanged
    finish(lambda: told(read_scripts(files)), as_json=as_json)


class ScriptFileError(ScriptError):
    """A script in a file is invalid. The message starts with the name of the file."""

    def __init__(self, file: Path, error: ScriptError) -> None:
        super().__init__(error.faults, more_faults=error.more_faults)
        self.message = f"{file}: {error}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of checking one file. ``script`` is set if the script is valid, ``error`` if it is not."""

    file: Path
    script: Script | None
    error: ScriptFileError | None

    @property
    def text(self) -> str:
        """The lines to print for a valid script; empty for an invalid one, because its error is printed instead."""
        if self.script is None:
            return ""
        length = f"{len(self.script.entries)} entries, {self.script.duration_seconds:g} s"
        notes = (f"{self.file}: note: {line}" for line in self.script.advice())
        return "\n".join([f"{self.file}: valid, {length}", *notes])

    @property
    def document(self) -> dict[str, JSON]:
        faults = () if self.error is None else self.error.faults
        return {
            "file": str(self.file),
            "valid": self.script is not None,
            "duration_seconds": None if self.script is None else self.script.duration_seconds,
            "faults": [json_of(fault) for fault in faults],
            "more_faults": 0 if self.error is None else self.error.more_faults,
            "advice": [] if self.script is None else list(self.script.advice()),
        }


def read_scripts(files: tuple[Path, ...]) -> list[Verdict]:
    """Read and check the script in each file; return a verdict for each."""
    return [_read(file) for file in files]


def told(verdicts: list[Verdict]) -> Answer:
    """Return the result of the command, with an error for each invalid script."""
    return Answer(
        {"files": [verdict.document for verdict in verdicts]},
        ("\n".join(verdict.text for verdict in verdicts if verdict.text),),
        tuple(verdict.error for verdict in verdicts if verdict.error is not None),
    )


def _read(file: Path) -> Verdict:
    try:
        return Verdict(file, Script.load(file), None)
    except ScriptError as error:
        return Verdict(file, None, ScriptFileError(file, error))
