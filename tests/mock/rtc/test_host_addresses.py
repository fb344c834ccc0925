"""Tests of the addresses on which the mock's peers offer ICE host candidates."""

import ifaddr
import pytest

from odyssey_mock.rtc.host_addresses import chosen, host_addresses
from tests.support.machines import MACHINES, NOT_ASSIGNED, Machine


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_loopback_comes_first(machine: Machine) -> None:
    assert chosen(machine.has, loopback_only=False) == [*machine.loopback, *machine.reachable]


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_loopback_only_leaves_out_all_others(machine: Machine) -> None:
    assert chosen(machine.has, loopback_only=True) == machine.loopback


@pytest.mark.parametrize("loopback_only", [False, True])
def test_addresses_that_cannot_be_used_are_left_out(loopback_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ips = [ifaddr.IP(ip if "." in ip else (ip, 0, 0), 24, "eth0") for ip in (*NOT_ASSIGNED, "127.0.0.1")]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [ifaddr.Adapter("eth0", "eth0", ips)])

    assert host_addresses(loopback_only=loopback_only) == ["127.0.0.1"]
