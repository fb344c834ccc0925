"""Tests that a client connects to the mock without delay on a machine without internet access."""

from pathlib import Path

import pytest

from tests.support.namespaces import run_in_namespace

AT_ONCE = 1.0
"""Maximum duration of `connect` in seconds. It takes about 0.1 s; a timeout of mDNS would add 1 s, one of STUN 5 s."""


@pytest.mark.parametrize("network", ["no route", "black-hole route", "loopback only"])
def test_our_client_connects_without_delay(network: str) -> None:
    took = run_in_namespace(network, Path(__file__).parents[1] / "support" / "offline_session.py")
    # An offline delay affects every connection; a busy machine delays only some.
    assert min(took["connect_s"]) < AT_ONCE
