"""Connect clients to a mock over each kind of network, and write the tables of `docs/reference/networks.md`.

    python scripts/connections.py              # connects each client 5 times
    python scripts/connections.py --rounds 1

It needs Linux, Chromium, Firefox and the programs that `scripts/test-needs` installs, and takes some minutes. It fails
if a client or a page does not connect as `tests/support/networks/table.py` states.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from generated_tables import with_tables

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.namespaces import run_in_namespace  # noqa: E402 - the path of the tests is set above
from tests.support.networks.table import BROWSERS, CLIENTS, NETWORKS, PAGES, Connections, tables  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "networks.md"
SCRIPTS = ROOT / "tests" / "support" / "networks"
ROUNDS = 5

type Results = Mapping[str, Mapping[str, Connections]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each client connects (%(default)s)")
    rounds = parser.parse_args().rounds
    results = {name: _measured(name, rounds) for name in NETWORKS}
    problems = [*_unconnected(results), *_unexpected_answers()]
    PAGE.write_text(with_tables(PAGE, tables(results)))
    if problems:
        sys.exit("\n".join(problems))


def _measured(name: str, rounds: int) -> Mapping[str, Connections]:
    """Connect each client in a network of its own, and print the results.

    The first connection of a client does not count, because it also loads code.
    """
    results: dict[str, Connections] = {}
    for client in CLIENTS:
        network = NETWORKS[name].network
        found = run_in_namespace(network, SCRIPTS / "mock_machine.py", name, str(rounds + 1), client)[client]
        results[client] = {"ms": found["ms"][1:], "error": found["error"]}
        click.echo(f"{name}, {client}: {', '.join(f'{ms:.0f} ms' for ms in results[client]['ms'])}")
    return results


def _unconnected(results: Results) -> Iterator[str]:
    for name, clients in results.items():
        for client, connections in clients.items():
            if connections["error"] is not None:
                yield f"{name}, {client}: expected it to connect, got this error:\n{connections['error']}"


def _unexpected_answers() -> Sequence[str]:
    problems = []
    for browser in BROWSERS:
        found = run_in_namespace("address spaces", SCRIPTS / "web_pages.py", browser)
        for page in PAGES:
            expected = [getattr(page, browser), page.has_camera]
            if found[str(page)] != expected:
                problems.append(f"{browser}, {page}: expected {expected}, got {found[str(page)]}")
    return problems


if __name__ == "__main__":
    main()
