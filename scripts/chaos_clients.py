"""Test `odyssey_client` and the official JavaScript client under each fault, and write the page with the results.

Without patterns, the script tries every fault, which takes about an hour. With patterns of fault points or
`point:action`, it tries only these faults, and keeps the other rows of the page. The script requires Chromium and the
npm packages of `tests/contract/browser/`, which `scripts/test-needs` installs.

    python scripts/chaos_clients.py [PATTERN ...]
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from odyssey_mock.chaos_runs.command import CommandChaos  # noqa: E402
from odyssey_mock.chaos_runs.plan import faults_at  # noqa: E402
from odyssey_mock.chaos_runs.results import Run  # noqa: E402
from odyssey_mock.faults.catalog import POINTS  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "chaos-official-clients.md"
TIME_LIMIT = 40.0
"""Time limit of each run in seconds; longer than any timeout of `odyssey_client`."""

CLIENTS: Mapping[str, Sequence[str]] = {
    "odyssey_client": (sys.executable, str(ROOT / "tests" / "contract" / "chaos_session.py")),
    "JavaScript": (sys.executable, str(ROOT / "tests" / "contract" / "browser" / "chaos_session.py")),
}
"""For each client, the command that plays its session."""

INTRODUCTION = """\
# Chaos runs of both clients

Measured results of `odyssey-mock chaos`: one session of each client under each fault that can affect it.
`python scripts/chaos_clients.py` generates this page.
[The how-to page](../how-to/run-chaos-tests.md#which-faults-are-tried) describes the faults.

The session is the same for both clients: connect, start a stream, watch 15 frames, interact, watch 15 frames, end the
stream, disconnect. The program ends at the first error of the client, makes no second attempt, and has no timeout of
its own. `survived` therefore means that the client itself overcame the fault. `failed` means that a call ended with an
error; the cell has the call and the error. `hung` means that the session did not end within {limit:g} s; the cell has
the call in progress. `not tried` means that the client does not reach the fault point.

Faults of `signaling.connected`, `peer.connected` and `stream.running` act in the middle of the session. The call that
is in progress then may differ from run to run.

- **odyssey_client** is the client of this project, with its default settings
  ([chaos_session.py](../../tests/contract/chaos_session.py)).
- **JavaScript** is the vendor's npm package `@odysseyml/odyssey` {version}, unchanged, in headless Chromium
  ([session.js](../../tests/contract/browser/session.js)). Chromium itself may repeat a request whose connection was
  reset.

| | survived | failed | hung | not reached |
|---|---|---|---|---|
"""


NOT_TRIED = "not tried"
RESULTS = ("survived", "failed", "hung", "not reached")

type Cells = dict[str, dict[str, str]]
"""The results by fault and by client."""


def main() -> None:
    only = sys.argv[1:]
    cells = rows(PAGE.read_text()) if only else {}
    for client, command in CLIENTS.items():
        chaos = CommandChaos(command=command, only=only, time_limit=TIME_LIMIT)
        asyncio.run(chaos.run())
        for run in chaos.report.runs:
            cells.setdefault(run.fault, {})[client] = outcome(run)
    PAGE.write_text(page(cells))


def rows(page: str) -> Cells:
    """Read the results from the text of the page."""
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    return {fault.strip("`"): dict(zip(CLIENTS, results, strict=True)) for fault, *results in lines}


def page(cells: Cells) -> str:
    """Return the text of the page with the given results, in the order of the fault catalog."""
    packages = json.loads((ROOT / "tests" / "contract" / "browser" / "package.json").read_text())
    lines = [INTRODUCTION.format(limit=TIME_LIMIT, version=packages["devDependencies"]["@odysseyml/odyssey"])]
    for client in CLIENTS:
        counts = Counter(by.get(client, NOT_TRIED).partition(":")[0] for by in cells.values())
        lines.append(f"| {client} | {' | '.join(str(counts[result]) for result in RESULTS)} |\n")
    lines.append(f"\n| fault | {' | '.join(CLIENTS)} |\n|---|{'---|' * len(CLIENTS)}\n")
    names = [fault.name for fault in faults_at(POINTS) if fault.name in cells]
    lines += [f"| `{name}` | {' | '.join(cells[name].get(each, NOT_TRIED) for each in CLIENTS)} |\n" for name in names]
    return "".join(lines)


def outcome(run: Run) -> str:
    """Return the result of one run as a cell of the table."""
    if run.verdict == "passed":
        return "survived"
    what = run.reason.partition(": ")[2].replace("|", "/")
    return f"{run.verdict}: {what}" if what else run.verdict


if __name__ == "__main__":
    main()
