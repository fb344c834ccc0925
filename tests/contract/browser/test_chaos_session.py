"""Test that `chaos_session.py`, the session of the official client in chaos runs, succeeds without a fault."""

from pathlib import Path

import pytest

from odyssey_mock import MockOdyssey
from tests.support.chaos_session import run_session


@pytest.mark.usefixtures("needs")
async def test_session_of_official_client_succeeds(odyssey_mock: MockOdyssey) -> None:
    status, lines = await run_session(Path(__file__).with_name("chaos_session.py"))
    assert (status, lines[:1]) == (0, ["connect"]), (
        f"expected exit status 0 and the first call 'connect', got status {status} and the output {lines}"
    )
    assert odyssey_mock.faults.reached["stream.interact"] == 1
