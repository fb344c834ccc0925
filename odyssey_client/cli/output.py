"""Output of commands: JSON, aligned columns, and text with control characters escaped."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import click

from odyssey_client.errors import OdysseyError
from odyssey_client.models import JSON

NOTHING = "-"
"""Placeholder for a missing value in a column."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a command.

    Attributes:
        document: The JSON document that ``--json`` prints.
        text: The text that is printed without ``--json``, without a trailing newline.
        errors: Errors that are printed after the text. The first one is also in the JSON document and determines the
            exit code.
    """

    document: dict[str, JSON]
    text: str
    errors: tuple[OdysseyError, ...] = ()


def print_text(text: str, *, to_stderr: bool = False) -> None:
    """Print ``text``; escape control characters and characters that the stream cannot encode."""
    stream: TextIO | None = sys.stderr if to_stderr else sys.stdout
    if stream is not None:  # None if it was closed; click would then print to the other stream
        click.echo(encodable(printable(text), stream), file=stream)


def encodable(text: str, stream: TextIO) -> str:
    """Return ``text`` with a backslash escape for each character that ``stream`` cannot encode."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def print_json(document: dict[str, JSON]) -> None:
    """Print one JSON document, with non-ASCII characters escaped."""
    click.echo(json.dumps(document, indent=2))


def printable(text: str) -> str:
    """Return ``text`` with a backslash escape for each character that is not printable, except newlines."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def json_of(value: Any) -> dict[str, JSON]:  # Any: any dataclass
    """Convert a dataclass, such as a value of `odyssey_client.models`, to a JSON object."""
    return dataclasses.asdict(value)


def columns(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format ``header`` and ``rows`` as aligned columns, with one line per row. None is shown as `NOTHING`."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(header))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def fields(pairs: Iterable[tuple[str, object]]) -> str:
    """Format pairs of a name and a value, one per line, with aligned values. Pairs whose value is None are left out."""
    there = [(name, _cell(value)) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in there), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in there)


def seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:g} s"


def size(count: int) -> str:
    """Return a number of bytes with a unit, such as `342.9 kB`."""
    return (
        f"{count} bytes" if count < 1000 else f"{count / 1000:.1f} kB" if count < 10**6 else f"{count / 10**6:.1f} MB"
    )


def _cell(value: object) -> str:
    return NOTHING if value is None else " ".join(printable(str(value)).split())
