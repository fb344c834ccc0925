"""The command `odyssey-mock`: the group of its commands, each in a file of its own.

Each command imports what it needs when it runs, so that `--help` answers at once.
"""

import importlib.util

import click

from odyssey_mock.cli.bench import bench
from odyssey_mock.cli.demo import demo
from odyssey_mock.cli.explore import explore
from odyssey_mock.cli.serve import serve

EXTRA = ("starlette", "uvicorn", "pydantic", "jwt")
"""What the extra `mock` brings."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="odyssey-testkit")
def main() -> None:
    """Run a fake Odyssey service: real HTTP, WebSocket and WebRTC, off line and on demand."""
    if not all(importlib.util.find_spec(name) for name in EXTRA):
        raise click.ClickException("odyssey-mock needs its extra: pip install 'odyssey-testkit[mock]'")


for command in (serve, demo, bench, explore):
    main.add_command(command)
