"""Tests that `docs/reference/networks.md` has the tables that `scripts/connections.py` draws."""

import re
from pathlib import Path

from tests.support.networks.table import CLIENTS, NETWORKS, Connections, tables

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "networks.md"


def every(connections: Connections) -> dict[str, dict[str, Connections]]:
    """Return the same result for every client in every network."""
    return {name: dict.fromkeys(CLIENTS, connections) for name in NETWORKS}


def test_page_states_a_time_for_every_client() -> None:
    without_times = re.sub(r"\b\d+ ms\b", "7 ms", PAGE.read_text())

    for name, table in tables(every({"ms": [7.0], "error": None})).items():
        assert f"<!-- table: {name} -->\n{table}<!-- /table -->" in without_times


def test_cell_has_median_or_no() -> None:
    fast = tables(every({"ms": [900.0, 20.4, 30.0], "error": None}))["connections"]
    failed = tables(every({"ms": [], "error": "TimeoutError"}))["connections"]

    assert fast.count("| 30 ms ") == failed.count("| no ") == len(CLIENTS) * len(NETWORKS)
