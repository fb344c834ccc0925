"""Shell commands of the documentation that need no shell: `forks.py` runs them without a new interpreter."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

ENTRY_POINTS = {
    "odyssey": ("-c", "from odyssey_client.cli import main; main()"),
    "odyssey-mock": ("-c", "from odyssey_mock.cli import main; main()"),
    "pytest": ("-m", "pytest"),
}
"""For each command, the first arguments of Python that do the same."""

_SYNTAX = re.compile(r"[$`|&;<>(){}*?#~\\]|\[")
"""Characters that a shell may replace or act on."""


def plain_commands(script: str) -> Sequence[Sequence[str]] | None:
    """Return the arguments of `start_python` for each command of a shell script.

    Return None if the script has no commands, or if one of them needs a shell.
    """
    commands = [_arguments(line) for line in script.splitlines()]
    if not commands or None in commands:
        return None
    return [command for command in commands if command is not None]


def _arguments(line: str) -> Sequence[str] | None:
    if _SYNTAX.search(line):
        return None
    try:
        words = shlex.split(line)
    except ValueError:  # the line ends within quotes: the next one continues its last word
        return None
    match words:
        case [program, *arguments] if program in ENTRY_POINTS:
            return [*ENTRY_POINTS[program], *arguments]
        case ["python", "-m", *arguments]:
            return ["-m", *arguments]
        case ["python", file, *arguments] if file.endswith(".py"):
            return ["-m", Path(file).stem, *arguments]
    return None
