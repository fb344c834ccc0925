"""Nothing here needs the internet, and its absence costs no time: the first complaint about fake services."""

from pathlib import Path

import pytest

from tests.support.namespaces import NETWORKS, run_in_namespace

AT_ONCE = 1.0
"""Seconds; it takes about 0.1, and what goes wrong off line waits for 1 s (mDNS) or 5 s (STUN)."""


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_our_client_connects_at_once(network: str) -> None:
    took = run_in_namespace(network, Path(__file__).parents[1] / "support" / "offline_session.py")
    # What waits off line waits every time; what a busy machine takes now and then is no matter here.
    assert min(took["connect_s"]) < AT_ONCE
