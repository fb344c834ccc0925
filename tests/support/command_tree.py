"""All commands of a command-line program, by their full names."""

import click


def all_commands(command: click.Command, name: str) -> dict[str, click.Command]:
    """Return a command and all its subcommands by full name, such as `odyssey recordings list`. Import all of them."""
    found = {name: command}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            _, child, _ = command.resolve_command(context, [each])
            assert child is not None, f"expected a command {name} {each}, got none"
            found |= all_commands(child, f"{name} {each}")
    return found
