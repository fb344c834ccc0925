"""The command `odyssey-mock demo`: a live session from end to end, recorded as a video."""

import asyncio
from pathlib import Path

import click


@click.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("odyssey-demo"),
    help="Directory for the video, the contact sheet and the journal.",
)
def demo(directory: Path) -> None:
    """Run a live session of mock and client, and save its video.

    Example: odyssey-mock demo --directory my-demo
    """
    from odyssey_mock.demo import run  # noqa: PLC0415

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"cannot create {directory}: {error}") from error
    asyncio.run(run(directory, click.echo))
