"""The commands `odyssey recordings`: list, show and download recordings of live and simulated streams."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from odyssey_client.cli.downloads import artifact_option, fetch_all
from odyssey_client.cli.output import Answer, json_of, seconds
from odyssey_client.cli.paging import check_paging, footer, gather, paging_options
from odyssey_client.cli.service import Service, call_service, service_options
from odyssey_client.models import StreamRecordingSummary
from odyssey_client.rest.downloads import Artifact
from odyssey_client.terminal.tables import Columns, Fields, Part

_HEADER = ("STREAM", "SIZE", "STARTED", "ENDED", "DURATION")


@click.group()
def recordings() -> None:
    """List, show and download recordings.

    Live and simulated streams have recordings.

    Example: odyssey recordings list --limit 5
    """


@recordings.command("list")
@paging_options
@service_options
def list_(limit: int | None, offset: int | None, everything: bool, api_url: str | None, as_json: bool) -> None:
    """List recordings, newest first.

    A stream that is still running has no end time.

    Example: odyssey recordings list --limit 5
    """
    check_paging(limit=limit, offset=offset, everything=everything)

    async def work(service: Service) -> Answer:
        if everything:
            found = await gather(service.client.iter_stream_recordings())
            return Answer({"recordings": [json_of(each) for each in found], "total": len(found)}, _parts(found))
        page = await service.client.list_stream_recordings(limit=limit, offset=offset)
        below = footer(page.recordings, page.total, page.offset, "recordings")
        return Answer(json_of(page), _parts(page.recordings, below))

    call_service(work, api_url=api_url, as_json=as_json)


@recordings.command()
@click.argument("stream_id", metavar="STREAM_ID")
@service_options
def show(stream_id: str, api_url: str | None, as_json: bool) -> None:
    """Show a recording and the URLs of its files.

    `odyssey recordings list` shows the ids of streams. A URL is valid for about an hour and needs no authentication, so
    keep it secret.

    Example: odyssey recordings show STREAM_ID
    """

    async def work(service: Service) -> Answer:
        recording = await service.client.get_recording(stream_id)
        document = json_of(recording)
        shown = {**document, "duration_seconds": seconds(recording.duration_seconds)}
        pairs = [(name.removesuffix("_id").removesuffix("_seconds"), value) for name, value in shown.items()]
        return Answer(document, (Fields([(name.replace("_", " "), value) for name, value in pairs]),))

    call_service(work, api_url=api_url, as_json=as_json)


@recordings.command()
@click.argument("streams", metavar="STREAM_ID...", nargs=-1, required=True)
@click.option(
    "--to",
    metavar="PATH",
    type=click.Path(),  # a string: a trailing slash is significant
    default=".",
    help="Existing directory, or name of the file for a single file.  [default: current directory]",
    show_default=False,
)
@artifact_option("File to download for each stream; may be repeated.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@service_options
def download(
    streams: tuple[str, ...],
    to: str,
    artifacts: tuple[Artifact, ...],
    overwrite: bool,
    api_url: str | None,
    as_json: bool,
) -> None:
    """Download files of recordings.

    `odyssey recordings list` shows the ids of streams. If the connection breaks, the download resumes. A download that
    fails or is interrupted leaves no partial file.

    Example: odyssey recordings download STREAM_ID
    """
    if len(streams) * len(artifacts) > 1 and not os.path.isdir(to):  # noqa: PTH112 - see DownloadRequest.target
        raise click.UsageError(f"--to must be an existing directory for several files, got {to}.")

    async def work(service: Service) -> Answer:
        wanted = [(stream_id, artifact) for stream_id in streams for artifact in artifacts]
        return await fetch_all(service, wanted, to, overwrite=overwrite)

    call_service(work, api_url=api_url, as_json=as_json)


def _parts(found: Sequence[StreamRecordingSummary], below: str = "") -> Sequence[Part]:
    rows = [
        (r.stream_id, f"{r.width}x{r.height}", r.started_at, r.ended_at, seconds(r.duration_seconds)) for r in found
    ]
    return (Columns(header=_HEADER, rows=rows), below) if rows else (below or "No recordings found.",)
