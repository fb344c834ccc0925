"""Draw the transition tables of the state machines into docs/architecture.md, from the code.

Between `<!-- table: NAME -->` and `<!-- /table -->` stand the machine's table and its picture. With `--check` nothing
is written: the exit status says whether the page is what the code would draw (`tests/test_docs.py` asks so).
"""

import importlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"
MACHINES = {
    "connection": "odyssey_client.connection.machine_table",
    "operations": "odyssey_client.connection.operations_table",
    "spectator": "odyssey_client.spectator.machine",
    "session": "odyssey_mock.streamer.session",
    "stream": "odyssey_mock.streamer.stream",
    "job": "odyssey_mock.jobs.machine",
}
SECTION = re.compile(r"(?<=<!-- table: )(?P<name>\w+)( -->\n).*?(?=<!-- /table -->)", re.DOTALL)

type Transition = tuple[StrEnum, tuple[StrEnum, ...]]
type Table = Mapping[StrEnum, Mapping[StrEnum, Transition]]


def draw(name: str) -> str:
    """Give the table of machine `name` as Markdown: one row for all the events of a state that lead to the same."""
    module = importlib.import_module(MACHINES[name])
    table: Table = module.TRANSITIONS
    initial: StrEnum = module.INITIAL
    rows = [
        f"| {state} | {_words(events)} | {target} | {_words(actions) or '(nothing)'} |"
        for state, row in table.items()
        for (target, actions), events in _grouped((transition, event) for event, transition in row.items())
    ]
    return "\n".join(
        [
            f"From `{MACHINES[name].replace('.', '/')}.py`:",
            "",
            "| in state | when | goes to | and does, in order |",
            "|---|---|---|---|",
            *rows,
            "",
            "```mermaid",
            "stateDiagram-v2",
            *(f"    {line}" for line in _picture(table, initial)),
            "```",
            "",
        ]
    )


def _picture(table: Table, initial: StrEnum) -> Iterator[str]:
    """Only what leads from one state to another; what leaves the state as it is stands in the table."""
    yield f"[*] --> {initial}"
    for state, row in table.items():
        leaving = [(target, event) for event, (target, _) in row.items() if target != state]
        for target, events in _grouped(leaving):
            yield f"{state} --> {target}: {', '.join(events)}"
        if not leaving:
            yield f"{state} --> [*]"


def _grouped[K, V](pairs: Iterable[tuple[K, V]]) -> Iterable[tuple[K, list[V]]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups.items()


def _words(names: Iterable[StrEnum]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main() -> None:
    page = PAGE.read_text()
    drawn = SECTION.sub(lambda match: f"{match['name']}{match[2]}{draw(match['name'])}", page)
    if "--check" not in sys.argv:
        PAGE.write_text(drawn)
    elif drawn != page:
        sys.exit(f"{PAGE.name}: the tables are not those of the code; run make format")


if __name__ == "__main__":
    main()
