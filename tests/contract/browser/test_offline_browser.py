"""Tests that the official client connects to the mock without delay on a machine without internet access."""

from pathlib import Path

import pytest

from tests.support.namespaces import run_in_namespace

SCRIPT = Path(__file__).with_name("offline_session.py")

AT_ONCE = 1.0
"""Maximum duration of `connect` in seconds. It takes 0.2 s; a timeout of mDNS would add 1 s, one of STUN 4 to 6 s."""


# With only a loopback interface, Firefox gathers no ICE candidates, and Chromium only if it is started with
# --allow-loopback-in-peer-connection.
@pytest.mark.parametrize("network", ["no route", "black-hole route"])
@pytest.mark.usefixtures("needs")
def test_official_client_connects_without_delay(network: str) -> None:
    took = run_in_namespace(network, SCRIPT, "chromium")

    # The first connection includes the start of the browser.
    assert min(took["connect_s"]) < AT_ONCE


@pytest.mark.usefixtures("needs_firefox")
def test_official_client_in_firefox_connects_without_delay() -> None:
    took = run_in_namespace("black-hole route", SCRIPT, "firefox")

    assert min(took["connect_s"]) < AT_ONCE
