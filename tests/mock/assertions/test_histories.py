"""Tests of `reached` and `not_reached`, which check the states of a stream, session or job: results and messages."""

from typing import get_args

import pytest

from odyssey_client import Odyssey
from odyssey_mock import ExpectationError, MockOdyssey
from odyssey_mock.assertions.histories import (
    JOB,
    SESSION,
    STREAM,
    History,
    JobStateName,
    SessionStateName,
    StreamStateName,
)
from odyssey_mock.core.journal import Journal
from odyssey_mock.sessions.session_machine import SessionState
from odyssey_mock.simulations.job_machine import JobState
from tests.support.jobs import a_request, a_script, an_account
from tests.support.work_counts import instructions_of

FAILING = "[error:model_crashed] A cat"


@pytest.fixture
def journal() -> Journal:
    """Return a journal with the state changes of one stream, which failed 2 s after the start of the journal."""
    times = iter([100.0, 100.5, 100.75, 101.0, 102.0])
    journal = Journal(lambda: next(times), limit=100)
    for before, after, event in (
        ("idle", "starting", "start"),
        ("starting", "running", "first_frame"),
        ("running", "running", "update"),
        ("running", "idle", "broke"),
    ):
        journal.record("state", "stream", {"from": before, "to": after, "event": event}, stream="st_1", session="s1")
    return journal


def stream(journal: Journal, stream_id: str = "st_1") -> History[StreamStateName]:
    return History(STREAM, stream_id, journal)


def test_reached_state_returns_its_entry(journal: Journal) -> None:
    assert stream(journal).reached("starting").index == 0
    assert stream(journal).reached("running").index == 1
    assert stream(journal).reached("failed") == stream(journal).reached("ended") == journal.entries[3]
    assert stream(journal).states == ["starting", "running", "failed", "ended"]
    assert repr(stream(journal)) == "<History of stream st_1: starting, running, failed, ended>"


def test_message_lists_the_reached_states(journal: Journal) -> None:
    with pytest.raises(ExpectationError) as error:
        stream(journal).reached("running", since=2)
    assert str(error.value) == (
        "expected stream st_1 to reach running from journal index 2 on, got to ended:\n"
        "  #3 at +2.00 s: failed, ended (event broke)"
    )
    with pytest.raises(ExpectationError, match=r"^expected stream st_1 to reach ended from .*, got no state$"):
        stream(journal).reached("ended", since=4)


def test_unwanted_state_is_shown(journal: Journal) -> None:
    stream(journal).not_reached("failed", since=4)
    with pytest.raises(ExpectationError) as error:
        stream(journal).not_reached("failed")
    assert str(error.value) == (
        "expected stream st_1 not to reach failed, got it at +2.00 s:\n"
        "  #0 at +0.50 s: starting (event start)\n"
        "  #1 at +0.75 s: running (event first_frame)\n"
        "  #3 at +2.00 s: failed, ended (event broke)"
    )


def test_long_histories_are_shortened() -> None:
    journal = Journal(lambda: 0.0, limit=100)
    for state in ["held", "returning"] * 6:
        journal.record("state", "session", {"from": "x", "to": state, "event": "y"}, session="s1")
    with pytest.raises(ExpectationError) as error:
        History(SESSION, "s1", journal).reached("closed")
    assert str(error.value).splitlines()[:3] == [
        "expected session s1 to reach closed, got to returning:",
        "  4 earlier changes",
        "  #4 at +0.00 s: held (event y)",
    ]


def test_unknown_id_lists_the_known_ones(journal: Journal) -> None:
    with pytest.raises(ExpectationError, match=r"^expected a stream with the id 'st_2', got st_1$"):
        stream(journal, "st_2")
    with pytest.raises(
        ExpectationError, match=r"^expected a simulation job .*, got none: the journal has no simulation"
    ):
        History(JOB, "job_1", journal)
    journal = Journal(lambda: 0.0, limit=100)
    for number in range(7):
        data = {"from": "idle", "to": "starting", "event": "start"}
        journal.record("state", "stream", data, stream=f"st_{number}")
    with pytest.raises(ExpectationError, match=r"got st_6, st_5, st_4, st_3, st_2 and 2 earlier ids$"):
        stream(journal, "st_9")


def test_unknown_state_is_rejected(journal: Journal) -> None:
    with pytest.raises(
        ValueError, match=r"^expected a state of a stream \(starting, .*\), got 'end'; did you mean 'ended'\?$"
    ):
        stream(journal).reached("end")  # type: ignore[arg-type]  # invalid on purpose
    with pytest.raises(ValueError, match=r"got 'closed'$"):
        stream(journal).not_reached("closed")  # type: ignore[arg-type]  # invalid on purpose


async def test_history_of_a_missing_id_explains_itself(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    stream_id = await odyssey_client.start_stream("A cat")
    with pytest.raises(ExpectationError, match=f"^expected a stream with the id None, got {stream_id}"):
        odyssey_mock.stream(None).reached("running")  # type: ignore[arg-type]  # as in a test that forgets to start one


def test_state_names_are_those_of_the_machines() -> None:
    assert set(get_args(SessionStateName.__value__)) == set(SessionState)
    assert set(get_args(JobStateName.__value__)) == set(JobState)


async def test_live_stream_and_its_session_have_histories(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    session_id = odyssey_client.current_session_id
    assert session_id is not None
    stream_id = await odyssey_client.start_stream("A cat")
    history = odyssey_mock.stream(stream_id)
    assert history.states == ["starting", "running"]
    with pytest.raises(ExpectationError, match=rf"^expected stream {stream_id} to reach ended, got to running:\n"):
        history.reached("ended")
    await odyssey_client.interact("Pet the cat")
    await odyssey_client.end_stream()
    assert history.states == ["starting", "running", "ended"]
    history.not_reached("failed")

    await odyssey_client.disconnect()
    await odyssey_mock.wait_for("state", "session", to="closed")
    assert odyssey_mock.session(session_id).states == ["waiting", "signaling", "connecting", "connected", "closed"]
    odyssey_mock.session(session_id).not_reached("held")


@pytest.mark.odyssey(faults=[{"at": "stream.running", "do": "error", "reason": "model_crashed"}])
async def test_broken_stream_has_failed_and_ended(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    stream_id = await odyssey_client.start_stream("A cat")
    await odyssey_mock.wait_for("channel", "stream_ended")
    assert odyssey_mock.stream(stream_id).states[-2:] == ["failed", "ended"]


@pytest.mark.odyssey(clock="manual")
async def test_stream_of_a_closed_session_has_ended(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    stream_id = await odyssey_client.start_stream("A cat")
    await odyssey_client.disconnect()
    await odyssey_mock.wait_for("state", "session", to="closed")
    odyssey_mock.stream(stream_id).reached("ended")
    odyssey_mock.stream(stream_id).not_reached("failed")


@pytest.mark.odyssey(clock="manual")
async def test_job_and_its_streams_have_histories(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    job = await odyssey_client.simulate(
        script=[{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 4000, "end": {}}]
    )
    assert odyssey_mock.job(job.job_id).states == ["pending"]
    await odyssey_mock.advance(60)
    assert odyssey_mock.job(job.job_id).states == ["pending", "dispatched", "processing", "completed"]
    (simulated,) = odyssey_mock.jobs[job.job_id].streams
    assert odyssey_mock.stream(simulated.stream_id).states == ["running", "ended"]


@pytest.mark.odyssey(clock="manual")
async def test_job_submitted_by_the_test_is_known(odyssey_mock: MockOdyssey) -> None:
    record = odyssey_mock.jobs.submit(an_account(), a_request(a_script(4)))
    await odyssey_mock.advance(60)
    odyssey_mock.job(record.id).reached("completed")


def test_data_of_other_streams_is_not_decoded() -> None:
    few, many = Journal(lambda: 0.0, limit=10_000), Journal(lambda: 0.0, limit=10_000)
    for written, others in ((few, 1), (many, 300)):
        for number in range(others):
            change = {"from": "starting", "to": "running", "event": "first frame"}
            written.record("state", "stream", change, session="a", stream=f"other-{number}")
        written.record("state", "stream", {"from": "idle", "to": "starting", "event": "start"}, stream="mine")

    def states(written: Journal) -> list[str]:
        return [*History(STREAM, "mine", written).states]

    assert states(few) == states(many) == ["starting"]
    added = instructions_of(lambda: states(many)) - instructions_of(lambda: states(few))
    assert added / 299 < 100, "decoding takes about 250 instructions"
