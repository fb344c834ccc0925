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
"""Exit codes: something is not as stated; the program could not run; it was ended by Ctrl-C or SIGTERM."""


NAMES = ("authentication", "rest", "live", "credentials", "broadcast", "simulation", "recordings")
"""The steps of the program, which is imported only when it runs."""


class CannotRunError(click.ClickException):
    """The program could not run."""

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

    Everything that the service sends is compared with the statements in docs/reference/protocol.md and with the
    schemas of this project. The report lists the statements that are confirmed, contradicted or not seen, and what is
    new. Keys, tokens, signed URLs, fingerprints and addresses are masked in it and in the trace file.

    The exit code is 0 if everything is confirmed, and 1 if something is contradicted, new or not seen. It is 2 if the
    program could not run. Ctrl-C and SIGTERM end the session and cancel the job; the exit code is then 130.

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
    if not yes:
        _ask(context)
    program = Program(
        config.api_key, config.api_url, steps=steps or NAMES, say=lambda step: click.echo(f"- {step}", err=True)
    )
    try:
        run = asyncio.run(_run(program))
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("Interrupted. The session was ended and the job cancelled, if there were any.", err=True)
        context.exit(INTERRUPTED)
    except CannotVerifyError as error:
        raise CannotRunError(str(error)) from None
    report = _reported(run)
    _show(report)
    _write_files(report, run, json_file, html_file, trace_file)
    is_confirmed = report.counts["confirmed"] == len(report.findings)
    context.exit(0 if is_confirmed else DIFFERENT)


def _ask(context: click.Context) -> None:
    if not sys.stdin.isatty():
        raise CannotRunError(
            "expected a terminal to ask whether to begin, got none. Use --yes to begin without asking."
        )
    if not click.confirm("Begin?", err=True):
        context.exit(CANNOT_RUN)


async def _run(program: Program) -> Run:
    """Run the program, until SIGTERM cancels it."""
    task = asyncio.current_task()
    assert task is not None, "expected to run in a task, which asyncio.run() creates, got none"
    with contextlib.suppress(NotImplementedError):  # on Windows, the event loop supports no signal handlers
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
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


def _write_files(report: Report, run: Run, json_file: Path | None, html_file: Path | None, trace_file: Path) -> None:
    from odyssey_mock.verification.html_report import html_report  # noqa: PLC0415
    from odyssey_mock.verification.trace_file import write_run  # noqa: PLC0415

    def write(text: str) -> Callable[[Path], object]:
        return lambda path: path.write_text(text, encoding="utf-8", errors="backslashreplace")

    files: list[tuple[Path | None, Callable[[Path], object]]] = [
        (json_file, write(f"{json.dumps(report.to_json(), indent=2)}\n")),
        (html_file, write(html_report(report))),
        (trace_file, lambda path: write_run(run, path)),
    ]
    click.echo()
    for path, action in files:
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            action(path)
        except OSError as error:
            raise CannotRunError(f"cannot write {path}: {error.strerror or error}") from error
        click.echo(f"wrote {path}")
