"""Tables without lines: columns with a header, and fields with a name and a value. On a terminal, they have colors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TextIO

from odyssey_client.terminal.text import encodable, printable

NOTHING = "-"
"""Placeholder for a missing value in a column."""

NO_STYLES: Mapping[str, str] = MappingProxyType({})

NARROWEST = 24
"""Minimum width to which a column of sentences is wrapped. A terminal that is narrower wraps the lines itself."""
_GAP = 2
"""Blanks between two columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Rows of aligned columns, with one line per row.

    Attributes:
        header: The names of the columns.
        rows: The values of each row; None is shown as `NOTHING`.
        sentences: The names of the columns that are wrapped if the terminal is narrower than the table. Others are not,
            because an id or a URL in two lines cannot be copied.
        styles: The styles of cells by their text, such as ``{"failed": "red"}``.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    sentences: Collection[str] = ()
    styles: Mapping[str, str] = NO_STYLES


@dataclass(frozen=True, slots=True)
class Fields:
    """Pairs of a name and a value, one per line, with aligned values. Pairs whose value is None are left out."""

    pairs: Sequence[tuple[str, object]]
    styles: Mapping[str, str] = NO_STYLES


type Part = str | Columns | Fields
"""A part of the output of a command."""


def text_of(parts: Sequence[Part], stream: TextIO) -> str:
    """Return parts as one text for ``stream``, separated by empty lines. Empty parts are left out.

    Control characters, and characters that ``stream`` cannot encode, are escaped. The text has escape sequences for
    colors if ``stream`` is a terminal.
    """
    shown = (encodable(printable(part), stream) if isinstance(part, str) else _drawn(part, stream) for part in parts)
    return "\n\n".join(text for text in shown if text)


def _drawn(part: Columns | Fields, stream: TextIO) -> str:
    from rich.cells import cell_len  # noqa: PLC0415 - see `odyssey_client.terminal`
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from odyssey_client.terminal.console import PlainConsole  # noqa: PLC0415

    if isinstance(part, Columns):
        header, sentences, values = list(part.header), part.sentences, part.rows
    else:
        header, sentences = ["", ""], ()
        values = [(name, value) for name, value in part.pairs if value is not None]
    rows = [[_cell(value, stream) for value in row] for row in values]
    console = PlainConsole(stream)
    widths = {name: max(map(cell_len, column)) for name, *column in zip(range(len(header)), header, *rows, strict=True)}
    natural = sum(widths.values()) + _GAP * (len(widths) - 1)
    spare = sum(max(0, widths[index] - NARROWEST) for index, name in enumerate(header) if name in sentences)
    table = Table(
        box=None,
        padding=(0, _GAP, 0, 0),
        pad_edge=False,
        show_header=isinstance(part, Columns),
        width=min(natural, max(natural - spare, console.width)) if console.is_terminal else natural,
    )
    for index, name in enumerate(header):
        wraps = name in sentences
        style = "bold" if isinstance(part, Fields) and index == 0 else ""
        table.add_column(name, no_wrap=not wraps, overflow="fold" if wraps else "ignore", style=style)
    for row in rows:
        table.add_row(*(Text(cell, style=part.styles.get(cell, "")) for cell in row))
    with console.capture() as capture:
        console.print(table, crop=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _cell(value: object, stream: TextIO) -> str:
    return NOTHING if value is None else " ".join(encodable(printable(str(value)), stream).split())
