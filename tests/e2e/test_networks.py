"""Tests that clients on other machines, and web pages, connect to a mock in every way that the documentation states."""

from pathlib import Path
from typing import Any

import pytest

from tests.contract.browser import chromium, trust
from tests.support import coturn, nginx
from tests.support.namespaces import run_in_namespace
from tests.support.networks.table import NETWORKS, PAGES, UNDOCUMENTED_NETWORKS
from tests.support.requirements import require

SCRIPTS = Path(__file__).parents[1] / "support" / "networks"

ALL_NETWORKS = {**NETWORKS, **UNDOCUMENTED_NETWORKS}
PYTHON_CLIENTS = ("client", "spectator", "hls")
MISSING = {"nginx": nginx.missing, "coturn": coturn.missing}
"""For each program beside a mock, the function that returns whether it is missing."""


def connected(name: str, *clients: str) -> None:
    """Assert that each client connects in the network `name`."""
    network = ALL_NETWORKS[name]
    for program in network.programs:
        require(MISSING[program]())
    found = run_in_namespace(network.network, SCRIPTS / "mock_machine.py", name, "1", *clients)

    assert {client: found[client]["error"] for client in clients} == dict.fromkeys(clients)


@pytest.mark.parametrize("name", ALL_NETWORKS)
def test_python_clients_connect_over_the_network(name: str) -> None:
    connected(name, *PYTHON_CLIENTS)


def test_official_client_in_chromium_connects_over_http() -> None:
    # test_network_guides.py connects Chromium over https.
    require(chromium.missing() or trust.missing())
    connected("http", "chromium")


def test_web_pages_in_chromium_connect_as_documented() -> None:
    require(chromium.missing() or trust.missing() or nginx.missing())
    found: dict[str, Any] = run_in_namespace("address spaces", SCRIPTS / "web_pages.py", "chromium")

    assert found == {str(page): [page.chromium, page.has_camera] for page in PAGES}
