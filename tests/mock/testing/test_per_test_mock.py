"""`PerTestMock`: the mock of a test starts when the test first needs it, in the server thread."""

import gc
import http.client
import socket
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from odyssey_mock.server import MockOdyssey as LoopMock
from odyssey_mock.server import all_mocks_observed, no_mock_observed
from odyssey_mock.testing.per_test_mock import PerTestMock
from tests.support.polling import wait_until


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of the thread of each start of a mock."""
    started: list[str] = []
    enter = LoopMock.__aenter__

    async def entered(mock: LoopMock) -> LoopMock:
        started.append(threading.current_thread().name)
        return await enter(mock)

    monkeypatch.setattr(LoopMock, "__aenter__", entered)
    return started


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[LoopMock]:
    """Return a list that gets each mock that is stopped."""
    stopped: list[LoopMock] = []
    leave = LoopMock.__aexit__

    async def left(mock: LoopMock, *error: Any) -> None:  # Any: as in LoopMock
        stopped.append(mock)
        await leave(mock, *error)

    monkeypatch.setattr(LoopMock, "__aexit__", left)
    return stopped


@pytest.fixture
def mock(starts: list[str]) -> Iterator[PerTestMock]:
    per_test = PerTestMock(on_idle=lambda: None)
    yield per_test
    per_test.close()


def ask(mock: PerTestMock) -> None:
    assert httpx.get(f"{mock.shared_url}/regions", trust_env=False).status_code == 401


NEEDS: dict[str, Callable[[PerTestMock], object]] = {
    "request": ask,
    "journal": lambda mock: mock.journal.entries,
    "sessions": lambda mock: mock.sessions,
}
TESTS = 10
ENDS_AT_ONCE = sys.platform == "linux"
"""Whether a mock that has only answered requests ends without the server thread, which must be known to be idle."""


@pytest.mark.parametrize("need", NEEDS)
def test_mock_starts_when_it_is_needed(mock: PerTestMock, starts: list[str], need: str) -> None:
    mock.begin("test_a", {})
    assert (mock.url, repr(mock)) == (mock.shared_url, f"<MockOdyssey {mock.shared_url}>")
    assert mock.api_key.startswith("ody_")
    assert starts == [], "expected no start before the mock is needed"
    NEEDS[need](mock)
    assert starts == ["odyssey_mock server"]
    ask(mock)
    mock.end()
    assert len(starts) == 1
    assert [entry.name for entry in mock.journal.entries] == ["GET /regions"] * (2 if need == "request" else 1)


def test_unused_mock_starts_when_read_later(mock: PerTestMock, starts: list[str]) -> None:
    wait_until(lambda: mock._thread.is_idle or not ENDS_AT_ONCE)
    mock.begin("test_a", {})
    mock.end()
    assert httpx.get(f"{mock.shared_url}/regions", trust_env=False).status_code == 503
    assert starts == ["odyssey_mock server"] * (not ENDS_AT_ONCE)
    assert len(mock.journal.entries) == 0
    assert starts == ["odyssey_mock server"]
    mock.forget()
    mock.begin("test_b", {})
    ask(mock)
    assert [entry.name for entry in mock.journal.entries] == ["GET /regions"]
    mock.end()


def test_unused_mock_with_a_fault_reports_it(mock: PerTestMock) -> None:
    mock.begin("test_a", {"faults": [{"at": "rest.regions.list", "do": "status", "status": 503}]})
    assert "rest.regions.list (status) never fired" in mock.end().left[0]


def test_first_requests_at_once_start_one_mock(mock: PerTestMock, starts: list[str]) -> None:
    mock.begin("test_a", {})
    threads = [threading.Thread(target=ask, args=[mock]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(starts) == 1
    assert len(mock.requests("GET /regions", status=401)) == 8
    mock.end()


def test_mock_with_files_or_ports_starts_at_once(mock: PerTestMock, starts: list[str], tmp_path: Path) -> None:
    settings: list[dict[str, Any]] = [{"state_dir": str(tmp_path)}, {"host": "127.0.0.1"}]
    for count, keywords in enumerate(settings, start=1):
        mock.begin(f"test_{count}", keywords)
        assert len(starts) == count
        mock.end()


def test_next_mock_has_its_own_state(mock: PerTestMock) -> None:
    mock.begin("test_a", {})
    key = mock.api_key
    ask(mock)
    mock.end()
    assert httpx.get(f"{mock.shared_url}/regions", trust_env=False).status_code == 503
    mock.forget()
    mock.begin("test_b", {})
    response = httpx.post(f"{mock.url}/auth/token", json={"api_key": key}, trust_env=False)
    assert (response.status_code, "has ended" in response.text) == (401, True)
    assert list(mock.journal.entries) == []
    mock.end()


@pytest.mark.skipif(not ENDS_AT_ONCE, reason="on this system, every mock is ended by the server thread")
def test_mock_without_sessions_stops_at_next_start(mock: PerTestMock, stops: list[LoopMock]) -> None:
    with httpx.Client(trust_env=False) as client:
        mock.begin("test_a", {})
        assert client.get(f"{mock.url}/regions").status_code == 401
        wait_until(lambda: mock._thread.is_idle)
        ending = mock.end()
        assert (ending.left, ending.reached["rest.regions.list"]) == ([], 1)
        assert stops == [], "expected no switch to the server thread"
        assert client.get(f"{mock.shared_url}/regions").status_code == 503
        mock.begin("test_b", {})
        assert client.get(f"{mock.url}/regions").status_code == 401
        assert len(stops) == 1
        mock.end()
        mock.close()
        assert len(stops) == 2


def session_of(mock: PerTestMock) -> str:
    """Request a session, which no client connects to."""
    token = httpx.post(f"{mock.url}/auth/token", json={"api_key": mock.api_key}, trust_env=False).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    response = httpx.post(f"{mock.url}/sessions/request", json={}, headers=headers, trust_env=False)
    assert response.status_code == 200, response.text
    return str(response.json()["session_id"])


def test_mock_with_a_session_stops_at_its_end(mock: PerTestMock, stops: list[LoopMock]) -> None:
    mock.begin("test_a", {})
    session_id = session_of(mock)
    mock.end()
    assert len(stops) == 1
    assert mock.session(session_id).reached("closed").data["to"] == "closed"


def test_outage_ends_with_its_mock(mock: PerTestMock) -> None:
    mock.begin("test_a", {})
    mock.go_away()
    mock.end()
    assert httpx.get(f"{mock.shared_url}/regions", trust_env=False).status_code == 503


def test_half_sent_request_is_cut_with_its_mock(mock: PerTestMock) -> None:
    mock.begin("test_a", {})
    ask(mock)
    wait_until(lambda: mock._endpoint._http.is_idle)
    port = int(mock.shared_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /regions HTTP/1.1\r\n")
        wait_until(lambda: not mock._endpoint._http.is_idle)
        mock.end()
        assert connection.recv(1) == b""


@pytest.mark.parametrize("path", ["/regions", "/auth/token", "/nothing", "/_mock/state"])
def test_reference_counts_free_a_finished_mock(mock: PerTestMock, path: str) -> None:
    # httpx leaves cycles of its own, and a new connection those of uvicorn.
    connection = http.client.HTTPConnection(mock.shared_url.removeprefix("http://"))

    def run_test() -> None:
        mock.begin("test_a", {})
        method, body = ("POST", f'{{"api_key": "{mock.api_key}"}}') if path == "/auth/token" else ("GET", None)
        connection.request(method, path, body)
        connection.getresponse().read()
        mock.end()
        mock.forget()

    mocks: weakref.WeakSet[LoopMock] = weakref.WeakSet()

    @asynccontextmanager
    async def noted(started: LoopMock) -> AsyncIterator[None]:
        mocks.add(started)
        yield

    # The recorder of the suite keeps the traces of all mocks, and with them the mocks.
    with no_mock_observed(), all_mocks_observed(noted):
        run_test()
        gc.collect()
        gc.disable()
        try:
            for _ in range(TESTS):
                run_test()
            unreachable = gc.collect()
        finally:
            gc.enable()
            connection.close()
    alive = len(mocks)
    assert alive <= 1, "expected at most the latest mock, which ends when the next one starts"
    assert unreachable < TESTS, f"{unreachable / TESTS:.0f} objects per test need the collector"
