"""What is printed: JSON, aligned columns, and text from outside made safe for a terminal."""

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
"""What stands in a column where there is no value."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found out.

    Attributes:
        document: For ``--json``.
        text: For people, without the last newline.
        errors: What went wrong all the same, told after the rest; the first is the one of ``--json``.
    """

    document: dict[str, JSON]
    text: str
    errors: tuple[OdysseyError, ...] = ()


def print_text(text: str, *, to_stderr: bool = False) -> None:
    """Print ``text``, with what would steer a terminal, or cannot be encoded, made visible."""
    stream: TextIO | None = sys.stderr if to_stderr else sys.stdout
    if stream is not None:  # as it is where it was closed; click would take the other one
        click.echo(encodable(printable(text), stream), file=stream)


def encodable(text: str, stream: TextIO) -> str:
    """Return ``text`` with all characters written out that ``stream`` cannot take."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def print_json(document: dict[str, JSON]) -> None:
    """Print one JSON document, in ASCII."""
    click.echo(json.dumps(document, indent=2))


def printable(text: str) -> str:
    """Return ``text`` with all characters but newlines that do not show as what they are."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def json_of(value: Any) -> dict[str, JSON]:  # Any: whatever dataclass
    """Make a JSON-ready dictionary of a value of `odyssey_client.models`."""
    return dataclasses.asdict(value)


def columns(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Align ``rows`` under ``header``; None is shown as `NOTHING`, and every cell is one line."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(header))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def fields(pairs: Iterable[tuple[str, object]]) -> str:
    """Write names and values, one pair a line, the values aligned; those that are None are left out."""
    there = [(name, _cell(value)) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in there), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in there)


def seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:g} s"


def size(count: int) -> str:
    """Write a number of bytes as people read them."""
    return (
        f"{count} bytes" if count < 1000 else f"{count / 1000:.1f} kB" if count < 10**6 else f"{count / 10**6:.1f} MB"
    )


def _cell(value: object) -> str:
    return NOTHING if value is None else " ".join(printable(str(value)).split())
