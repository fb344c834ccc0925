"""The command `odyssey-mock`."""

from odyssey_mock.cli.app import main

__all__ = ["main"]
