"""Tests of groups that import their commands when they are used."""

import sys
from collections.abc import Iterator
from types import ModuleType

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from odyssey_client.cli.app import main as odyssey
from odyssey_client.terminal.lazy_group import LazyCommand, LazyGroup
from odyssey_mock.cli.app import main as odyssey_mock
from tests.support.command_tree import all_commands

MODULE = "lazy_group_example"


@click.command()
@click.option("--name", default="Anna")
def greet(name: str) -> None:
    """Greet a person. The greeting is short."""
    click.echo(f"Hello {name}")


@pytest.fixture
def group() -> LazyGroup:
    group = LazyGroup("example", no_args_is_help=True)
    group.add_command(LazyCommand("greet", f"{MODULE}:greet", summary="Greet a person."))
    return group


@pytest.fixture
def importable() -> Iterator[None]:
    """Let the module of the command be imported during the test."""
    module = ModuleType(MODULE)
    module.__dict__["greet"] = greet
    sys.modules[MODULE] = module
    yield
    del sys.modules[MODULE]


def test_help_of_group_shows_the_summary_without_import(group: LazyGroup) -> None:
    shown = CliRunner().invoke(group, ["--help"])
    assert (shown.exit_code, shown.stdout.splitlines()[-1]) == (0, "  greet  Greet a person.")


def test_name_is_completed_without_import(group: LazyGroup) -> None:
    completions = ShellComplete(group, {}, "example", "_COMPLETE").get_completions([], "g")
    assert [(each.value, each.help) for each in completions] == [("greet", "Greet a person.")]


@pytest.mark.usefixtures("importable")
def test_named_command_is_imported_and_runs(group: LazyGroup) -> None:
    ran = CliRunner().invoke(group, ["greet", "--name", "Berta"])
    assert (ran.exit_code, ran.stdout) == (0, "Hello Berta\n")
    assert group.commands == {"greet": greet}


@pytest.mark.usefixtures("importable")
def test_options_of_command_are_completed(group: LazyGroup) -> None:
    completions = ShellComplete(group, {}, "example", "_COMPLETE").get_completions(["greet"], "--n")
    assert [each.value for each in completions] == ["--name"]


def test_unknown_command_is_reported(group: LazyGroup) -> None:
    ran = CliRunner().invoke(group, ["great"])
    assert (ran.exit_code, "No such command 'great'" in ran.stderr) == (2, True), (
        f"expected exit code 2 and an error about 'great', got {ran.exit_code} and {ran.stderr!r}"
    )


@pytest.mark.parametrize("main", [odyssey, odyssey_mock], ids=["odyssey", "odyssey-mock"])
def test_summaries_are_the_first_sentences_of_the_commands(main: LazyGroup) -> None:
    def help_of_group() -> str:
        return CliRunner().invoke(main, ["--help"], terminal_width=200).stdout

    summaries = help_of_group()
    all_commands(main, "")  # from now on, the group has the commands in place of their summaries
    assert summaries == help_of_group()
