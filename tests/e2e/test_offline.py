"""Nothing here needs the internet, and its absence costs no time: the first complaint about fake services."""

from pathlib import Path

import pytest

from tests.support.namespaces import NETWORKS, run_in_namespace

AT_ONCE = 1.0
"""Seconds; what goes wrong off line waits for 5 s, so this tells the two apart on any machine."""


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_our_client_connects_at_once(network: str) -> None:
    took = run_in_namespace(network, Path(__file__).with_name("offline_session.py"))
    assert took["warm_s"] < AT_ONCE
    assert took["cold_s"] < 4 * AT_ONCE, "the first connect also imports the WebRTC stack"
