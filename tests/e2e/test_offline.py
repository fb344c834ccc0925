"""Tests that client and mock connect without internet access and without delay."""

from pathlib import Path

import pytest

from tests.support.namespaces import NETWORKS, run_in_namespace

AT_ONCE = 1.0
"""Maximum seconds for a connection. It takes about 0.1 s; offline, mDNS would add 1 s and STUN 5 s."""


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_our_client_connects_without_delay(network: str) -> None:
    took = run_in_namespace(network, Path(__file__).parents[1] / "support" / "offline_session.py")
    # An offline delay affects every connection; a busy machine delays only some.
    assert min(took["connect_s"]) < AT_ONCE
