"""The command `odyssey-mock verify`: finds out what is true of the service.

The command imports its dependencies only when it runs, so that `odyssey-mock --help` stays fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from odyssey_mock.cli.extras import require_verify

if TYPE_CHECKING:
    from odyssey_mock.verification.program import Program, Run
    from odyssey_mock.verification.report import Report

DIFFERENT, CANNOT_RUN, INTERRUPTED = 1, 2, 130
"""Exit codes: something is not as stated; the program could not run, or could not write a file; Ctrl-C or SIGTERM."""


NAMES = ("authentication", "rest", "live", "credentials", "broadcast", "simulation", "recordings")
"""The steps of the program, which is imported only when it runs."""


class CannotRunError(click.ClickException):
    """The program could not run, or a file could not be written."""

    exit_code = CANNOT_RUN


@click.command()
@click.option(
    "--api-url",
    metavar="URL",
    help="URL of the service.  [default: ODYSSEY_API_URL, or else https://api.odyssey.ml]",
)
@click.option(
    "--only",
    "steps",
    type=click.Choice(NAMES),
    multiple=True,
    metavar="STEP",
    help=f"Run only this step, after `authentication`: {', '.join(NAMES[1:])}. May be repeated.",
)
@click.option("--yes", is_flag=True, help="Do not ask before the program costs anything.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the report as JSON to this file.",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the report as one HTML page to this file.",
)
@click.option(
    "--trace",
    "trace_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    default="verify.odytrace",
    help="Write everything that was sent and received to this file.",
)
@click.pass_context
def verify(
    context: click.Context,
    /,
    *,
    api_url: str | None,
    steps: Sequence[str],
    yes: bool,
    json_file: Path | None,
    html_file: Path | None,
    trace_file: Path,
) -> None:
    """Find out what is true of the service: run a short program with your API key, and check what it sees.

    The key is read from ODYSSEY_API_KEY. The program opens sessions, streams some seconds, and creates a simulation
    job. It says what this costs, and asks before it begins.

    Everything that the service sends is compared with the statements about the protocol in the documentation, and
    with the schemas of this project. The report lists the statements that are confirmed, contradicted or not seen,
    and what is new. Keys, tokens, signed URLs, fingerprints and addresses are masked in it and in the trace file.

    The exit code is 0 if everything is confirmed, and 1 if something is contradicted, new or not seen. It is 2 if the
    program could not run, or could not write a file. Ctrl-C and SIGTERM end the session and cancel the job; the exit
    code is then 130.

    Example: odyssey-mock verify --html report.html
    """
    require_verify()
    from odyssey_client.config import API_KEY_VARIABLE, ClientConfig  # noqa: PLC0415
    from odyssey_client.errors import OdysseyConfigError  # noqa: PLC0415
    from odyssey_client.redaction import without_query  # noqa: PLC0415
    from odyssey_mock.verification.program import Program  # noqa: PLC0415
    from odyssey_mock.verification.stage import CannotVerifyError  # noqa: PLC0415
    from odyssey_mock.verification.steps import cost  # noqa: PLC0415

    if not os.environ.get(API_KEY_VARIABLE, "").strip():
        raise CannotRunError(f"expected an API key in the environment variable {API_KEY_VARIABLE}, got none. Set it.")
    try:
        config = ClientConfig.resolve(None, api_url, None, env=os.environ)
    except OdysseyConfigError as error:
        raise CannotRunError(str(error)) from None
    assert config.api_key is not None, "expected ClientConfig to have the key from the environment, got none"
    click.echo(f"This uses your account at {without_query(config.api_url)}: {cost(steps or NAMES)}.", err=True)
    files = Files(trace_file, json_file, html_file)
    files.check()
    if not yes:
        _ask(context)
    program = Program(
        config.api_key, config.api_url, steps=steps or NAMES, say=lambda step: click.echo(f"- {step}", err=True)
    )
    try:
        run = asyncio.run(_run(program))
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("Interrupted. The session and the job were asked to end, if there were any.", err=True)
        context.exit(INTERRUPTED)
    except CannotVerifyError as error:
        raise CannotRunError(str(error)) from None
    # Files first: the reader of the output may be gone, and an error of one file must not lose the others.
    files.write_trace(run)
    report = _reported(run)
    files.write_reports(report)
    _show(report)
    files.tell()
    is_confirmed = report.counts["confirmed"] == len(report.findings)
    context.exit(0 if is_confirmed else DIFFERENT)


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _ask(context: click.Context) -> None:
    if not _is_terminal():
        raise CannotRunError(
            "expected a terminal to ask whether to begin, got none. Use --yes to begin without asking."
        )
    try:
        begins = click.confirm("Begin?", err=True)
    except click.Abort:
        click.echo(err=True)
        context.exit(INTERRUPTED)
    if not begins:
        context.exit(CANNOT_RUN)


async def _run(program: Program) -> Run:
    """Run the program, until the first Ctrl-C or SIGTERM cancels it. Later ones have no effect: it is ending then."""
    task = asyncio.current_task()
    assert task is not None, "expected to run in a task, which asyncio.run() creates, got none"
    ending = False

    def end() -> None:
        nonlocal ending
        if ending:
            click.echo("The session and the job are being ended. This takes some seconds.", err=True)
            return
        ending = True
        task.cancel()

    for signum in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # on Windows, the event loop supports no signal handlers
            asyncio.get_running_loop().add_signal_handler(signum, end)
    return await program.run()


def _reported(run: Run) -> Report:
    from odyssey_mock.verification.judgment import judge  # noqa: PLC0415
    from odyssey_mock.verification.report import report_of  # noqa: PLC0415

    seen = run.observations
    return report_of(seen.api_url, seen.began_at, run.recording.duration, judge(seen))


def _show(report: Report) -> None:
    from odyssey_client.terminal.text import encodable, printable  # noqa: PLC0415
    from odyssey_mock.verification.report import text_report  # noqa: PLC0415

    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    for line in text_report(report, width=width):
        click.echo(encodable(printable(line), sys.stdout))


def _check(path: Path) -> None:
    """Check that a file can be written.

    Raises:
        CannotRunError: it cannot.
        OSError: this cannot be found out.
    """
    if path.is_dir():
        raise CannotRunError(f"cannot write {path}: expected a file, got a folder")
    if path.exists() and not os.access(path, os.W_OK):
        raise CannotRunError(f"cannot write {path}: expected a file that you may write to")
    folder = next(each for each in path.absolute().parents if each.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise CannotRunError(f"cannot write {path}: expected {folder} to be a folder that you may write to")


class Files:
    """The files of a run. Errors are kept until `tell`, so that every file is written that can be."""

    def __init__(self, trace: Path, json_file: Path | None, html_file: Path | None) -> None:
        self._trace = trace
        self._json = json_file
        self._html = html_file
        self._errors: list[str] = []
        self._written: set[Path] = set()

    @property
    def _paths(self) -> Sequence[Path]:
        return [path for path in (self._json, self._html, self._trace) if path is not None]

    def check(self) -> None:
        """Check that the files can be written, before the program costs anything.

        Raises:
            CannotRunError: a folder cannot be written or read, or is a file.
        """
        for path in self._paths:
            try:
                _check(path)
            except OSError as error:  # a folder on the way to it may not be entered, or a name is too long
                raise CannotRunError(f"cannot write {path}: {error.strerror or error}") from None

    def write_trace(self, run: Run) -> None:
        """Write the trace file."""
        from odyssey_mock.verification.trace_file import write_run  # noqa: PLC0415

        self._write("the trace", self._trace, lambda path: write_run(run, path))

    def write_reports(self, report: Report) -> None:
        """Write the reports that were asked for."""
        from odyssey_mock.verification.html_report import html_report  # noqa: PLC0415

        def write(made: Callable[[], str]) -> Callable[[Path], object]:
            return lambda path: path.write_text(made(), encoding="utf-8", errors="backslashreplace")

        self._write("the JSON report", self._json, write(lambda: f"{json.dumps(report.to_json(), indent=2)}\n"))
        self._write("the HTML report", self._html, write(lambda: html_report(report)))

    def _write(self, what: str, path: Path | None, action: Callable[[Path], object]) -> None:
        from odyssey_mock.verification.masking import masked_text  # noqa: PLC0415

        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            action(path)
        except OSError as error:
            self._errors.append(f"cannot write {path}: {error.strerror or error}")
        except Exception as error:
            # A run has cost something, and what a service sends can be anything: the other files are still written.
            self._errors.append(masked_text(f"{what} could not be made: {type(error).__name__}: {error}"))
        else:
            self._written.add(path)

    def tell(self) -> None:
        """Say which files were written.

        Raises:
            CannotRunError: a file could not be written.
        """
        click.echo()
        for path in self._paths:
            if path in self._written:
                click.echo(f"wrote {path}")
        if self._errors:
            raise CannotRunError("; ".join(self._errors))
