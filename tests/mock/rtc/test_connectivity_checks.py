"""Tests of connectivity checks, in simulated time. Datagrams take no time there."""

from odyssey_mock.rtc.connectivity_checks import PACE_S, complete_at_once
from tests.support.ice_connections import check_times, connect_both
from tests.support.simulated_net import play


def test_peers_connect_once_a_check_succeeds() -> None:
    assert play(lambda net: connect_both(net, complete_at_once)) == 0


def test_peer_without_candidates_of_the_other_connects() -> None:
    assert play(lambda net: connect_both(net, complete_at_once, candidates=False)) <= PACE_S


def test_checks_begin_at_regular_intervals() -> None:
    assert play(lambda net: check_times(net, complete_at_once, 3)) == [0, 0.02, 0.04]
