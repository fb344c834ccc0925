"""Tests that `docs/reference/networks.md` has the tables that `scripts/connections.py` draws."""

import re
from pathlib import Path

from tests.support.networks.table import CLIENTS, NETWORKS, Connections, drawn

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "networks.md"


def every(connections: Connections) -> dict[str, dict[str, Connections]]:
    """Return the same result for every client in every network."""
    return {name: dict.fromkeys(CLIENTS, connections) for name in NETWORKS}


def test_page_states_a_time_for_every_client() -> None:
    page = PAGE.read_text()

    without_times = re.sub(r"\b\d+ ms\b", "7 ms", page)

    assert without_times == re.sub(r"\b\d+ ms\b", "7 ms", drawn(page, every({"ms": [7.0], "error": None})))


def test_cell_has_median_or_no() -> None:
    page = "<!-- table: connections -->\nold\n<!-- /table -->\nBy hand.\n"

    fast = drawn(page, every({"ms": [900.0, 20.4, 30.0], "error": None}))
    failed = drawn(page, every({"ms": [], "error": "TimeoutError"}))

    assert fast.count("| 30 ms ") == failed.count("| no ") == len(CLIENTS) * len(NETWORKS)
    assert fast.endswith("|\n\n<!-- /table -->\nBy hand.\n")
    assert "old" not in fast
