"""Runs the command `odyssey` as `python -m odyssey_client.cli`."""

from odyssey_client.cli.app import main

main(prog_name="odyssey")
