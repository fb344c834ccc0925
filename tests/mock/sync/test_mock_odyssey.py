"""Tests of the sync `MockOdyssey`: same names as the async class, calls from any thread, start and end."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

import odyssey_mock
from odyssey_client import Odyssey
from odyssey_mock import ExpectationError, JournalTimeoutError, SettingsError
from odyssey_mock.accounts.accounts import MockAccount
from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.broadcasts.spectator import Spectator
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.journal import Journal
from odyssey_mock.faults.registry import Faults
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.sessions.session import Session
from odyssey_mock.simulations.jobs import Jobs
from odyssey_mock.sync import (
    AsyncCalls,
    BroadcastView,
    FaultsView,
    JobsView,
    JournalView,
    MockOdyssey,
    RecordingsView,
    SessionView,
    SpectatorView,
)
from odyssey_mock.sync.views import AsyncJobs, AsyncJournal, AsyncRecordings, AsyncSession, ClockView
from tests.support.forks import run_python
from tests.support.tls_contexts import NO_CERTIFICATES

_URLS = {"webrtc_url", "webrtc_url_at", "hls_url", "hls_url_at"}
"""The URLs of a broadcast. Its sync view sets the two without an argument in `__init__`."""

INTERNAL = {
    odyssey_mock.MockOdyssey: {"backend"},
    Journal: {
        *("drop_observers", "newest_first", "observe", "observe_clear"),
        *("oldest_index", "page", "reach", "record_later", "record_text", "restore", "since"),
    },
    Faults: {"any_at", "fire", "skip", "reached"},
    Jobs: {
        *("close", "hand_out", "reset", "restore", "snapshot", "submit", "suspend"),
        *("count_of", "newest_active_first", "newest_first", "pending_of"),
    },
    Recordings: {"available_of", "close", "describe", "is_available", "is_unused", "settle", "tidy", "why_unavailable"},
    Clock: {
        *("advance", "advance_to_next", "call_later", "left", "monotonic"),
        *("observe", "observe_advances", "observe_pace"),
    },
    Session: {"frames_made", "is_over", "issued_token", "serve", "snapshot", "statistics", "unused"},
    Broadcast: {"accepts", "admit", "audience_size", "codecs", "delete", "end", "gone", "push", "snapshot", *_URLS},
    Spectator: {"add_candidate", "answer", "end", "is_leaving", "run", "snapshot"},
}
"""For each class, the public names that its sync view omits: only the mock itself uses them."""
VIEWS = [
    (odyssey_mock.MockOdyssey, MockOdyssey, AsyncCalls),
    (Journal, JournalView, AsyncJournal),
    (Faults, FaultsView, None),
    (Jobs, JobsView, AsyncJobs),
    (Recordings, RecordingsView, AsyncRecordings),
    (Session, SessionView, AsyncSession),
    (Broadcast, BroadcastView, None),
    (Spectator, SpectatorView, None),
    (Clock, ClockView, None),
]


ATTRIBUTES = {
    odyssey_mock.MockOdyssey: {"api_key"},
    Journal: {"began_at"},
    Broadcast: {"is_over"},
    Spectator: {"codec", "state"},
}
"""For each class, the attributes set by `__init__`, which `dir` omits. The sync view has them as properties."""


def public(of: type) -> set[str]:
    return {name for name in dir(of) if not name.startswith("_")} | ATTRIBUTES.get(of, set())


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(("original", "view", "_aio"), VIEWS)
def test_view_has_the_names_of_the_original(original: type, view: type, _aio: type | None) -> None:
    assert public(view) - public(original) == set()
    assert public(original) - public(view) == INTERNAL[original] & public(original)


@pytest.mark.parametrize(("original", "view", "aio"), VIEWS)
def test_calls_have_the_parameters_of_the_original(original: type, view: type, aio: type | None) -> None:
    waiting = set()
    for name in public(view) & public(original):
        function = inspect.getattr_static(original, name, None)
        if not inspect.isfunction(function):
            continue
        sync = getattr(view, name)
        assert parameters(sync) == parameters(function), (
            f"expected the parameters of {original.__name__}.{name}, got {inspect.signature(sync)}"
        )
        assert not inspect.iscoroutinefunction(sync), f"expected {name} of {view.__name__} to be sync, got `async def`"
        if inspect.iscoroutinefunction(function):
            waiting.add(name)
            coroutine = getattr(aio, name)
            assert parameters(coroutine) == parameters(function), (
                f"expected the parameters of {original.__name__}.{name}, got {inspect.signature(coroutine)}"
            )
    forms = set() if aio is None else {name for name in public(aio) if inspect.iscoroutinefunction(getattr(aio, name))}
    assert forms == waiting


def test_clock_has_a_pace_for_other_threads() -> None:
    with MockOdyssey() as mock:
        mock.clock.set_speed(3)
        mock.clock.pause()
        before = mock.clock.time()
        mock.advance(60)
        assert mock.clock.time() - before == pytest.approx(60)
        assert (mock.clock.speed, mock.clock.is_paused) == (3, True)
        mock.clock.resume()
        assert not mock.clock.is_paused


def test_sync_code_can_use_the_whole_mock() -> None:
    with MockOdyssey(clock="manual", streamers=3) as mock:
        assert mock.settings.streamers == 3
        response = httpx.post(
            f"{mock.url}/auth/token", json={"api_key": mock.api_key}, trust_env=False, verify=NO_CERTIFICATES
        )
        assert response.status_code == 200
        mock.expect("POST /auth/token", status=200)
        assert [each.status for each in mock.requests("POST /auth/token")] == [200]
        before = mock.clock.time()
        mock.advance(3600)
        assert mock.clock.time() == before + 3600
        assert (mock.clock.speed, mock.clock.is_paused, mock.advance_to_next()) == (None, False, None)
        fault = mock.faults.add(at="whep.config", do="status", status=503, times=1)
        assert [each.id for each in mock.faults] == [fault.id]
        assert httpx.get(f"{mock.url}/config", trust_env=False, verify=NO_CERTIFICATES).status_code == 503
        assert fault.fired == 1
        mock.go_away()
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{mock.url}/config", trust_env=False, verify=NO_CERTIFICATES)
        mock.come_back()
        assert httpx.get(f"{mock.url}/config", trust_env=False, verify=NO_CERTIFICATES).status_code == 200
        mock.reset()
        assert mock.journal.entries == ()
    assert repr(mock).startswith("<MockOdyssey http://")


async def test_client_in_another_loop_streams() -> None:
    with MockOdyssey() as mock:
        async with Odyssey(mock.api_key, api_url=mock.url) as client:
            await client.connect()
            (session,) = mock.sessions.values()
            stream_id = await client.start_stream("A cat", broadcast=True)
            running = session.stream
            assert running is not None
            assert running.id == stream_id
            (broadcast,) = mock.broadcasts.values()
            assert (broadcast.stream_id, broadcast.is_over, dict(broadcast.spectators)) == (stream_id, False, {})
            session.break_stream("model_crashed", "planted")
            await mock.aio.wait_for("channel", "interactive_stream_error", stream=stream_id)
            await mock.aio.sessions[session.id].shut_down()
        mock.session(session.id).reached("closed")
        assert mock.sessions == {}


async def test_blocking_calls_are_refused_in_event_loop() -> None:
    with MockOdyssey(clock="manual") as mock:
        calls: list[tuple[Callable[[], object], str]] = [
            (lambda: mock.advance(1), "advance"),
            (lambda: mock.wait_for("note", "x"), "wait_for"),
            (lambda: mock.journal.wait_for("note", "x"), "journal.wait_for"),
            (mock.reset, "reset"),
            (lambda: mock.jobs.lose_worker("job"), "jobs.lose_worker"),
            (lambda: mock.recordings.file("stream", "video.mp4"), "recordings.file"),
        ]
        for call, form in calls:
            with pytest.raises(RuntimeError, match=rf"asyncio.*write `await mock\.aio\.{form}\("):
                call()


async def test_async_forms_wait_in_the_callers_loop() -> None:
    with MockOdyssey(clock="manual") as mock:
        waiting = asyncio.ensure_future(mock.aio.wait_for("note", "written"))
        await mock.aio.advance(5)
        assert not waiting.done()
        written = mock.journal.record("note", "written", by="test")
        assert await waiting == written
        with pytest.raises(JournalTimeoutError):
            await mock.aio.journal.wait_for("note", "never", 0.01)
        with pytest.raises(KeyError):
            await mock.aio.jobs.lose_worker("job_unknown")


async def test_cancelled_wait_is_cancelled_in_the_mock() -> None:
    with MockOdyssey() as mock:
        waiting = asyncio.ensure_future(mock.aio.wait_for("note", "never", 60))
        await mock.aio.come_back()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        journal = mock._mock.journal
        while mock._thread.call(lambda: journal._waiters):
            await mock.aio.come_back()


def test_threads_can_use_one_mock_together() -> None:
    with MockOdyssey() as mock, ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(mock.wait_for, "note", f"note {number}", 10.0) for number in range(4)]
        for number in range(4):
            threads.submit(mock.journal.record, "note", f"note {number}")
        assert {each.result().name for each in waiting} == {f"note {number}" for number in range(4)}
        faults = list(threads.map(lambda _: mock.faults.add(at="artifact", do="reset"), range(50)))
        assert len({fault.id for fault in faults}) == 50


def test_several_mocks_have_own_addresses_and_state() -> None:
    with MockOdyssey() as one, MockOdyssey() as other:
        assert one.url != other.url
        httpx.get(f"{one.url}/config", trust_env=False, verify=NO_CERTIFICATES)
        assert len(one.journal.entries) == 1
        assert other.journal.entries == ()


def test_added_account_has_own_key_and_limits() -> None:
    with MockOdyssey() as mock:
        account = mock.add_account(concurrent_sessions=1, plan="unlimited")
        assert isinstance(account, MockAccount)
        assert account.api_key not in repr(account)
        assert account.api_key != mock.api_key
        token = httpx.post(
            f"{mock.url}/auth/token", json={"api_key": account.api_key}, trust_env=False, verify=NO_CERTIFICATES
        ).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        codes = [
            httpx.post(
                f"{mock.url}/sessions/request", json={}, headers=headers, trust_env=False, verify=NO_CERTIFICATES
            ).status_code
            for _ in range(2)
        ]
        assert codes == [200, 429]
        mock.expect("POST /sessions/request", status=429, account=account.id)
        with pytest.raises(SettingsError, match="concurrent_sessions of a key"):
            mock.add_account(concurrent_sessions=0)


def test_added_account_is_accepted_beside_configured_keys() -> None:
    with MockOdyssey(keys={"ody_mine": odyssey_mock.AccountSettings()}) as mock:
        keys = [mock.add_account().api_key, "ody_mine", "ody_unknown"]
        codes = [
            httpx.post(
                f"{mock.url}/auth/token", json={"api_key": key}, trust_env=False, verify=NO_CERTIFICATES
            ).status_code
            for key in keys
        ]
        assert codes == [200, 200, 401]


def test_invalid_settings_are_reported_at_creation() -> None:
    with pytest.raises(SettingsError, match="fps"):
        MockOdyssey(fps=0)


def test_unstarted_and_ended_mocks_raise_errors() -> None:
    mock = MockOdyssey()
    assert repr(mock) == "<MockOdyssey not running>"
    with pytest.raises(RuntimeError, match="enter it first: with MockOdyssey"):
        mock.advance(1)
    with mock, pytest.raises(RuntimeError, match="already running"):
        mock.__enter__()
    assert repr(mock) == f"<MockOdyssey {mock.url} ended>"
    with pytest.raises(RuntimeError, match="ended> has ended and cannot be entered again; create another MockOdyssey"):
        mock.__enter__()


def test_mock_can_start_after_failed_start() -> None:
    with MockOdyssey() as first:
        second = MockOdyssey(port=int(first.url.rpartition(":")[2]))
        with pytest.raises(OSError, match="in use"):
            second.__enter__()
        assert repr(second) == "<MockOdyssey not running>"
    with second:
        assert second.url == first.url


def test_journal_can_be_read_after_the_block() -> None:
    with MockOdyssey() as mock:
        mock.journal.record("note", "kept")
    assert [entry.name for entry in mock.journal.entries] == ["kept"]
    mock.expect("kept")
    with pytest.raises(ExpectationError):
        mock.expect("lost")


def ran(code: str) -> str:
    run = run_python("-c", code, limit_s=60)
    assert run.returncode == 0, f"expected exit status 0, got {run.returncode}:\n{run.stderr}"
    return run.stdout + run.stderr


def test_process_exits_silently_while_mock_runs() -> None:
    code = """
from odyssey_mock.sync import MockOdyssey
import httpx
mock = MockOdyssey().__enter__()
print(httpx.get(f"{mock.url}/config", trust_env=False).status_code)
loop = mock._thread.loop
mock._thread.call(lambda: loop.run_in_executor(None, int))  # as for the frames of a stream
"""
    assert ran(code) == "200\n"


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="requires os.fork")
def test_forked_process_is_told_to_use_http() -> None:
    code = """
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a process with threads
from odyssey_mock.sync import MockOdyssey
with MockOdyssey() as mock:
    if os.fork() == 0:
        try:
            mock.reset()
        except RuntimeError as error:
            print(error, flush=True)
        with MockOdyssey() as own:
            own.journal.record("note", "mine")
            print(len(own.journal.entries), flush=True)
        os._exit(0)
    os.wait()
    mock.reset()
"""
    told = ran(code)
    assert "forked" in told
    assert "mock.url" in told
    assert told.endswith("1\n")


def test_interrupted_wait_leaves_the_mock_usable() -> None:
    code = """
import signal, threading
from odyssey_mock.sync import MockOdyssey
signal.signal(signal.SIGINT, signal.default_int_handler)  # even if this process inherited the ignored signal
with MockOdyssey() as mock:
    waits = threading.Timer(0.2, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
    waits.start()
    try:
        mock.wait_for("note", "never", 60)
    except KeyboardInterrupt:
        print("interrupted")
    mock.journal.record("note", "later")
    print(mock.wait_for("note", "later").name)
"""
    assert (
        ran(f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{code}")
        == "interrupted\nlater\n"
    )


def test_one_thread_serves_all_mocks() -> None:
    with MockOdyssey():
        before = threading.active_count()
        with MockOdyssey(), MockOdyssey():
            assert threading.active_count() == before
