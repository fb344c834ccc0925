"""The command `odyssey-mock demo`: a whole live session, left as a film."""

import asyncio
from pathlib import Path

import click


@click.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("odyssey-demo"),
    help="Where to leave the video, the contact sheet and the journal.",
)
def demo(directory: Path) -> None:
    """Run a whole live session, mock and client, and leave a film of it."""
    from odyssey_mock.demo import run  # noqa: PLC0415

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{directory} cannot be made: {error}") from error
    asyncio.run(run(directory, click.echo))
