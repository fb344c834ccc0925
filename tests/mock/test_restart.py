"""Tests of a mock that is started again with the `state_dir` of an earlier one: what continues, and what has ended."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.core.clock import MANUAL_START
from odyssey_mock.settings import AccountSettings
from odyssey_mock.state.database import Batch, Database
from odyssey_mock.state.errors import StateInUseError, StateWriteError
from odyssey_mock.state.saved_state import SavedState
from tests.mock.state.test_database import FIRST_VERSION
from tests.support.raw import RawApi, raw_peer
from tests.support.recordings import remembered, timeline, url_of
from tests.support.simulations import ids, job, script, submit
from tests.support.streams import start
from tests.support.tls_contexts import NO_CERTIFICATES

LONG = 10_000.0
LIMIT = 10.0
SMALL: dict[str, Any] = {"portrait_size": (176, 320), "fps": 10}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@asynccontextmanager
async def mocked(folder: Path, **settings: Any) -> AsyncIterator[tuple[MockOdyssey, RawApi]]:
    given = {"clock": "manual", "access_token_lifetime": 10 * LONG, "state_dir": str(folder), **settings}
    async with MockOdyssey(**given) as mock, RawApi(mock) as api:
        yield mock, api


async def crashed(mock: MockOdyssey, folder: Path) -> Path:
    """Return a copy of the files as a `kill -9` of the mock would leave them now."""
    await mock.backend.state.flush()
    copy = folder.with_name(f"copy-{len(list(folder.parent.iterdir()))}")
    await asyncio.to_thread(shutil.copytree, folder, copy)
    return copy


# Jobs


async def test_waiting_job_keeps_its_place_in_the_queue(folder: Path) -> None:
    async with mocked(folder, simulation_workers=1) as (mock, api):
        first, second = [await submit(api.http, script(10, f"number {each}")) for each in range(2)]
        copy = await crashed(mock, folder)
    async with mocked(copy, simulation_workers=1) as (mock, api):
        third = await submit(api.http)
        assert await ids(api.http) == [third, second, first]
        assert [(await job(api.http, each))["retry_count"] for each in (first, second)] == [0, 0]
        await mock.advance(LONG)
        ends = [mock.jobs[each].completed_at for each in (first, second, third)]
        assert None not in ends
        assert ends == sorted(ends, key=lambda end: end or 0.0)


@pytest.mark.parametrize(("seconds", "status"), [(0.3, "dispatched"), (0.7, "processing"), (1.7, "processing")])
async def test_interrupted_job_runs_again(folder: Path, seconds: float, status: str) -> None:
    async with mocked(folder) as (mock, api):
        job_id = await submit(api.http, script(10), script(10))
        await mock.advance(seconds)
        assert mock.jobs[job_id].status == status
        copy = await crashed(mock, folder)
    async with mocked(copy) as (mock, api):
        shown = await job(api.http, job_id)
        assert (shown["status"], shown["retry_count"], shown["streams"]) == ("pending", 1, [])
        assert list(mock.streams) == []
        mock.expect("simulation", event="worker_lost", job=job_id, why="the server was stopped")
        await mock.advance(LONG)
        shown = await job(api.http, job_id)
        assert (shown["status"], len(shown["streams"])) == ("completed", 2)
        assert mock.backend.usage.hours(mock.jobs[job_id].account_id) == pytest.approx(20 / 3600)


async def test_job_without_retries_fails_with_the_reason(folder: Path) -> None:
    async with mocked(folder, simulation_retries=0) as (mock, api):
        job_id = await submit(api.http)
        await mock.advance(0.5)
        copy = await crashed(mock, folder)
    async with mocked(copy, simulation_retries=0) as (mock, api):
        shown = await job(api.http, job_id)
    assert shown["status"] == "failed"
    assert shown["error_message"] == "the worker was lost in attempt 1 of 1 (setting simulation_retries: 0)"


async def test_clean_stop_keeps_unfinished_jobs(folder: Path) -> None:
    async with mocked(folder, simulation_workers=1) as (mock, api):
        running, waiting = [await submit(api.http, script(10)) for _ in range(2)]
        await mock.advance(0.5)
    assert [mock.jobs[each].status for each in (running, waiting)] == ["processing", "pending"]
    async with mocked(folder, simulation_workers=1) as (mock, _):
        assert [mock.jobs[each].retry_count for each in (running, waiting)] == [1, 0]
        await mock.advance(LONG)
        assert [mock.jobs[each].status for each in (running, waiting)] == ["completed", "completed"]


def saved_kinds(folder: Path) -> set[str]:
    """Return the kinds of the records in the database of a state directory."""
    with contextlib.closing(Database(folder / "state.sqlite3")) as database:
        return set(database.read().records)


async def test_ended_job_stays_as_it_was(folder: Path) -> None:
    async with mocked(folder) as (mock, api):
        done, failed = await submit(api.http, script(1)), await submit(api.http, script(1, "[error:broken]"))
        cancelled = await submit(api.http)
        await api.http.delete(f"/simulation-jobs/{cancelled}")
        await mock.advance(LONG)
        before = [mock.jobs[each].snapshot() for each in (done, failed, cancelled)]
        history = mock.jobs[done].history
        copy = await crashed(mock, folder)
    kinds = await asyncio.to_thread(saved_kinds, copy)
    assert "job" in kinds
    assert "job request" not in kinds, "expected the requests of ended jobs to be deleted"
    async with mocked(copy) as (mock, api):
        assert [mock.jobs[each].snapshot() for each in (done, failed, cancelled)] == before
        assert mock.jobs[done].history == history
        assert (await api.http.delete(f"/simulation-jobs/{done}")).status_code == 400
        assert mock.clock.pending == []


async def test_job_with_a_script_url_is_fetched_again(folder: Path) -> None:
    async with mocked(folder) as (mock, api):
        answer = await api.http.post("/simulation-jobs", json={"script_url": "http://127.0.0.1:9/script.json"})
        job_id = answer.json()["job_id"]
        await mock.advance(0.3)
        copy = await crashed(mock, folder)
    async with mocked(copy) as (mock, api):
        await mock.advance(LONG)
        shown = await job(api.http, job_id)
    assert (shown["status"], shown["retry_count"]) == ("failed", 1)


# Streams and recordings


async def test_signed_url_returns_the_same_file(folder: Path) -> None:
    async with mocked(folder) as (mock, api):
        stream = remembered(mock, timeline(30, changes=[10, 20]))
        url = url_of(mock, stream)
        video = (await api.http.get(url)).raise_for_status()
        events_url = url_of(mock, stream, "events.jsonl")
        log = (await mock.recordings.file(stream, "events.jsonl")).read_text()
        copy = await crashed(mock, folder)
    assert [path.name for path in (copy / "recordings").iterdir() if path.name.endswith(".mp4")] == [
        f"{stream}-video.mp4"
    ]
    async with mocked(copy) as (mock, api):
        again = await api.http.get(f"{mock.url}{httpx.URL(url).raw_path.decode()}")
        assert (again.status_code, again.content, again.headers["ETag"]) == (200, video.content, video.headers["ETag"])
        path = httpx.URL(events_url).raw_path.decode()
        assert (await api.http.get(path)).text == log
        thumbnail = await mock.recordings.file(stream, "thumbnail.jpg")  # not written before the restart
        assert thumbnail.read_bytes()[:3] == b"\xff\xd8\xff"
        await mock.advance(3600)
        assert (await api.http.get(path)).status_code == 403


async def test_live_stream_keeps_its_recording_and_usage(folder: Path) -> None:
    async with mocked(folder, clock="real", **SMALL) as (mock, api):
        async with raw_peer(mock) as peer:
            stream = await start(peer, prompt="Caf\u00e9 \ud83d\ude00")
            peer.say({"type": "update", "prompt": "A dog"})
            await peer.hear()
            peer.say({"type": "interactive_stream_end"})
            await peer.hear()
        before = (await api.http.get(f"/recordings/{stream}")).raise_for_status().json()
        account = mock.streams[stream].account_id
        hours = mock.backend.usage.hours(account)
        copy = await crashed(mock, folder)
    async with mocked(copy, clock="real", **SMALL) as (mock, api):
        after = (await api.http.get(f"/recordings/{stream}")).raise_for_status().json()
        record = mock.streams[stream]
        assert [change.prompt for change in record.timeline.changes][-1].startswith("A dog")
        assert mock.backend.usage.hours(account) == hours > 0
        assert mock.sessions == {}
    assert after["frame_count"] == before["frame_count"] > 0


async def test_delayed_recording_stays_unlisted(folder: Path) -> None:
    async with mocked(folder) as (mock, _):
        stream = remembered(mock, recording_delay=60)
    async with mocked(folder) as (mock, api):
        assert (await api.http.get("/stream-recordings")).json()["total"] == 0
        assert (await api.http.get(f"/recordings/{stream}")).status_code == 404
        await mock.advance(60)
        assert (await api.http.get("/stream-recordings")).json()["total"] == 1
        assert (await api.http.get(f"/recordings/{stream}")).status_code == 200


async def test_running_stream_and_its_broadcast_have_ended(folder: Path) -> None:
    async with mocked(folder, clock="real", **SMALL) as (mock, api), raw_peer(mock) as peer:
        stream = await start(peer, broadcast=True)
        (session,) = mock.sessions
        ready = await peer.hear()
        assert ready["type"] == "broadcast_ready"
        copy = await crashed(mock, folder)
    async with mocked(copy, clock="real", **SMALL) as (mock, api):
        record = mock.streams[stream]
        assert record.error == "the server was stopped while the stream was running"
        assert record.ended_at is not None
        assert 0 <= record.ended_at - record.started_at < LIMIT
        mock.stream(stream).reached("failed")
        shown = (await api.http.get(f"/recordings/{stream}")).json()
        assert (shown["video_url"], shown["frame_count"]) == (None, None)
        assert (await api.http.get(httpx.URL(shown["events_url"]).raw_path.decode())).status_code == 200
        spectators = httpx.URL(ready["webrtc_url"]).raw_path.decode()
        assert (await api.http.post(spectators, content="v=0")).status_code in {401, 404}
        answer = await api.http.post("/sessions/token", json={"session_id": session})
        assert answer.status_code == 404


async def test_client_reconnects_to_a_restarted_server(folder: Path) -> None:
    """The restarted server has the address of the first one. A client with an old access token reconnects to it."""
    async with contextlib.AsyncExitStack() as first:
        mock = await first.enter_async_context(MockOdyssey(state_dir=str(folder), **SMALL))
        port = int(mock.url.rpartition(":")[2])
        client = await first.enter_async_context(Odyssey(mock.api_key, api_url=mock.url))
        statuses: asyncio.Queue[str] = asyncio.Queue()
        await client.connect(on_status_change=lambda status: statuses.put_nowait(str(status)))
        (old,) = mock.sessions
        since = mock.journal.next_index
        copy = await crashed(mock, folder)
        await mock.go_away()
        await mock.__aexit__(None, None, None)
        async with MockOdyssey(state_dir=str(copy), port=port, **SMALL) as mock:
            entry = await mock.wait_for("state", "session", 30, since=since, to="connected")
            assert entry.session != old
            async with asyncio.timeout(LIMIT):
                while await statuses.get() != "reconnecting":
                    pass
                while await statuses.get() != "connected":
                    pass
            await client.start_stream("A cat")


# Accounts, faults, journal, clock


async def test_keys_and_tokens_stay_valid(folder: Path) -> None:
    async with mocked(folder, access_token_lifetime=3600) as (mock, api):
        added = mock.add_account(concurrent_sessions=1, plan="unlimited")
        key, authorization = mock.api_key, api.http.headers["Authorization"]
        copy = await crashed(mock, folder)
    async with mocked(copy) as (mock, api):
        assert mock.api_key == key
        api.http.headers["Authorization"] = authorization
        assert (await api.http.get("/simulation-jobs")).status_code == 200
        limits = mock.backend.accounts.limits_of(added.id)
        assert (limits.concurrent_sessions, limits.stream_duration) == (1, None)
        await mock.advance(3600)
        answer = await api.http.get("/simulation-jobs")
        assert (answer.status_code, answer.json()["detail"]) == (401, "Access token expired")


async def test_test_keys_are_recognized_by_their_tokens(folder: Path) -> None:
    async with mocked(folder) as (mock, _):
        async with RawApi(mock, "ody_no_capacity") as limited:
            authorization = limited.http.headers["Authorization"]
        copy = await crashed(mock, folder)
    async with mocked(copy) as (_, api):
        api.http.headers["Authorization"] = authorization
        assert (await api.http.post("/sessions/request", json={})).status_code == 503


async def test_configured_keys_take_precedence(folder: Path) -> None:
    async with mocked(folder) as (mock, _):
        generated = mock.api_key
    async with mocked(folder, keys={"ody_mine": AccountSettings()}) as (mock, api):
        assert mock.api_key == "ody_mine"
        assert (await api.http.post("/auth/token", json={"api_key": generated})).status_code == 401


async def test_faults_keep_their_counts(folder: Path) -> None:
    initial = [{"at": "rest.telemetry", "do": "delay", "seconds": 1.0, "times": 5}]
    async with mocked(folder, faults=initial) as (mock, api):
        mock.faults.add(at="rest.simulations.list", do="status", status=503, times=3)
        mock.faults.remove(mock.faults.add(at="server", do="away", seconds=1).id)
        assert [(await api.http.get("/simulation-jobs")).status_code for _ in range(2)] == [503, 503]
        before = [each.to_json() for each in mock.faults]
        copy = await crashed(mock, folder)
    async with MockOdyssey(clock="manual", state_dir=str(copy), faults=initial) as mock:
        assert [each.to_json() for each in mock.faults] == before
        assert mock.faults.add(at="rest.auth.token", do="reset").id == "fault-4"
    other = [{"at": "rest.telemetry", "do": "status", "status": 500}]
    async with MockOdyssey(clock="manual", state_dir=str(copy), faults=other) as mock:
        assert [(each.fault.at, each.fault.do, each.fired) for each in mock.faults] == [
            ("rest.telemetry", "status", 0),
            ("rest.simulations.list", "status", 2),
            ("rest.auth.token", "reset", 0),
        ]


async def test_new_initial_faults_stay_first_after_another_restart(folder: Path) -> None:
    old, new = ([{"at": "rest.regions.list", "do": "status", "status": status}] for status in (500, 503))
    async with MockOdyssey(clock="manual", state_dir=str(folder), faults=old) as mock:
        mock.faults.add(at="rest.regions.list", do="status", status=502)
    for _ in range(2):
        async with MockOdyssey(clock="manual", state_dir=str(folder), faults=new) as mock:
            assert [each.fault.parameters["status"] for each in mock.faults] == [503, 502]


async def test_journal_continues_without_gaps(folder: Path) -> None:
    async with mocked(folder, journal_limit=10) as (mock, api):
        for _ in range(20):
            await api.http.get("/regions")
        before = mock.journal.entries
        copy = await crashed(mock, folder)
    async with mocked(copy, journal_limit=10) as (mock, api):
        kept = mock.journal.entries
        assert [entry.index for entry in kept] == list(range(before[2].index, before[2].index + 10))
        assert kept[:8] == before[2:]
        assert mock.journal.began_at == MANUAL_START
        mock.expect("server", to="up", why="the mock was started again")


async def test_manual_clock_continues_from_the_saved_time(folder: Path) -> None:
    async with mocked(folder) as (mock, api):
        await mock.advance(100.25)
        assert (await api.http.get("/_mock/clock")).json()["time"] == MANUAL_START + 100.25
        copy = await asyncio.to_thread(shutil.copytree, folder, folder.with_name("copy"))
    async with mocked(copy) as (mock, _):
        assert mock.clock.time() == MANUAL_START + 100.25


async def test_changed_pace_does_not_set_the_clock_back(folder: Path) -> None:
    async with mocked(folder, clock="real") as (mock, _api):
        mock.clock.set_speed(1_000_000)
        mock.clock.call_later(100_000, "a day later", mock.clock.pause)
        await mock.wait_for("note", "clock paused")
        ahead = mock.clock.time()
        await mock.backend.state.flush()
        await mock.advance(50)
    async with mocked(folder, clock="real") as (mock, _api):
        assert ahead + 50 <= mock.clock.time() < ahead + 50 + LIMIT
        assert (mock.clock.speed, mock.clock.is_paused) == (1, False)


async def test_real_clock_never_goes_back(folder: Path) -> None:
    async with mocked(folder, clock="real") as (mock, api):
        url = url_of(mock, remembered(mock))
        await mock.advance(LONG)
        ahead = mock.clock.time()
        assert (await api.http.get(url)).status_code == 403
    async with mocked(folder, clock="real") as (mock, api):
        assert ahead <= mock.clock.time() < ahead + LIMIT
        assert (await api.http.get(httpx.URL(url).raw_path.decode())).status_code == 403


async def test_seeded_mock_has_new_ids_after_a_restart(folder: Path) -> None:
    seen: list[str] = []
    for _ in range(3):
        async with mocked(folder, seed=7) as (mock, api):
            seen += [await submit(api.http, script(1)), remembered(mock)]
    assert len(set(seen)) == 6
    async with mocked(folder, seed=7) as (mock, _):
        assert set(seen) == {*mock.jobs, *mock.streams} - {
            each.stream_id for job in mock.jobs.values() for each in job.streams
        }


async def test_reset_deletes_the_saved_state(folder: Path) -> None:
    async with mocked(folder) as (mock, api):
        await submit(api.http, script(1))
        remembered(mock)
        mock.faults.add(at="rest.auth.token", do="reset")
        await mock.advance(LONG)
        await mock.reset()
        copy = await crashed(mock, folder)
    async with MockOdyssey(clock="manual", state_dir=str(copy)) as mock:
        assert (list(mock.jobs), list(mock.streams), list(mock.faults)) == ([], [], [])
        assert [entry.name for entry in mock.journal.entries] == ["server"]


# Errors


class Full(Database):
    """A database whose disk is full after the first write, with which a mock starts."""

    writes = 0

    def write(self, batch: Batch) -> None:
        self.writes += 1
        if self.writes > 1:
            raise StateWriteError("the disk is full; make space")
        super().write(batch)


async def test_request_that_cannot_be_saved_gets_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.state.saved_state.SavedState", partial(SavedState, open_database=Full))
    mock = await MockOdyssey(state_dir=str(folder)).__aenter__()
    async with httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http:
        answer = await http.post("/auth/token", json={"api_key": mock.api_key})
    assert (answer.status_code, answer.json()) == (500, {"detail": "the disk is full; make space"})
    mock.expect("POST /auth/token", status=500, why="the disk is full; make space")
    with pytest.raises(StateWriteError):
        await mock.__aexit__(None, None, None)


async def test_second_mock_in_the_directory_is_refused(folder: Path) -> None:
    async with mocked(folder):
        with pytest.raises(StateInUseError):
            await MockOdyssey(state_dir=str(folder)).__aenter__()


async def test_incomplete_and_forgotten_files_are_deleted(folder: Path) -> None:
    async with mocked(folder) as (mock, _):
        stream = remembered(mock)
        kept = await mock.recordings.file(stream, "thumbnail.jpg")
    (folder / "recordings" / "3.part").write_bytes(b"half")
    (folder / "recordings" / "0-video.mp4").write_bytes(b"of a stream that was forgotten")
    (folder / "recordings" / "notes.txt").write_bytes(b"of the user")
    async with mocked(folder, streams_limit=1) as (mock, _):
        assert {path.name for path in (folder / "recordings").iterdir()} == {kept.name, "notes.txt"}
        remembered(mock)
        await mock.recordings.settle()
        assert {path.name for path in (folder / "recordings").iterdir()} == {"notes.txt"}


async def test_mock_without_state_directory_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    async with MockOdyssey(clock="manual") as mock, RawApi(mock) as api:
        await submit(api.http, script(1))
        await mock.advance(LONG)
        assert await asyncio.to_thread(os.listdir, tmp_path) == []


async def test_state_of_the_first_version_is_restored(folder: Path) -> None:
    """The file was written by a mock with a completed, a processing and a pending job, and a live stream."""
    await asyncio.to_thread(shutil.copytree, FIRST_VERSION.parent, folder)
    async with mocked(folder, simulation_workers=1) as (mock, _):
        assert [(each.status, each.retry_count) for each in mock.jobs.values()] == [
            ("completed", 0),
            ("pending", 1),
            ("pending", 0),
        ]
        assert [each.error for each in mock.streams.values()] == [None, None]
        assert [each.fault.do for each in mock.faults] == ["delay", "status"]
        assert len(mock.journal.entries) > 10
        await mock.advance(LONG)
        assert {each.status for each in mock.jobs.values()} == {"completed"}
