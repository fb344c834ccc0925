"""`python -m odyssey_client.cli`: the command where it is not installed."""

from odyssey_client.cli.app import main

main(prog_name="odyssey")
