"""The command group `odyssey-mock`, with its subcommands from the other modules of this package.

Each command imports its dependencies only when it runs, so that `--help` stays fast.
"""

import click

from odyssey_mock.cli.bench import bench
from odyssey_mock.cli.chaos import chaos
from odyssey_mock.cli.demo import demo
from odyssey_mock.cli.doctor import doctor
from odyssey_mock.cli.exec import exec_
from odyssey_mock.cli.explore import explore
from odyssey_mock.cli.extras import require_mock
from odyssey_mock.cli.serve import serve
from odyssey_mock.cli.trace import trace


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 120})
@click.version_option(package_name="odyssey-testkit")
@click.pass_context
def main(context: click.Context, /) -> None:
    """Run a fake Odyssey service for tests, with real HTTP, WebSocket and WebRTC.

    Example: odyssey-mock serve --port 8400
    """
    if context.invoked_subcommand != doctor.name:  # it reports what is missing
        require_mock()


for command in (serve, exec_, doctor, demo, bench, explore, chaos, trace):
    main.add_command(command)
