"""Tests of ranges of UDP ports: which texts are ranges, and in which order the ports are tried."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.udp_ports import OutOfPortsError, PortRange, UdpPorts

PORTS = st.integers(min_value=-1, max_value=2**16)


@given(PORTS, PORTS)
def test_two_or_more_ports_are_a_range(first: int, last: int) -> None:
    is_range = 1 <= first < last <= 65535
    assert PortRange.read(f"{first}-{last}") == (PortRange(first, last) if is_range else None)


@given(st.text(alphabet="0123456789- :\u0661", max_size=12))
def test_text_of_a_range_is_read_back(text: str) -> None:
    found = PortRange.read(text)
    assert found is None or PortRange.read(str(found)) == found


def test_ports_are_in_order_without_stun() -> None:
    assert list(UdpPorts(PortRange(10, 14), without=12).in_turn()) == [10, 11, 13, 14]


def test_next_peer_begins_after_the_latest() -> None:
    ports = UdpPorts(PortRange(10, 14), without=10)
    taken = [next(ports.in_turn()) for _ in range(5)]
    assert taken == [11, 12, 13, 14, 11]


@given(st.lists(st.integers(min_value=1, max_value=4), max_size=8))
def test_every_port_is_tried_once(used: list[int]) -> None:
    ports = UdpPorts(PortRange(10, 13), without=9)
    for count in used:
        assert len(list(islice(ports.in_turn(), count))) == count
    assert sorted(ports.in_turn()) == [10, 11, 12, 13]


def test_error_shows_the_message_without_its_number() -> None:
    with pytest.raises(OutOfPortsError, match=r"^no port$"):
        raise OutOfPortsError(98, "no port")
