"""Tests of `--help` of every command: the text begins with one sentence, and its example is valid."""

import inspect
import re
import shlex
import textwrap

import click
import pytest
import yaml

from odyssey_client import Script
from odyssey_client.cli.app import main as odyssey
from odyssey_mock.cli import main as odyssey_mock
from odyssey_mock.faults.fault import Fault
from odyssey_mock.setting_values import from_data
from odyssey_mock.settings import Settings
from tests.support.command_tree import all_commands

COMMANDS = {**all_commands(odyssey, "odyssey"), **all_commands(odyssey_mock, "odyssey-mock")}


@pytest.mark.parametrize("path", COMMANDS)
def test_help_begins_with_one_sentence(path: str) -> None:
    first, *_ = inspect.cleandoc(COMMANDS[path].help or "").split("\n\n")

    assert re.fullmatch(r"[A-Z][^.]+\.", first), (
        f"expected the help of {path} to begin with one sentence as its first paragraph, got {first!r}"
    )


@pytest.mark.parametrize("path", COMMANDS)
def test_help_shows_an_example_that_parses(path: str) -> None:
    example = re.search(rf"^Example: ({path} .+)$", inspect.cleandoc(COMMANDS[path].help or ""), re.MULTILINE)
    assert example, f"expected the help of {path} to contain an example, found none"

    words = shlex.split(example[1])
    depth = max(length for length in range(1, len(words)) if " ".join(words[:length]) in COMMANDS)
    command = COMMANDS[" ".join(words[:depth])]
    assert not isinstance(command, click.Group), (
        f"expected the example to call a command, got the group of commands {command.name!r}"
    )
    given, rest, _ = command.make_parser(click.Context(command)).parse_args(words[depth:])
    assert given
    assert rest == []


@pytest.mark.parametrize("path", ["odyssey simulate", "odyssey validate"])
def test_script_shown_by_help_is_valid(path: str) -> None:
    command = COMMANDS[path]
    shown = re.search(r"^ +(\[\{.+\}\])$", command.get_help(click.Context(command)), re.MULTILINE | re.DOTALL)
    assert shown, f"expected the help of {path} to contain a script, found none"

    script = Script.from_json(shown[1])
    assert [entry.action for entry in script.entries] == ["start", "interact", "end"]
    assert script.advice() == ()


def test_settings_file_shown_by_help_is_valid() -> None:
    text = COMMANDS["odyssey-mock serve"].get_help(click.Context(COMMANDS["odyssey-mock serve"]))
    shown = re.search(r"^ +Example of a file for --config:\n\n(.+?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert shown, "expected the help of odyssey-mock serve to contain an example of a settings file, found none"

    given = yaml.safe_load(textwrap.dedent(shown[1]))
    settings = Settings().replace(
        plan=given.pop("plan"), **{name: from_data(name, value) for name, value in given.items()}
    )
    assert (settings.fps, settings.inactivity, set(settings.keys or ())) == (10, None, {"ody_anna", "ody_berta"})
    assert [Fault.of(each).at for each in settings.faults] == ["rest.sessions.request"]
