"""The warning of commands whose mock other machines can reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from odyssey_mock.server import MockOdyssey

EXPOSED = (
    "warning: other machines can reach this server, and it accepts every well-formed API key unless --key is given. "
    "Its control API (/_mock) needs the control token."
)
"""The line on stderr if other machines can reach the server."""


def warn_if_exposed(mock: MockOdyssey) -> None:
    """Print `EXPOSED` on stderr if other machines can reach the mock."""
    if mock.backend.is_exposed:
        click.echo(EXPOSED, err=True)
