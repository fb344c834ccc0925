"""The commands, put together."""

from __future__ import annotations

import click

from odyssey_client.cli.recordings import recordings
from odyssey_client.cli.simulate import simulate
from odyssey_client.cli.simulations import simulations
from odyssey_client.cli.validate import validate
from odyssey_client.cli.watch import watch


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="odyssey-testkit")
def main() -> None:
    """Run scripted simulations on Odyssey, fetch what they and live streams left behind, and watch broadcasts.

    The API key comes from the environment variable ODYSSEY_API_KEY and from nowhere else: what stands on a command line
    can be read by everybody on the machine. The service is that of --api-url, else of ODYSSEY_API_URL. To watch takes
    neither, but the token of the broadcast.

    Results go to the standard output, progress and errors to the standard error. With --json the standard output is one
    JSON document, wrong usage aside: after an error it has "error" with "code" and "message".

    Exit codes: 0 done, 1 an error, 2 wrong usage, 130 interrupted.
    """


for each in (validate, simulate, simulations, recordings, watch):
    main.add_command(each)
