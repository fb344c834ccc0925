"""The official client needs no internet either, and its absence costs it no time."""

from pathlib import Path

import pytest

from tests.support.namespaces import run_in_namespace

AT_ONCE = 1.0
"""Seconds; it takes about 0.2, and what goes wrong off line waits for 1 s (mDNS) or 4 to 6 s (STUN), every time."""


# With loopback alone Chromium gathers no candidate unless it is started with --allow-loopback-in-peer-connection.
@pytest.mark.parametrize("network", ["no route", "black-hole route"])
@pytest.mark.usefixtures("needs")
@pytest.mark.xdist_group("browser")
def test_the_official_client_connects_at_once(network: str) -> None:
    took = run_in_namespace(network, Path(__file__).with_name("offline_session.py"))

    # The first connection of a browser also pays for its start.
    assert min(took["connect_s"]) < AT_ONCE
