"""The official client needs no internet either, and its absence costs it no time."""

from pathlib import Path

import pytest

from tests.support.namespaces import run_in_namespace

AT_ONCE = 2.0
"""Seconds; what goes wrong off line waits for 4 to 6 s, so this tells the two apart on a busy machine too."""


# With loopback alone Chromium gathers no candidate unless it is started with --allow-loopback-in-peer-connection.
@pytest.mark.parametrize("network", ["no route", "black-hole route"])
@pytest.mark.usefixtures("needs")
@pytest.mark.xdist_group("browser")
def test_the_official_client_connects_at_once(network: str) -> None:
    session = run_in_namespace(network, Path(__file__).with_name("offline_session.py"))

    assert session["connect_s"] < AT_ONCE
