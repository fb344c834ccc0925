"""Tests of clients on another machine, to which only some ports of the mock are open."""

import json
from pathlib import Path

from odyssey_mock.settings import SettingsOverrides
from tests.support import coturn
from tests.support.namespaces import run_in_namespace
from tests.support.requirements import require

SCRIPT = Path(__file__).parents[1] / "support" / "port_session.py"
ADDRESS = "10.98.0.1"


def visited(network: str, settings: SettingsOverrides, *programs: str) -> object:
    """Connect a session and a spectator from the other machine; return the ICE servers that the mock names to it."""
    return run_in_namespace(network, SCRIPT, json.dumps(settings), *programs)


def test_clients_connect_through_forwarded_ports() -> None:
    servers = visited("port forwarding", {"udp_ports": "50000-50002", "udp_addresses": [ADDRESS]})
    assert servers == [{"urls": f"stun:{ADDRESS}:50000"}]


def test_clients_without_udp_connect_through_turn() -> None:
    require(coturn.missing())
    server = coturn.server_at(ADDRESS)
    assert visited("UDP blocked", {"ice_servers": [server]}, "coturn") == [server]


def test_turn_over_tcp_is_used_where_udp_fails() -> None:
    require(coturn.missing())
    both = coturn.server_at(ADDRESS)
    both["urls"] = [f"turn:{ADDRESS}:{coturn.PORT}?transport={transport}" for transport in ("udp", "tcp")]
    assert visited("UDP blocked", {"ice_servers": [both]}, "coturn") == [both]
