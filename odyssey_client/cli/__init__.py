"""The command `odyssey`."""

from odyssey_client.cli.app import main

__all__ = ["main"]
