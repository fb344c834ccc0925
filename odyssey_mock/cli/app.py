"""The command group `odyssey-mock`; each command is defined in its own module.

The module is imported when the command is used, so that `odyssey-mock --help` and the completion of names stay fast.
"""

from importlib.util import find_spec

import click

from odyssey_client.terminal.lazy_group import LazyCommand, LazyGroup


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 120},
)
@click.version_option(package_name="odyssey-testkit")
@click.pass_context
def main(context: click.Context, /) -> None:
    """Run a fake Odyssey service for tests, with real HTTP, WebSocket and WebRTC.

    Example: odyssey-mock serve --port 8400
    """
    from odyssey_mock.cli.extras import require_mock  # noqa: PLC0415 - only needed to run a command

    if context.invoked_subcommand != "doctor":  # it reports what is missing
        require_mock()


for name, summary in {
    # Packages contain neither `bench` nor `explore`, which test this project itself (pyproject.toml).
    "bench": "Measure performance, and compare it with a baseline.",
    "chaos": "Run COMMAND once for each fault that can affect it, and show which faults it does not survive.",
    "demo": "Run a live session of mock and client, and save its video.",
    "doctor": "Check this machine: what does not work, and what to do.",
    "exec": "Start a mock, run COMMAND with it, and stop the mock when COMMAND ends.",
    "explore": "Run random scenarios of client and mock in simulated time, and check rules that must hold in every "
    "scenario.",
    "serve": "Run the mock server until Ctrl-C or SIGTERM.",
    "trace": "Show, print, export and compare trace files, which show what happened in a test or a session.",
    "verify": "Find out what is true of the service: run a short program with your API key, and check what it sees.",
}.items():
    module = f"odyssey_mock.cli.{name}"
    if find_spec(module) is not None:
        variable = "exec_" if name == "exec" else name  # `exec` is a function of Python
        main.add_command(LazyCommand(name, f"{module}:{variable}", summary=summary))
