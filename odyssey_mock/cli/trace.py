"""The commands `odyssey-mock trace show`, `print`, `export` and `diff`: what to do with trace files.

The commands import their dependencies only when they run, so that `odyssey-mock --help` stays fast.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from odyssey_client.trace import Lane, Trace

DIFFERENT = 1
"""Exit code of `diff` if the traces differ."""
NARROWEST_DIAGRAM = 60
"""Minimum of `--width`."""


class CannotTraceError(click.ClickException):
    """A trace cannot be read, or a result cannot be written."""

    exit_code = 2


class Seconds(click.ParamType[float]):
    """A duration, such as `5s` or `0.5`."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the duration in seconds."""
        found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s?", str(value))
        if found is None or float(found[1]) <= 0:
            self.fail(f"expected seconds greater than 0, such as 5s or 0.5, got {value!r}", param, ctx)
        return float(found[1])


class LaneName(click.ParamType[str]):
    """A lane of a trace."""

    name = "lane"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the lane."""
        from odyssey_client.trace.events import LANES  # noqa: PLC0415

        if value not in LANES:
            self.fail(f"expected one of {', '.join(LANES)}, got {value!r}", param, ctx)
        return str(value)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def trace() -> None:
    """Show, print, export and compare trace files, which show what happened in a test or a session.

    Example: odyssey-mock trace show test_cat.odytrace
    """


_lanes = click.option(
    "--lane", "lanes", multiple=True, type=LaneName(), help="Only events of this lane. May be repeated."
)


@trace.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write the page to this file, and replace it if it exists.  [default: a temporary file]",
)
@click.option("--open/--no-open", "is_opened", default=True, help="Open the page in the default browser.")
def show(file: Path | None, *, output: Path | None, is_opened: bool) -> None:
    """Show a trace in the browser: video, lanes on a time axis, messages, and the code that failed.

    The page is one file, which contains the trace and works offline. Without FILE, it shows a file that you choose or
    drop.

    Example: odyssey-mock trace show test_cat.odytrace
    """
    from odyssey_mock.trace.page import viewer_page  # noqa: PLC0415

    if file is None:
        page = viewer_page(None)
    else:
        with _read(file):
            page = viewer_page(_contents(file), name=file.name)
    if output is None:
        output = _temporary(page, "trace" if file is None else file.stem)
    else:
        _write(output, page, file)
    _print(str(output))
    if is_opened and not webbrowser.open(output.absolute().as_uri()):
        raise CannotTraceError(f"found no browser: open {output} in one, or use --no-open")


@trace.command("print")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--last", type=Seconds(), metavar="SECONDS", help="Only the last seconds, such as 5s.")
@_lanes
@click.option(
    "--session", metavar="ID", help="Only events of the session whose id begins with ID, and events of no session."
)
@click.option(
    "--width",
    type=click.IntRange(min=NARROWEST_DIAGRAM),
    help="Characters in a row.  [default: width of the terminal, or 120]",
)
def print_(file: Path, *, last: float | None, lanes: Sequence[Lane], session: str | None, width: int | None) -> None:
    """Draw a trace as a sequence diagram, with the failure and the pending calls at the end.

    Without --lane, statistics and frames are left out.

    Example: odyssey-mock trace print test_cat.odytrace --last 5s
    """
    from odyssey_mock.core.sequence_diagram import WIDTH  # noqa: PLC0415
    from odyssey_mock.trace.text import Selection, SessionFilterError, trace_text  # noqa: PLC0415

    if width is None:
        width = max(NARROWEST_DIAGRAM, shutil.get_terminal_size().columns) if sys.stdout.isatty() else WIDTH
    with _read(file) as read:
        try:
            for line in trace_text(read, Selection(last=last, lanes=lanes, session=session), width=width):
                _print(line)
        except SessionFilterError as error:
            raise CannotTraceError(f"--session: {error}") from None


@trace.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--perfetto", "form", flag_value="perfetto", help="Trace Event Format, for ui.perfetto.dev and speedscope."
)
@click.option("--har", "form", flag_value="har", help="HTTP archive (HAR 1.2) of requests and signaling.")
@click.option(
    "--webrtc-internals",
    "form",
    flag_value="webrtc-internals",
    help="Dump of chrome://webrtc-internals: peer connections and their statistics.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write to this file, and replace it if it exists.  [default: stdout]",
)
def export(file: Path, *, form: str | None, output: Path | None) -> None:
    """Convert a trace to a format of other tools.

    Example: odyssey-mock trace export test_cat.odytrace --perfetto --output cat.json
    """
    from odyssey_client.trace import TraceFileError  # noqa: PLC0415
    from odyssey_mock.trace.har import http_archive  # noqa: PLC0415
    from odyssey_mock.trace.perfetto import trace_events  # noqa: PLC0415
    from odyssey_mock.trace.webrtc_internals import webrtc_internals_dump  # noqa: PLC0415

    forms = {"perfetto": trace_events, "har": http_archive, "webrtc-internals": webrtc_internals_dump}
    if form is None:
        raise click.UsageError(f"expected one of {', '.join(f'--{name}' for name in forms)}, got none.")
    with _read(file) as read:
        try:
            document = forms[form](read)
        except TraceFileError as error:
            raise CannotTraceError(f"{file}: {error}") from None
    try:
        # Escapes of JSON can express lone surrogates, which UTF-8 cannot.
        text = json.dumps(document, indent=1 if form == "webrtc-internals" else None, allow_nan=False) + "\n"
    except ValueError:
        raise CannotTraceError(f"{file}: expected finite numbers, got one that is infinite or not a number") from None
    if output is None:
        click.echo(text, nl=False)
        return
    _write(output, text, file)


@trace.command()
@click.argument("first", type=click.Path(path_type=Path), metavar="A")
@click.argument("second", type=click.Path(path_type=Path), metavar="B")
@_lanes
@click.pass_context
def diff(context: click.Context, /, first: Path, second: Path, *, lanes: Sequence[Lane]) -> None:
    """Show where two runs of a test diverge.

    Ids, addresses, tokens and times are ignored, and so is the order of events of different participants or lanes.
    Without --lane, statistics, frames, log records, notes, states of peers and ICE candidates are left out.

    The exit code is 0 if the traces are equal, 1 if they differ, and 2 if one cannot be read.

    Example: odyssey-mock trace diff passed.odytrace failed.odytrace
    """
    from odyssey_mock.trace.diff import Compared, diff_text, difference  # noqa: PLC0415

    with _read(first) as a, _read(second) as b:
        mine, theirs = Compared(a, lanes), Compared(b, lanes)
        found = difference(mine, theirs)
        for line in diff_text(mine, theirs, found):
            _print(line)
    context.exit(0 if found is None else DIFFERENT)


@contextmanager
def _read(path: Path) -> Iterator[Trace]:
    """Read a trace file, and close it at the end.

    Raises:
        CannotTraceError: the file cannot be read, or is no trace.
    """
    from odyssey_client.trace import TraceFileError, read_trace  # noqa: PLC0415

    try:
        opened = read_trace(path)
    except TraceFileError as error:
        raise CannotTraceError(str(error)) from None
    except OSError as error:
        raise CannotTraceError(f"cannot read {path}: {error.strerror or error}") from None
    with opened:
        yield opened


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotTraceError(f"cannot read {path}: {error.strerror or error}") from None


def _temporary(page: str, name: str) -> Path:
    """Write a page to a new temporary file, which stays when the command ends; return its path."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix=f"{name[:80]}-", suffix=".html", encoding="utf-8", delete=False
        ) as file:
            file.write(page)
    except OSError as error:
        raise CannotTraceError(f"cannot write a temporary file: {error.strerror or error}") from None
    return Path(file.name)


def _write(output: Path, text: str, read: Path | None) -> None:
    """Write a text to a file, which appears when it is complete.

    Raises:
        CannotTraceError: the file cannot be written, or is the trace that was read.
    """
    from odyssey_client.file_replacement import file_to_replace, protect  # noqa: PLC0415
    from odyssey_client.partial_file import PartialFile  # noqa: PLC0415

    try:
        target = file_to_replace(output)
        if read is not None and target.exists() and target.samefile(read):
            raise CannotTraceError(f"--output: expected another file than the trace, got {output}")
        part = PartialFile.create(target, "export")
        try:
            protect(part.path, target)
            part.path.write_text(text, encoding="utf-8")
            part.replace(target)
        finally:
            part.delete()
    except OSError as error:
        raise CannotTraceError(f"cannot write {output}: {error.strerror or error}") from None


def _print(line: str) -> None:
    """Print a line. Characters that stdout cannot encode are escaped."""
    encoding = cast("str | None", getattr(sys.stdout, "encoding", None)) or "utf-8"
    click.echo(line.encode(encoding, "backslashreplace").decode(encoding))
