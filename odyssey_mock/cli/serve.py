"""The command `odyssey-mock serve`: runs the mock as a separate process, with an option for every setting."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import shlex
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from odyssey_mock.cli.exposure import warn_if_exposed
from odyssey_mock.cli.setting_options import GroupedCommand, chosen_settings, setting_options
from odyssey_mock.cli.stderr_lines import StderrLines
from odyssey_mock.cli.warm_up import warming_up, without_garbage_collection
from odyssey_mock.settings import SETTING_NAMES, Settings

if TYPE_CHECKING:
    from odyssey_mock.http.reachable_urls import Reach
    from odyssey_mock.server import MockOdyssey

FONTS_WAIT = 0.05
"""Maximum seconds before the fonts are read, which would delay the response to a program that polls the port."""


@click.command(cls=GroupedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print only one line of JSON, once the server is ready.")
@click.option("--verbose", is_flag=True, help="Print each journal entry as a line on stderr, with its cause.")
@click.option(
    "--trace",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="When the server stops, write a trace of its run to FILE, for `odyssey-mock trace show FILE`.",
)
@click.pass_context
def serve(
    context: click.Context,
    /,
    *,
    as_json: bool,
    verbose: bool,
    trace: Path | None,
    config: Path | None,
    assignments: Sequence[str],
    **values: Any,  # Any: settings differ in type
) -> None:
    """Run the mock server until Ctrl-C or SIGTERM.

    The command prints every URL at which clients reach the mock, and the environment variables that connect a client.

    Example: odyssey-mock serve --port 8400 --plan unlimited --set fps=10

    Example of a file for --config:

    \b
    plan: unlimited
    fps: 10
    keys:
      ody_anna: {concurrent_sessions: 1}
      ody_berta: {plan: free}
    faults:
      - {at: rest.sessions.request, do: status, status: 503, times: 3}

    A file for --faults contains such a list of faults. A running mock lists all fault points and actions at
    GET /_mock/faults/catalog, and all settings at GET /_mock/settings.
    """  # noqa: D301 - click prints the paragraph after \b unchanged
    from odyssey_mock.core.network import ListenError  # noqa: PLC0415
    from odyssey_mock.state.errors import StateError  # noqa: PLC0415
    from odyssey_mock.tls.errors import CertificateError  # noqa: PLC0415

    settings = chosen_settings(context, values, config=config, assignments=assignments)
    if trace is not None and not trace.absolute().parent.is_dir():
        raise click.BadParameter(f"expected a file in an existing directory, got {trace}", param_hint="'--trace'")
    try:
        asyncio.run(_serve(settings, as_json=as_json, verbose=verbose, trace=trace))
    except (CertificateError, ListenError, StateError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        # If the event loop supports no signal handlers, Ctrl-C raises this. The mock has been closed already.
        return


serve.params += setting_options(SETTING_NAMES)


async def _serve(settings: Settings, *, as_json: bool, verbose: bool, trace: Path | None) -> None:
    with without_garbage_collection():
        from odyssey_mock.core.journal import line_of  # noqa: PLC0415
        from odyssey_mock.recordings.scratch_directory import remove_leftovers  # noqa: PLC0415
        from odyssey_mock.server import MockOdyssey  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        # On Windows the event loop supports no signal handlers.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(signum, stop.set)
    await asyncio.to_thread(remove_leftovers)
    with StderrLines() if verbose else contextlib.nullcontext() as lines:
        async with MockOdyssey(settings) as mock:
            if lines is not None:
                journal = mock.journal
                journal.observe(lambda entry: lines.print(line_of(entry, journal.began_at)))
            async with warming_up(mock), _traced(mock, trace):
                missing_fonts = ""
                if not as_json:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(FONTS_WAIT):
                            await mock.backend.first_response.wait()
                    missing_fonts = await asyncio.to_thread(_missing_fonts, settings)
                click.echo(_ready_line(mock) if as_json else _welcome(mock, missing_fonts))
                warn_if_exposed(mock)
                await stop.wait()


@contextlib.asynccontextmanager
async def _traced(mock: MockOdyssey, file: Path | None) -> AsyncIterator[None]:
    """Record the mock during the block, and write a trace at its end; do nothing if there is no file."""
    if file is None:
        yield
        return
    from odyssey_client.trace import Manifest, Recorder, write_trace  # noqa: PLC0415
    from odyssey_mock.trace import run_information  # noqa: PLC0415
    from odyssey_mock.trace.server_trace import ServerTrace  # noqa: PLC0415

    async with ServerTrace(mock, Recorder()) as trace:
        yield

    def write() -> None:
        recording = trace.recording()
        manifest = Manifest(
            title=f"odyssey-mock serve ({mock.url})",
            began_at=recording.began_at,
            duration=recording.duration,
            recorded_by=run_information.versions(),
            command=run_information.command(),
        )
        write_trace(file, recording, manifest, redact=run_information.redaction([mock.journal.secrets]))

    try:
        await asyncio.to_thread(write)
    except OSError as error:
        raise click.ClickException(f"the trace could not be written: {error}") from error


def _control_token(mock: MockOdyssey) -> str | None:
    """Return the control token if some requests may need it."""
    return mock.control_token if mock.backend.expects_token else None


def _console_url(mock: MockOdyssey, token: str | None) -> str:
    """Return the link to the console. The token is in the fragment, which browsers do not send to servers."""
    from odyssey_mock.http.control_access import CONSOLE_PATH  # noqa: PLC0415

    return f"{mock.url}{CONSOLE_PATH}/" + ("" if token is None else f"#token={token}")


def _ready_line(mock: MockOdyssey) -> str:
    """Return the JSON object that `serve --json` prints in one line once the server is ready."""
    from odyssey_mock.http.control_api import CONTROL_PATH  # noqa: PLC0415

    token = _control_token(mock)
    return json.dumps(
        {
            "url": mock.url,
            "listening_url": mock.listening_url,
            "api_key": mock.api_key,
            "control_url": f"{mock.url}{CONTROL_PATH}",
            "control_token": token,
            "console_url": _console_url(mock, token),
            "urls": [dataclasses.asdict(each) for each in mock.urls],
            "root_certificate": None if mock.root_certificate is None else str(mock.root_certificate),
            "pid": os.getpid(),
        }
    )


def _missing_fonts(settings: Settings) -> str:
    """Return the line to print if fonts for some writing systems are not installed; otherwise an empty string."""
    from odyssey_mock.media.fonts import ADVICE, font_set  # noqa: PLC0415

    if settings.overlay != "full" or settings.fonts != "machine" or not (missing := font_set("machine").missing()):
        return ""
    return f"\nNo fonts for {', '.join(missing)}: the picture shows code points instead. To see them, {ADVICE}.\n"


def _welcome(mock: MockOdyssey, missing_fonts: str) -> str:
    from odyssey_mock.http.control_api import CONTROL_PATH  # noqa: PLC0415

    token, root = _control_token(mock), mock.root_certificate
    control, query = f"{mock.url}{CONTROL_PATH}", "" if token is None else f"token={token}"
    listening = "" if mock.url == mock.listening_url else f", listening on {mock.listening_url}"
    lines = [
        f"Odyssey mock at {mock.url}{listening}",
        "",
        *_address_lines(mock),
        "",
        f"  export ODYSSEY_API_URL={mock.url}",
        f"  export ODYSSEY_API_KEY={mock.api_key}",
        *([] if root is None else [f"  export ODYSSEY_CA_FILE={shlex.quote(str(root))}"]),
        "",
        f"  console  {_console_url(mock, token)}",
        f"  state    {control}/state{query and f'?{query}'}",
        f"  journal  {control}/journal?format=text{query and f'&{query}'}",
        *([] if token is None else [f"  token    {token}, for {CONTROL_PATH} from other machines and through proxies"]),
        *([] if root is None else _trust_lines(root)),
        missing_fonts,
        "Press Ctrl-C to stop.",
    ]
    return "\n".join(lines)


_REACHES: Mapping[Reach, tuple[str, str]] = {
    "local": ("Local", "this machine"),
    "network": ("Network", "other machines, phones and containers"),
    "public": ("Public", "the setting public_url"),
}
"""For each reach of a URL: its label, and who uses the URL."""


def _address_lines(mock: MockOdyssey) -> Sequence[str]:
    """Return a line for each URL at which clients reach the mock."""
    found = mock.urls
    width = max(len(each.url) for each in found)
    lines = [f"  {_REACHES[each.reach][0]:<7}  {each.url:<{width}}  {_REACHES[each.reach][1]}" for each in found]
    if mock.backend.listens_on_loopback and mock.settings.public_url is None:
        lines.append("  Network  restart with --host 0.0.0.0 to let other machines and phones connect")
    return lines


def _trust_lines(root: Path) -> Sequence[str]:
    """Return lines that state how clients trust the root certificate of the local certificate authority."""
    return [
        "",
        f"Clients must trust the root certificate {root}",
        "  odyssey_client  ODYSSEY_CA_FILE",
        "  Python          SSL_CERT_FILE",
        "  Node.js         NODE_EXTRA_CA_CERTS",
        '  browsers and phones: "Serve https" on the page "Run a server" of the documentation',
    ]
