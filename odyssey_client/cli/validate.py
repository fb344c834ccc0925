"""`odyssey validate`: scripts judged without a service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from odyssey_client.cli.output import Answer, json_of
from odyssey_client.cli.service import finish, json_option
from odyssey_client.errors import ScriptError, ScriptFault
from odyssey_client.models import JSON
from odyssey_client.script import Script

FILES = click.Path(path_type=Path)
"""Whether a file is there is for `Script.load` to say, in the words of all other faults."""


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@json_option
def validate(files: tuple[Path, ...], as_json: bool) -> None:
    """Check simulation scripts, their images too, without sending anything.

    Every fault is listed, with its place; what is allowed and yet may disappoint is a note. The exit code is 1 if a
    script is wrong.
    """
    finish(lambda: _judge(files), as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Verdict:
    file: Path
    script: Script | None
    faults: tuple[ScriptFault, ...]

    @property
    def lines(self) -> list[str]:
        if self.script is None:
            return [f"{self.file}: {fault}" for fault in self.faults]
        length = f"{len(self.script.entries)} entries, {self.script.duration_seconds:g} s"
        return [f"{self.file}: valid, {length}", *(f"{self.file}: note: {line}" for line in self.script.advice())]

    @property
    def document(self) -> dict[str, JSON]:
        return {
            "file": str(self.file),
            "valid": self.script is not None,
            "duration_seconds": None if self.script is None else self.script.duration_seconds,
            "faults": [json_of(fault) for fault in self.faults],
            "advice": [] if self.script is None else list(self.script.advice()),
        }


def load_scripts(files: tuple[Path, ...]) -> list[Script]:
    """Read scripts from files.

    Raises:
        ScriptError: with all faults of all of them, each with its file in front.
    """
    verdicts = [_verdict(file) for file in files]
    _raise_faults(verdicts)
    return [verdict.script for verdict in verdicts if verdict.script is not None]


def _judge(files: tuple[Path, ...]) -> Answer:
    verdicts = [_verdict(file) for file in files]
    document: dict[str, JSON] = {"files": [verdict.document for verdict in verdicts]}
    text = "\n".join(line for verdict in verdicts for line in verdict.lines if verdict.script is not None)
    try:
        _raise_faults(verdicts)
    except ScriptError as error:
        return Answer(document, text, (error,))
    return Answer(document, text)


def _verdict(file: Path) -> _Verdict:
    try:
        return _Verdict(file, Script.load(file), ())
    except ScriptError as error:
        return _Verdict(file, None, error.faults)


def _raise_faults(verdicts: list[_Verdict]) -> None:
    faults = [
        ScriptFault(f"{verdict.file}: {fault.path}", fault.expected, fault.came)
        for verdict in verdicts
        for fault in verdict.faults
    ]
    if faults:
        raise ScriptError(faults)
