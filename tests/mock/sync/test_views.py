"""Tests of the parts of the sync `MockOdyssey`: each view reads and changes the part of the mock that it shows."""

import asyncio
import hashlib
import json
import pickle
from collections.abc import Iterator

import httpx
import pytest

from odyssey_client import BroadcastReady
from odyssey_client.sync import Odyssey, SpectatorConnection, connect_to_stream
from odyssey_mock import FaultError
from odyssey_mock.simulations.jobs import NotCancellableError
from odyssey_mock.sync import MockOdyssey
from tests.support.tls_contexts import NO_CERTIFICATES

LIMIT_S = 20.0
SCRIPT = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 500, "end": {}}]


@pytest.fixture
def mock() -> Iterator[MockOdyssey]:
    with MockOdyssey(portrait_size=(176, 320), landscape_size=(320, 176)) as running:
        yield running


@pytest.fixture
def client(mock: MockOdyssey) -> Iterator[Odyssey]:
    with Odyssey(mock.api_key, api_url=mock.url) as connecting:
        yield connecting


def test_journal_can_be_exported_and_cleared() -> None:
    with MockOdyssey(clock="manual", journal_limit=2) as mock:
        assert mock.journal.began_at == mock.clock.time()
        for name in ("first", "second", "third"):
            mock.journal.record("note", name)
        last = mock.journal.next_index
        assert mock.journal.dropped == last - 2
        assert [json.loads(line)["name"] for line in mock.journal.to_jsonl().splitlines()] == ["second", "third"]
        assert [line.split()[-1] for line in mock.journal.to_text().splitlines()] == ["second", "third"]
        mock.journal.clear()
        assert (mock.journal.entries, mock.journal.next_index) == ((), last)


def test_faults_can_be_added_removed_and_restored() -> None:
    initial = {"at": "rest.auth.token", "do": "delay", "seconds": 1}
    with MockOdyssey(faults=[initial]) as mock:
        (kept,) = mock.faults
        added = mock.faults.extend([{"at": "server", "do": "away", "seconds": 0}])
        assert [each.id for each in mock.faults] == [kept.id, *(each.id for each in added)]
        assert mock.faults[added[0].id].fault.at == "server"
        with pytest.raises(FaultError):
            mock.faults.extend([{"at": "nowhere"}])
        mock.faults.remove(kept.id)
        with pytest.raises(KeyError):
            mock.faults.remove(kept.id)
        mock.faults.reset()
        assert [each.fault.at for each in mock.faults] == ["rest.auth.token"]


def test_telemetry_and_control_token_can_be_read(mock: MockOdyssey) -> None:
    event = {"event_type": "connected", "timestamp": "2026-01-01T00:00:00Z"}
    sent = httpx.post(f"{mock.url}/telemetry", json={"events": [event]}, trust_env=False, verify=NO_CERTIFICATES)
    assert sent.status_code == 202
    assert [each["event_type"] for each in mock.telemetry] == ["connected"]
    assert len(mock.control_token) >= 16


def test_mock_cannot_be_pickled(mock: MockOdyssey) -> None:
    with pytest.raises(TypeError, match=r"pass mock\.url and mock\.api_key to it instead"):
        pickle.dumps(mock)


def test_session_can_be_abandoned_once(mock: MockOdyssey, client: Odyssey) -> None:
    client.connect()
    (session,) = mock.sessions.values()
    assert (session.state, session.is_served) == ("connected", True)
    assert repr(session) == f"<Session {session.id}, connected>"
    session.abandon()
    mock.wait_for("state", "session", to="closed", session=session.id)
    with pytest.raises(RuntimeError, match="expected an open signaling socket, got none"):
        session.abandon()


def test_vanished_session_can_be_shut_down(mock: MockOdyssey, client: Odyssey) -> None:
    client.connect()
    (session,) = mock.sessions.values()
    session.vanish()  # nothing more arrives, but the socket stays open
    assert session.is_served
    session.shut_down()
    assert (session.state, session.is_served, dict(mock.sessions)) == ("closed", False, {})


@pytest.mark.parametrize("leave", ["leave", "vanish"])
def test_spectator_can_be_sent_away(mock: MockOdyssey, client: Odyssey, leave: str) -> None:
    with watching(client) as spectator:
        (broadcast,) = mock.broadcasts.values()
        (theirs,) = broadcast.spectators.values()
        mock.wait_for("state", "spectator", LIMIT_S, to="connected")  # later than for the client, on a busy machine
        assert (theirs.number, theirs.state, theirs.codec) == (1, "connected", "h264")
        assert repr(theirs) == repr(theirs._spectator)
        assert broadcast.frames_encoded["h264"] > 0
        next(spectator.frames(timeout_s=LIMIT_S))
        getattr(theirs, leave)("of a test")
        mock.wait_for("state", "spectator", LIMIT_S, to="gone", why="of a test")
        assert theirs.frames_dropped == theirs._spectator.frames_dropped


def watching(client: Odyssey) -> SpectatorConnection:
    """Start a broadcast, and return a connected spectator of it."""
    events = client.events(timeout_s=LIMIT_S)
    client.connect()
    client.start_stream("A castle", broadcast=True)
    info = next(event.info for event in events if isinstance(event, BroadcastReady))
    return connect_to_stream(info.webrtc_url, info.spectator_token)


def test_jobs_are_listed_and_cancelled() -> None:
    with MockOdyssey(simulation_workers=0) as mock, Odyssey(mock.api_key, api_url=mock.url) as client:
        job_ids = [client.simulate(script=SCRIPT).job_id for _ in range(2)]
        assert (list(mock.jobs), len(mock.jobs)) == (job_ids, 2)
        assert mock.jobs.cancel(job_ids[0]).status == "cancelled"
        assert [mock.jobs[each].status for each in job_ids] == ["cancelled", "pending"]
        with pytest.raises(NotCancellableError):
            mock.jobs.cancel(job_ids[0])


async def test_stored_recording_has_size_and_digest(mock: MockOdyssey) -> None:
    def record() -> str:
        with Odyssey(mock.api_key, api_url=mock.url) as client:
            client.connect()
            stream_id = client.start_stream("A cat")
            client.end_stream()
            stored = mock.recordings.stored(stream_id, "video.mp4")
            content = mock.recordings.file(stream_id, "video.mp4").read_bytes()
            assert (stored.size, stored.digest) == (len(content), hashlib.sha256(content).hexdigest())
            return stream_id

    stream_id = await asyncio.to_thread(record)
    stored = await mock.aio.recordings.stored(stream_id, "video.mp4")
    assert stored.path == await mock.aio.recordings.file(stream_id, "video.mp4")
    await mock.aio.reset()
    assert dict(mock.streams) == {}
