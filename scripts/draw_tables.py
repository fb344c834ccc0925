"""Generate the tables in docs/ from the code.

architecture.md has the tables and diagrams of the state machines. protocol.md has the faults. fault-matrix.md has the
reaction of the client to each fault. kinds-of-tests.md has the kinds of tests that can use the mock. latency.md has the
durations of the latency profiles. security.md has the status of each route for each credential, origin and host.
settings.md and errors.md have the settings and errors. truth.md has the statements of the protocol.
test-bad-networks.md has the presets of impaired networks.

With `--check`, the script writes nothing and exits with 1 if a page differs from the code (see `tests/test_docs.py`).
"""

import importlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path

import odyssey_client
import odyssey_mock
import reference_tables
import truth_tables
from generated_tables import with_tables
from odyssey_mock.faults.catalog import POINTS
from odyssey_mock.impairment.presets import NETWORK_PRESETS
from odyssey_mock.impairment.profile import DIRECTIONS
from odyssey_mock.latency import LATENCIES

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.access import table as access  # noqa: E402 - the path of the tests is set above
from tests.kinds import table as kinds  # noqa: E402
from tests.matrix import table as matrix  # noqa: E402

MACHINES = {
    "connection": "odyssey_client.connection.connection_machine",
    "operations": "odyssey_client.connection.operation_machine",
    "spectator": "odyssey_client.spectator.spectator_machine",
    "session": "odyssey_mock.sessions.session_machine",
    "stream": "odyssey_mock.sessions.stream_machine",
    "job": "odyssey_mock.simulations.job_machine",
}

type Word = StrEnum | type
"""An event or an effect of a state machine: a member of an enum, or a class."""
type Transition = tuple[StrEnum, tuple[Word, ...]]
type Table = Mapping[StrEnum, Mapping[Word, Transition]]


def _networks() -> str:
    rows = []
    for name, preset in NETWORK_PRESETS.items():
        sides = {way: preset.profile.to_data()[way] for way in DIRECTIONS}
        values = {json.dumps(side) for side in sides.values()}
        shown = values if len(values) == 1 else {json.dumps(sides)}
        rows.append(f"| `{name}` | {preset.means} | `{shown.pop()}` | {preset.source} |")
    return "\n".join(["| preset | network | in each direction | source |", "|---|---|---|---|", *rows, ""])


def _faults() -> str:
    rows = []
    for name, point in POINTS.items():
        matches = ", ".join(f"`{each}`" for each in sorted(point.matches)) or ""
        rows.append(f"| **`{name}`** | | {point.means} | {matches} |")
        for action, what in point.actions.items():
            parameters = "".join(
                f" `{each}`{'' if parameter.required else '?'}" for each, parameter in what.parameters.items()
            )
            rows.append(f"| | `{action}`{parameters} | {what.means} | |")
    return "\n".join(
        ["", "| point | action | meaning | `match` (always also `account`) |", "|---|---|---|---|", *rows, ""]
    )


def _latency() -> str:
    rows = [f"| `{name}` | {row.means} | {row.realistic:g} | {row.slow:g} |" for name, row in LATENCIES.items()]
    return "\n".join(["", "| point | what takes the time | `realistic` | `slow` |", "|---|---|---|---|", *rows, ""])


def _matrix() -> str:
    lines: list[str] = []
    for title, cells in matrix.GROUPS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| fault | call | outcome | status | notifications | limit |",
            "|---|---|---|---|---|---|",
        ]
        for each in cells:
            outcome = f"`{each.result}` | {each.status} | {' '.join(each.told)} | {each.limit or ''}"
            lines.append(f"| `{each.fault}` | {each.call} | {outcome} |")
    return "\n".join([*lines, ""])


def _kinds() -> str:
    rows = []
    for kind in kinds.KINDS:
        results = " | ".join(kinds.Cell(kind, variant).shown for variant in kinds.VARIANTS)
        rows.append(f"| {kind.title} | {results} | {_folder(kind.folder)} |")
    return "\n".join(
        [
            "",
            f"| kind of test | {' | '.join(kinds.VARIANTS)} | example |",
            f"|---|{'---|' * len(kinds.VARIANTS)}---|",
            *rows,
            "",
        ]
    )


def _configurations() -> str:
    rows = [
        f"| {kind.title} | {kinds.Cell(kind, 'alone').shown} | {_folder(kind.project)} |"
        for kind in kinds.CONFIGURATIONS
    ]
    return "\n".join(["", "| configuration | result | example |", "|---|---|---|", *rows, ""])


def _refusals() -> str:
    rows = [f"| {each.title} | {each.message} |" for each in kinds.REFUSALS]
    return "\n".join(["", "| combination | message |", "|---|---|", *rows, ""])


def _folder(path: str) -> str:
    return f"[{path.rpartition('/')[2]}](../../tests/kinds/projects/{path})"


def _machine(name: str) -> str:
    """Return the table of a state machine. Events of a state with the same next state and effects share a row."""
    module = importlib.import_module(MACHINES[name])
    table: Table = module.TRANSITIONS
    initial: StrEnum = module.INITIAL
    rows = [
        f"| {state} | {_words(events)} | {target} | {_words(effects) or '(none)'} |"
        for state, row in table.items()
        for (target, effects), events in _grouped((transition, event) for event, transition in row.items())
    ]
    return "\n".join(
        [
            f"From `{MACHINES[name].replace('.', '/')}.py`:",
            "",
            "| state | event | next state | effects, in order |",
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
    """Yield the lines of a state machine's diagram, without transitions from a state to itself."""
    yield f"[*] --> {initial}"
    for state, row in table.items():
        leaving = [(target, event) for event, (target, _) in row.items() if target != state]
        for target, events in _grouped(leaving):
            yield f"{state} --> {target}: {', '.join(_word(event) for event in events)}"
        if not leaving:
            yield f"{state} --> [*]"


def _grouped[K, V](pairs: Iterable[tuple[K, V]]) -> Iterable[tuple[K, list[V]]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups.items()


def _words(words: Iterable[Word]) -> str:
    return ", ".join(f"`{_word(word)}`" for word in words)


def _word(word: Word) -> str:
    return word.__name__ if isinstance(word, type) else word


TABLES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "architecture.md": {name: partial(_machine, name) for name in MACHINES},
    "reference/protocol.md": {"faults": _faults},
    "reference/fault-matrix.md": {"matrix": _matrix},
    "reference/kinds-of-tests.md": {"kinds": _kinds, "configurations": _configurations, "refusals": _refusals},
    "reference/latency.md": {"latency": _latency},
    "reference/security.md": access.TABLES,
    "reference/settings.md": {"settings": reference_tables.settings},
    "reference/errors.md": {
        "client_errors": partial(reference_tables.errors, odyssey_client),
        "mock_errors": partial(reference_tables.errors, odyssey_mock),
    },
    "reference/truth.md": truth_tables.TABLES,
    "how-to/test-bad-networks.md": {"networks": _networks},
}
"""The functions that draw the tables of each page in docs/."""


def main() -> None:
    for name, tables in TABLES.items():
        page = ROOT / "docs" / name
        drawn = with_tables(page, {table: draw() for table, draw in tables.items()})
        if "--check" not in sys.argv:
            page.write_text(drawn)
        elif drawn != page.read_text():
            sys.exit(f"{page.name}: the tables differ from the code; run make format")


if __name__ == "__main__":
    main()
