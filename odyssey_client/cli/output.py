"""Output of commands: JSON, and text, which has colors on a terminal."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import click

from odyssey_client.errors import OdysseyError
from odyssey_client.models import JSON
from odyssey_client.terminal.tables import Part, text_of
from odyssey_client.terminal.text import encodable, printable

ERROR_LABEL = "Error:"
"""The first word of error messages, as in those of click."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a command.

    Attributes:
        document: The JSON document that ``--json`` prints.
        parts: The parts of the text that is printed without ``--json``.
        errors: Errors that are printed after the text. The first one is also in the JSON document and determines the
            exit code.
    """

    document: dict[str, JSON]
    parts: Sequence[Part]
    errors: tuple[OdysseyError, ...] = ()


def print_parts(parts: Sequence[Part]) -> None:
    """Print parts on standard output; do nothing if it is closed, or if the parts are empty."""
    stream: TextIO | None = sys.stdout
    # click would print to the other stream.
    if stream is not None and (text := text_of(parts, stream)):
        click.echo(text, file=stream)


def print_error(text: str) -> None:
    """Print a text on standard error. On a terminal, its label `Error:` has a color."""
    stream: TextIO | None = sys.stderr
    if stream is None:
        return
    shown = encodable(printable(text), stream)
    if shown.startswith(ERROR_LABEL) and stream.isatty():
        from odyssey_client.terminal.console import colored  # noqa: PLC0415 - see `odyssey_client.terminal`

        shown = colored(ERROR_LABEL, "bold red", stream) + shown.removeprefix(ERROR_LABEL)
    click.echo(shown, file=stream)


def print_json(document: dict[str, JSON]) -> None:
    """Print one JSON document, with non-ASCII characters escaped."""
    click.echo(json.dumps(document, indent=2))


def json_of(value: Any) -> dict[str, JSON]:  # Any: any dataclass
    """Convert a dataclass, such as a value of `odyssey_client.models`, to a JSON object."""
    return dataclasses.asdict(value)


def seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:g} s"


def size(count: int) -> str:
    """Return a number of bytes with a unit, such as `342.9 kB`."""
    return (
        f"{count} bytes" if count < 1000 else f"{count / 1000:.1f} kB" if count < 10**6 else f"{count / 10**6:.1f} MB"
    )
