"""The command `odyssey simulate`: submits a job, and optionally waits for it and downloads its recordings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click
from click.core import ParameterSource

from odyssey_client.cli.downloads import artifact_option, fetch_all
from odyssey_client.cli.output import Answer, json_of
from odyssey_client.cli.service import Seconds, Service, call_service, service_options, trace_option
from odyssey_client.cli.simulations import is_done, job_parts
from odyssey_client.cli.validate import FILES, read_scripts, told
from odyssey_client.client.arguments import LONGEST_WAIT_S
from odyssey_client.errors import DownloadError, OdysseyError, SimulationCancelledError, SimulationFailedError
from odyssey_client.event_loop import in_thread
from odyssey_client.models import SimulationJob, SimulationJobDetail
from odyssey_client.rest.downloads import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """The arguments and options of `odyssey simulate`."""

    files: tuple[Path, ...]
    batch: bool
    url: str | None
    portrait: bool
    bypass_prompt_expansion: bool
    wait: bool
    download: Path | None
    artifacts: tuple[Artifact, ...]
    timeout: float
    poll_interval: float


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=FILES)
@click.option("--batch", is_flag=True, help="Make one job of several files, with one stream per file.")
@click.option("--url", metavar="URL", help="Let the service fetch the script from this URL; pass no FILE.")
@click.option("--portrait/--landscape", default=True, help="Video size: 704x1280 or 1280x704.")
@click.option("--bypass-prompt-expansion", is_flag=True, help="Use prompts unchanged; this requires a privilege.")
@click.option("--wait", is_flag=True, help="Wait until the job has ended.")
@click.option(
    "--download",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Wait, then download the video of each stream to this directory; it is created if it does not exist.",
)
@artifact_option("File to download for each stream; may be repeated.")
@click.option(
    "--timeout",
    type=Seconds(min=0, max=LONGEST_WAIT_S),
    default=600.0,
    metavar="S",
    help="Maximum time to wait, in seconds; 0 for no limit.",
)
@click.option(
    "--poll-interval",
    type=Seconds(min=0, min_open=True, max=LONGEST_WAIT_S),
    default=5.0,
    metavar="S",
    help="Seconds between two requests for the status of the job.",
)
@trace_option
@service_options
@click.pass_context
def simulate(
    context: click.Context, /, api_url: str | None, as_json: bool, trace: Path | None, **options: object
) -> None:
    """Submit the script in FILE as a simulation job.

    A script is a JSON array of entries, each with "timestamp_ms" and one of "start", "interact" and "end". For example:

    \b
    [{"timestamp_ms": 0, "start": {"prompt": "A cat"}},
     {"timestamp_ms": 2000, "interact": {"prompt": "Pet it"}},
     {"timestamp_ms": 4000, "end": {}}]

    The command prints the id and the status of the job. With --wait or --download it waits until the job has ended. If
    the wait is interrupted or times out, the job continues. If some streams of the job fail, the others are downloaded.

    Example: odyssey simulate cat.json --download out
    """  # noqa: D301 - click prints the paragraph after \b unchanged
    order = _Order(**options)  # type: ignore[arg-type]  # click has converted the values
    _check(order, {name for name in options if context.get_parameter_source(name) is not ParameterSource.DEFAULT})
    call_service(lambda service: _simulate(service, order), api_url=api_url, as_json=as_json, trace=trace)


def _check(order: _Order, given: set[str]) -> None:
    if bool(order.files) == (order.url is not None):
        raise click.UsageError("Pass either FILE (several with --batch) or --url URL.")
    if len(order.files) > 1 and not order.batch:
        raise click.UsageError("Several files require --batch: it makes one job of them, with one stream per file.")
    if order.url is not None and order.batch:
        raise click.UsageError("--batch cannot be used with --url, which is the URL of a single script.")
    for option, needs, is_there in (
        ("timeout", "--wait or --download", order.wait or order.download is not None),
        ("poll_interval", "--wait or --download", order.wait or order.download is not None),
        ("artifacts", "--download", order.download is not None),
    ):
        if option in given and not is_there:
            name = "artifact" if option == "artifacts" else option.replace("_", "-")
            raise click.UsageError(f"--{name} requires {needs}.")


async def _simulate(service: Service, order: _Order) -> Answer:
    verdicts = await in_thread(lambda: read_scripts(order.files))
    scripts = [verdict.script for verdict in verdicts if verdict.script is not None]
    if len(scripts) < len(verdicts):
        return replace(told(verdicts), parts=())
    if (directory := order.download) is not None:
        await in_thread(lambda: _make(directory))
    service.if_stopped = "Interrupted while submitting the job: `odyssey simulations list` shows whether it exists."
    job = await service.client.simulate(
        script=scripts[0] if scripts and not order.batch else None,
        scripts=scripts if order.batch else None,
        script_url=order.url,
        portrait=order.portrait,
        bypass_prompt_expansion=order.bypass_prompt_expansion or None,
    )
    if not order.wait and directory is None:
        return Answer(json_of(job), job_parts(job))
    service.so_far = Answer({"job_id": job.job_id}, ())
    ended, failures = await _wait(service, order, job)
    service.progress.end()
    service.so_far = Answer(json_of(ended), job_parts(ended), failures)
    if directory is None:
        return service.so_far
    service.if_stopped = "Interrupted. `odyssey recordings download` downloads the missing files."
    return await fetch_all(service, _wanted(ended, order.artifacts), directory)


async def _wait(
    service: Service, order: _Order, job: SimulationJob
) -> tuple[SimulationJobDetail, tuple[OdysseyError, ...]]:
    """Wait until the job has ended, and show its progress.

    Return the job, and a tuple that contains its error if it failed; otherwise the tuple is empty.
    """
    service.if_stopped = f"Interrupted. Simulation {job.job_id} continues.\n  {_what_to_do(job.job_id)}"
    total = max(1, len(order.files))
    service.progress.job(job.job_id, job.status, 0, total)

    def show(seen: SimulationJobDetail) -> None:
        done = sum(is_done(stream) for stream in seen.streams)
        service.progress.job(job.job_id, seen.status, done, max(total, len(seen.streams)))

    try:
        ended = await service.client.wait_for_simulation(
            job.job_id, poll_interval=order.poll_interval, timeout=order.timeout or None, on_update=show
        )
    except SimulationCancelledError:
        raise
    except SimulationFailedError as error:
        return error.job, (error,)
    except OdysseyError as error:
        error.add_note(_what_to_do(job.job_id))
        raise
    return ended, ()


def _wanted(job: SimulationJobDetail, artifacts: tuple[Artifact, ...]) -> list[tuple[str, Artifact]]:
    """Return the files to download, as pairs of a stream id and an artifact.

    For a failed stream, only the artifacts that exist are returned.
    """
    return [
        (stream.stream_id, artifact)
        for stream in job.streams
        for artifact in artifacts
        if not stream.has_failed or getattr(stream, f"{artifact}_url") is not None
    ]


def _what_to_do(job_id: str) -> str:
    return f"Show its status: odyssey simulations show {job_id}\n  Cancel it: odyssey simulations cancel {job_id}"


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(
            f"Cannot create the directory {directory}: {error.strerror}. Choose another one with --download.",
            code="cannot_write",
        ) from error
