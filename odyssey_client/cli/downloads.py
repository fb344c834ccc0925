"""Downloads of several files, with a progress bar for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import click

from odyssey_client.cli.output import Answer, json_of, size
from odyssey_client.cli.service import Service
from odyssey_client.errors import DownloadError, OdysseyApiError
from odyssey_client.event_loop import in_thread
from odyssey_client.models import JSON
from odyssey_client.rest.downloads import Artifact, DownloadProgress

ARTIFACTS: tuple[Artifact, ...] = get_args(Artifact.__value__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was downloaded."""

    stream_id: str
    artifact: Artifact
    path: str
    bytes: int


def artifact_option[**P, T](what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator that adds the option ``--artifact``, passed as ``artifacts``; ``what`` is its help text."""
    return click.option(
        "--artifact", "artifacts", type=click.Choice(ARTIFACTS), multiple=True, default=("video",), help=what
    )


async def fetch_all(
    service: Service, wanted: Sequence[tuple[str, Artifact]], to: str | Path, *, overwrite: bool = False
) -> Answer:
    """Download files of streams one after the other. If a download fails, continue with the next file.

    Returns:
        ``service.so_far``, with the downloaded files and the errors of failed downloads added.

    Raises:
        OdysseyError: a download failed with an error that the remaining downloads would also raise, such as a rejected
            API key.
    """
    before = service.so_far
    files: list[Fetched] = []
    errors: list[DownloadError | OdysseyApiError] = []
    service.so_far = _with_files(before, files)
    for stream_id, artifact in dict.fromkeys(wanted):  # without duplicates

        def show(progress: DownloadProgress, name: str = f"{artifact} of {stream_id}") -> None:
            service.progress.file(name, progress.received, progress.total)

        show(DownloadProgress(0, None))  # shown at once, because the first byte may take a while
        try:
            path = await service.client.download_recording(
                stream_id, to, artifact=artifact, on_progress=show, overwrite=overwrite
            )
        except (DownloadError, OdysseyApiError) as error:
            errors.append(error)
        else:
            files.append(Fetched(stream_id, artifact, str(path), (await in_thread(path.stat)).st_size))
            service.so_far = _with_files(before, files)
        service.progress.end()
    return replace(service.so_far, errors=(*before.errors, *errors))


def _with_files(answer: Answer, files: Sequence[Fetched]) -> Answer:
    text = "\n".join(f"{file.path}  {size(file.bytes)}" for file in files)
    document: dict[str, JSON] = {**answer.document, "files": [json_of(file) for file in files]}
    return replace(answer, document=document, parts=(*answer.parts, text))
