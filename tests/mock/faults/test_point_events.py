"""Tests that the trace events of fault points happen there; `test_fault_points.py` has those of HTTP requests."""

import pytest

from odyssey_client import Odyssey, OdysseyStreamError, Script
from odyssey_mock import MockOdyssey
from odyssey_mock.faults.catalog import POINTS
from odyssey_mock.journal_events import event_of


@pytest.mark.odyssey(fps=10)
async def test_sessions_and_jobs_cause_events_of_all_points(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    await odyssey_client.start_stream("A cat", broadcast=True)
    await odyssey_client.interact("It jumps")
    with pytest.raises(OdysseyStreamError):
        await odyssey_client.interact("It jumps [moderated]")
    await odyssey_client.end_stream()
    await odyssey_client.simulate(script=Script().start("A cat").wait(1).end())
    await odyssey_mock.wait_for("state", "simulation", to="completed")

    happened = {event_of(entry).name for entry in odyssey_mock.journal.entries}
    expected = {
        event for name, point in POINTS.items() for event in point.events if not event.partition(" ")[0].isupper()
    }
    # Only browsers send their candidates in messages of their own.
    assert expected - happened == {"ice_candidate"}
