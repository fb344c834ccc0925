"""The command `odyssey-mock doctor`: checks this machine, and says what to do.

The command imports its dependencies only when it runs, so that `odyssey-mock --help` stays fast.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from odyssey_mock.settings import SETTINGS

if TYPE_CHECKING:
    from odyssey_mock.doctor.findings import Finding

STYLES = MappingProxyType({"ok": "green", "warning": "yellow", "error": "red"})


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=SETTINGS["port"].served,
    help="Port on which `odyssey-mock serve` is to listen.",
)
@click.option(
    "--url",
    metavar="URL",
    help="Check the running mock at URL in place of this machine: its HTTP server, and whether UDP reaches it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@click.pass_context
def doctor(context: click.Context, /, *, port: int, url: str | None, as_json: bool) -> None:
    """Check this machine: what does not work, and what to do.

    The checks are those of Python and its packages, codecs, loopback, the port, UDP, proxies, the clock, the disk, file
    descriptors, fonts and browsers. The last one is a live session of mock and client. They take about 5 s.

    The exit code is 1 if there is an error. After a warning, it is 0: most things work.

    Example: odyssey-mock doctor --port 9000

    Run it with --url on the machine of a client, to find out why that client does not reach a mock elsewhere.

    Example: odyssey-mock doctor --url http://192.168.1.20:8400
    """
    from odyssey_client.terminal.progress import ProgressBar  # noqa: PLC0415
    from odyssey_mock.doctor.checks import checks, run_checks  # noqa: PLC0415
    from odyssey_mock.doctor.findings import worst  # noqa: PLC0415
    from odyssey_mock.doctor.running_mock import running_checks  # noqa: PLC0415

    wanted = checks(port) if url is None else running_checks(url.rstrip("/"))
    names = list(wanted)
    has_rich = importlib.util.find_spec("rich") is not None
    bar = ProgressBar(sys.stderr if has_rich else None)
    try:
        findings = list(
            run_checks(wanted, lambda name: bar.bar("", name, names.index(name) / len(names), at_once=True))
        )
    finally:
        bar.end()
    status = worst(findings)
    if as_json:
        click.echo(json.dumps({"status": status, "findings": [each.to_json() for each in findings]}, indent=2))
    else:
        click.echo(_table(findings) if has_rich else _lines(findings))
    context.exit(1 if status == "error" else 0)


def _table(findings: Sequence[Finding]) -> str:
    from odyssey_client.terminal.tables import Columns, text_of  # noqa: PLC0415

    rows = [(each.check, each.status, each.found) for each in findings]
    table = Columns(header=("CHECK", "STATUS", "FOUND"), rows=rows, sentences=("FOUND",), styles=STYLES)
    return text_of([table, "\n".join(f"{each.check}: {each.advice}" for each in findings if each.advice)], sys.stdout)


def _lines(findings: Sequence[Finding]) -> str:
    """Return the findings as text without the package `rich`, which may be missing."""
    return "\n".join(f"{each.check}: {each.status}: {each.found}. {each.advice}".rstrip() for each in findings)
