"""Tests of the completion of both commands in shells, which click generates."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from odyssey_client.cli import main as odyssey
from odyssey_mock.cli import main as odyssey_mock
from tests.support.command_tree import all_commands
from tests.support.interrupts import interruptible
from tests.support.requirements import require
from tests.support.terminals import with_own_terminal, without_escapes

COMMANDS = {"odyssey": odyssey, "odyssey-mock": odyssey_mock}

SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(_ODYSSEY_MOCK_COMPLETE=bash_source odyssey-mock)"'),
    "zsh": (
        ["-f", "-i"],
        'autoload -U compinit; compinit -u; eval "$(_ODYSSEY_MOCK_COMPLETE=zsh_source odyssey-mock)"',
    ),
    "fish": (["--no-config", "--interactive"], "_ODYSSEY_MOCK_COMPLETE=fish_source odyssey-mock | source"),
}
"""For each shell: its options, and the line that activates the completion, as the documentation shows it."""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("odyssey si", ["simulate", "simulations"]),
        ("odyssey simulations list --sta", ["--status"]),
        ("odyssey simulations list --status c", ["completed", "cancelled"]),
        ("odyssey stream cat --inter", ["--interact"]),
        ("odyssey-mock e", ["exec", "explore"]),
        ("odyssey-mock exec --plan u", ["unlimited"]),
        ("odyssey-mock serve --cl", ["--clock"]),
    ],
)
def test_words_are_completed(line: str, expected: list[str]) -> None:
    program, *words, incomplete = line.split()
    completer = ShellComplete(COMMANDS[program], {}, program, "_COMPLETE")
    assert [item.value for item in completer.get_completions(words, incomplete)] == expected


def test_every_parameter_can_be_completed() -> None:
    for program, main in COMMANDS.items():
        for path, command in all_commands(main, program).items():
            for parameter in command.params:
                found = parameter.shell_complete(click.Context(command), "x")
                assert isinstance(found, list), (
                    f"expected a list of completions of {path} {parameter.name}, got {found!r}"
                )


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_in_a_shell(shell: str, tmp_path: Path) -> None:
    path = shutil.which(shell)
    require(None if path else f"{shell} is not installed")
    assert path is not None
    options, activation = SHELLS[shell]
    leader, follower = os.openpty()
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TERM": "dumb",
    }
    with interruptible():
        process = subprocess.Popen(
            with_own_terminal([path, *options]),
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env=environment,
            cwd=tmp_path,
            start_new_session=True,
        )
    os.close(follower)
    with os.fdopen(leader, "r+b", buffering=0) as terminal:
        try:
            terminal.write(f"{activation}\nodyssey-mock serv\t--help; exit\n".encode())
            seen = b""
            with suppress(OSError):  # EIO: the shell has ended
                while chunk := terminal.read(4096):
                    seen += chunk
            shown = without_escapes(seen.decode(errors="replace"))
            assert "Usage: odyssey-mock serve " in shown, shown
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
