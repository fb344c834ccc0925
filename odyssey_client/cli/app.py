"""The command group `odyssey`; each command is defined in its own module.

The module is imported when the command is used, so that `odyssey --help` and the completion of names stay fast.
"""

from __future__ import annotations

import click

from odyssey_client.terminal.lazy_group import LazyCommand, LazyGroup


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="odyssey-testkit")
def main() -> None:
    """Play live streams and run scripted simulations on Odyssey, download recordings and watch broadcasts.

    Set the environment variable ODYSSEY_API_KEY to your API key. There is no option for it, because other users of the
    machine can read command lines. The URL of the service is set by --api-url or the environment variable
    ODYSSEY_API_URL; the default is https://api.odyssey.ml. `odyssey watch` uses neither the API key nor this URL.

    For a service with a certificate authority of its own, set the environment variable ODYSSEY_CA_FILE to the file with
    its root certificate. The usual authorities are trusted too.

    Results go to standard output, progress and errors to standard error. With --json, standard output is one JSON
    document; after an error, its field "error" has "code" and "message". Wrong usage is only reported as text.

    Exit codes: 0 success, 1 error, 2 wrong usage, 130 interrupted by Ctrl-C.

    Example: odyssey simulate cat.json --download out
    """


for name, summary in {
    "recordings": "List, show and download recordings.",
    "simulate": "Submit the script in FILE as a simulation job.",
    "simulations": "List, show and cancel simulation jobs.",
    "stream": "Play a live stream that starts with PROMPT.",
    "validate": "Check simulation scripts and their images.",
    "watch": "Watch a broadcast and show statistics.",
}.items():
    main.add_command(LazyCommand(name, f"odyssey_client.cli.{name}:{name}", summary=summary))
