"""Tests that client and mock on one machine choose ICE addresses that can reach each other."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.rtc import host_addresses as of_client
from odyssey_mock.rtc import host_addresses as of_mock
from tests.support.machines import MACHINES
from tests.support.namespaces import run_in_namespace

SCRIPT = Path(__file__).parents[1] / "support" / "ice_session.py"
BOTH = ["127.0.0.1", "::1"]

known = st.sampled_from(sorted({address for machine in MACHINES.values() for address in machine.has}))


@given(st.lists(known | st.ip_addresses().map(str)))
def test_mock_offers_every_address_of_the_client(machine: list[str]) -> None:
    assert set(of_client.chosen(machine)) <= set(of_mock.chosen(machine, loopback_only=False))


@pytest.mark.parametrize(
    ("network", "host", "client", "mock"),
    [
        ("unique local IPv6", "127.0.0.1", ["fd00::1"], [*BOTH, "fd00::1"]),
        ("unique local IPv6", "fd00::1", ["fd00::1"], [*BOTH, "fd00::1"]),
        ("documentation IPv6", "127.0.0.1", ["2001:db8::1"], [*BOTH, "2001:db8::1"]),
        ("loopback only", "127.0.0.1", BOTH, BOTH),
        ("IPv6 loopback only", "::1", ["::1"], ["::1"]),
        ("link-local only", "127.0.0.1", BOTH, BOTH),
        ("tentative IPv6", "127.0.0.1", BOTH, BOTH),
        ("no route", "127.0.0.1", ["10.99.0.2"], [*BOTH, "10.99.0.2"]),
    ],
)
def test_client_and_spectator_connect(network: str, host: str, client: list[str], mock: list[str]) -> None:
    assert run_in_namespace(network, SCRIPT, host) == {"client": client, "mock": mock}


@pytest.mark.parametrize("network", ["unique local IPv6", "documentation IPv6", "no route"])
def test_client_connects_to_loopback_only(network: str) -> None:
    assert run_in_namespace(network, SCRIPT, "127.0.0.1", "loopback_only")["mock"] == BOTH
