"""The command `odyssey-mock chaos`: runs a command once for each fault that can affect it.

The command imports its dependencies only when it runs, so that `odyssey-mock --help` stays fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from odyssey_mock.cli.setting_options import GroupedCommand, chosen_settings, setting_options
from odyssey_mock.settings import SETTING_NAMES

if TYPE_CHECKING:
    from odyssey_mock.chaos_runs.command import CommandChaos

FAILED, CANNOT_RUN, INTERRUPTED = 1, 2, 130
"""Exit codes: a run failed or hung; the runs could not start; the command was ended by Ctrl-C or SIGTERM."""
_FIXED = MappingProxyType(
    {
        "port": "each run has a free port; leave it out",
        "state_dir": "each run begins with an empty state; leave it out",
    }
)
"""Settings that no option can choose, with the reason."""


@click.command(
    cls=GroupedCommand,
    # All options after the command's name belong to the command.
    context_settings={"help_option_names": ["-h", "--help"], "allow_interspersed_args": False},
)
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Use only fault points that match this glob pattern, such as 'stream.*', or actions, such as '*:status'. "
    "May be repeated.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out fault points or actions that match this pattern. May be repeated.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Time limit of each run.  [default: five times the run without a fault, but at least 60]",
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html|FILE.json",
    help="Write a report to this file. May be repeated.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def chaos(
    context: click.Context,
    /,
    *,
    only: Sequence[str],
    exclude: Sequence[str],
    time_limit: float | None,
    reports: Sequence[Path],
    config: Path | None,
    assignments: Sequence[str],
    command: Sequence[str],
    **values: Any,  # Any: settings differ in type
) -> None:
    """Run COMMAND once for each fault that can affect it, and show which faults it does not survive.

    Each run has a new mock. COMMAND gets its URL and key in ODYSSEY_API_URL and ODYSSEY_API_KEY. The first run has no
    fault and must succeed. It shows which fault points COMMAND reaches. Then each action at each of these points is
    tried once.

    A run passes if COMMAND exits with status 0. A run that does not end within the time limit has hung. A fault that
    did not act in its run is reported as not reached.

    The exit code is 0 if COMMAND survived all faults, 1 if a run failed or hung, 2 if the runs could not start, and 130
    after Ctrl-C or SIGTERM.

    The other options are settings of the mocks, as for `odyssey-mock serve`. A port in the --config file has no effect.

    Example: odyssey-mock chaos --only 'stream.*' --report chaos.html -- npx playwright test
    """
    from odyssey_mock.chaos_runs.command import CommandChaos, CommandError  # noqa: PLC0415
    from odyssey_mock.chaos_runs.plan import ChaosPlanError  # noqa: PLC0415
    from odyssey_mock.chaos_runs.report_file import ReportFileError, check_report_file, write_report  # noqa: PLC0415
    from odyssey_mock.chaos_runs.results import summary  # noqa: PLC0415
    from odyssey_mock.command_process import CannotStartError  # noqa: PLC0415
    from odyssey_mock.core.network import ListenError  # noqa: PLC0415
    from odyssey_mock.tls.errors import CertificateError  # noqa: PLC0415

    try:
        for path in reports:
            check_report_file(path)
    except ReportFileError as error:
        raise click.UsageError(f"--report: {error}") from None
    settings = chosen_settings(context, values, config=config, assignments=assignments, fixed=_FIXED)
    runs = CommandChaos(
        command=command,
        only=only,
        exclude=exclude,
        time_limit=time_limit,
        settings=settings,
        say=click.echo,
    )
    interrupted = False
    try:
        asyncio.run(_run(runs))
    except (KeyboardInterrupt, asyncio.CancelledError):
        interrupted = True
    except (CannotStartError, CertificateError, ChaosPlanError, CommandError, ListenError) as error:
        click.echo(f"Error: {error}", err=True)
        context.exit(CANNOT_RUN)
    click.echo()
    for line in summary(runs.report):
        click.echo(line)
    for path in reports:
        try:
            write_report(runs.report, path)
        except OSError as error:
            raise click.ClickException(f"cannot write {path}: {error.strerror or error}") from error
        click.echo(f"wrote {path}")
    context.exit(INTERRUPTED if interrupted else 0 if runs.report.survived else FAILED)


async def _run(runs: CommandChaos) -> None:
    """Run the command under each fault, until SIGTERM or SIGHUP cancels the runs and so ends the command.

    The command itself does not get these signals, because it runs in a process session of its own.
    """
    task = asyncio.current_task()
    assert task is not None, "expected to run in a task, which asyncio.run() creates, got none"
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGHUP"):
        signum = getattr(signal, name, None)
        # `nohup` ignores SIGHUP. On Windows there is no SIGHUP, and the event loop supports no signal handlers.
        if signum is not None and signal.getsignal(signum) is not signal.SIG_IGN:
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(signum, task.cancel)
    await runs.run()


chaos.params += setting_options(name for name in SETTING_NAMES if name not in _FIXED)
