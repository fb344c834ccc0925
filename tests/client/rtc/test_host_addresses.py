"""Tests of the addresses on which the client's peers offer ICE host candidates."""

import ifaddr
import pytest

from odyssey_client import SystemNetwork
from odyssey_client.rtc.host_addresses import chosen, host_addresses
from tests.support.machines import MACHINES, NOT_ASSIGNED, Machine


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_loopback_is_chosen_only_without_others(machine: Machine) -> None:
    assert chosen(machine.has) == (machine.reachable or machine.loopback)


def test_addresses_that_cannot_be_used_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ips = [ifaddr.IP(ip if "." in ip else (ip, 0, 0), 24, "eth0") for ip in ("127.0.0.1", *NOT_ASSIGNED)]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [ifaddr.Adapter("eth0", "eth0", ips)])

    assert host_addresses() == SystemNetwork().ice_addresses() == ["127.0.0.1"]
