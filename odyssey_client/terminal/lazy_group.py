"""`LazyGroup`, a group of commands that imports the module of a command when the command is used."""

from __future__ import annotations

from importlib import import_module
from typing import override

import click


class LazyCommand(click.Command):
    """The name and the summary of a command whose module is not imported yet.

    It stands in for the command where these two suffice: in the `--help` and the completion of its group.
    """

    def __init__(self, name: str, target: str, *, summary: str) -> None:
        """Create the stand-in.

        Args:
            name: The name of the command.
            target: The module and the variable of the command, such as ``package.cli.serve:serve``.
            summary: The first sentence of the command's help, which the `--help` of the group shows.
        """
        super().__init__(name, help=summary)
        self._target = target

    def load(self) -> click.Command:
        """Import the command."""
        module, _, variable = self._target.partition(":")
        command: click.Command = getattr(import_module(module), variable)
        return command


class LazyGroup(click.Group):
    """A group that replaces a `LazyCommand` by the command itself when an argument names it."""

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if isinstance(command, LazyCommand):
            command = command.load()
            self.add_command(command, name)
        return name, command, rest
