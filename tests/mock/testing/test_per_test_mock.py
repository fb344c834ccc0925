"""`PerTestMock`: the mock of a test starts when the test first needs it, in the server thread."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from odyssey_mock.server import MockOdyssey as LoopMock
from odyssey_mock.testing.per_test_mock import PerTestMock


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
    "end": PerTestMock.end,
}


@pytest.mark.parametrize("need", NEEDS)
def test_mock_starts_when_it_is_needed(mock: PerTestMock, starts: list[str], need: str) -> None:
    mock.begin("test_a", {})
    assert (mock.url, repr(mock)) == (mock.shared_url, f"<MockOdyssey {mock.shared_url}>")
    assert mock.api_key.startswith("ody_")
    assert starts == [], "expected no start before the mock is needed"
    NEEDS[need](mock)
    assert starts == ["odyssey_mock server"]
    if need != "end":
        ask(mock)
        mock.end()
    assert len(starts) == 1
    assert [entry.name for entry in mock.journal.entries] == {"request": ["GET /regions"] * 2, "end": []}.get(
        need, ["GET /regions"]
    )


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
