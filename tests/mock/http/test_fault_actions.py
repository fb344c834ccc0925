"""Tests of every fault action at every HTTP fault point, over real sockets; the next request must succeed as usual."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import POINTS
from odyssey_mock.http.fault_responses import ACTIONS
from tests.support.http_points import ASKS, CELLS, HTTP_POINTS, ask, token_of
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT
from tests.support.tls_contexts import NO_CERTIFICATES

MEDIA_SERVER = ("whep.offer", "whep.candidates", "whep.leave", "hls.playlist", "hls.segment")
"""Points whose errors have the form of the vendor's media server."""


@dataclass(frozen=True)
class Cell:
    """A mock, and an HTTP client whose requests reach one fault point of the mock.

    The attribute `usual` is the response to such a request without a fault.
    """

    mock: MockOdyssey
    http: httpx.AsyncClient
    point: str
    token: str
    usual: httpx.Response

    async def ask(self) -> httpx.Response:
        async with asyncio.timeout(LIMIT):
            return await ask(self.mock, self.http, self.point, self.token)

    async def fired(self, since: int) -> None:
        await self.mock.wait_for("fault", self.point, since=since)


@asynccontextmanager
async def cell(point: str) -> AsyncIterator[Cell]:
    async with (
        MockOdyssey(clock="manual", simulation_workers=0) as mock,
        httpx.AsyncClient(trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES) as http,
    ):
        token = await token_of(mock, http)
        yield Cell(mock, http, point, token, await ask(mock, http, point, token))


def shape(answer: httpx.Response) -> object:
    """Return the status of a response, and its JSON keys or, without JSON, its content type.

    All responses without a fault have the same shape at one fault point.
    """
    if answer.headers.get("content-type") != "application/json":
        return answer.status_code, answer.headers.get("content-type")
    body = answer.json()
    return answer.status_code, sorted(body) if isinstance(body, dict) else body


async def _status(cell: Cell) -> None:
    answer = await cell.ask()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "7"
    body = answer.json()
    assert set(body) == ({"status", "error"} if cell.point in MEDIA_SERVER else {"detail"})
    assert (body.get("detail") or body["error"]) == "Service Unavailable: injected fault"


async def _delay(cell: Cell) -> None:
    since = cell.mock.journal.next_index
    asking = asyncio.create_task(cell.ask())
    await cell.fired(since)
    await cell.mock.advance(59.9)
    assert not asking.done()
    assert not cell.mock.journal.find("rest", since=since)
    await cell.mock.advance(0.1)
    # The response has been sent when `advance` returns; the client reads it slightly later.
    assert len(cell.mock.journal.find("rest", since=since)) == 1
    assert shape(await asking) == shape(cell.usual)


async def _no_answer(cell: Cell) -> None:
    since = cell.mock.journal.next_index
    asking = asyncio.create_task(cell.ask())
    await cell.fired(since)
    await cell.mock.advance(600)
    assert not asking.done()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    entry = await cell.mock.wait_for("rest", request_name(cell), since=since)
    assert entry.data["status"] is None


async def _reset(cell: Cell) -> None:
    with pytest.raises(httpx.ReadError) as caught:
        await cell.ask()
    assert isinstance(root(caught.value), ConnectionResetError)


async def _truncate(cell: Cell) -> None:
    length = len(cell.usual.content)
    with pytest.raises(httpx.RemoteProtocolError) as caught:
        await cell.ask()
    if length == 0:
        assert "without sending a response" in str(caught.value)
    else:
        assert f"received {length // 2} bytes, expected {length}" in str(caught.value)


async def _not_json(cell: Cell) -> None:
    answer = await cell.ask()
    assert answer.status_code == (200 if cell.usual.status_code == 204 else cell.usual.status_code)
    assert answer.text == "<html>Bad gateway</html>"
    with pytest.raises(json.JSONDecodeError):
        answer.json()


async def _wrong_shape(cell: Cell) -> None:
    answer = await cell.ask()
    assert answer.status_code == (200 if cell.usual.status_code == 204 else cell.usual.status_code)
    assert answer.json() == {"surprise": [1, None]}


async def _slow(cell: Cell) -> None:
    since = cell.mock.journal.next_index
    asking = asyncio.create_task(cell.ask())
    await cell.fired(since)
    length = len(cell.usual.content)
    assert length > 0
    await cell.mock.advance((length - 0.5) / 10)
    assert not asking.done()
    assert not cell.mock.journal.find("rest", since=since)
    await cell.mock.advance(1)
    assert shape(await asking) == shape(cell.usual)


def root(error: BaseException) -> BaseException:
    """Return the original exception of a chain of exceptions."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def request_name(cell: Cell) -> str:
    entry = cell.mock.journal.find("rest")[-1]
    return entry.name


PARAMETERS: Mapping[str, Mapping[str, JSON]] = {
    "status": {"status": 503, "retry_after": 7},
    "delay": {"seconds": 60},
    "wrong_shape": {"body": {"surprise": [1, None]}},
    "slow": {"bytes_per_second": 10},
}
EXPECTED: Mapping[str, Callable[[Cell], Awaitable[None]]] = {
    "status": _status,
    "delay": _delay,
    "no_answer": _no_answer,
    "reset": _reset,
    "truncate": _truncate,
    "not_json": _not_json,
    "wrong_shape": _wrong_shape,
    "slow": _slow,
}


@pytest.mark.parametrize(("point", "do"), CELLS)
async def test_fault_action_is_executed_once(point: str, do: str) -> None:
    async with nothing_left(), cell(point) as asked:
        since = asked.mock.journal.next_index
        fault = asked.mock.faults.add({"at": point, "do": do, "times": 1, **PARAMETERS.get(do, {})})
        await EXPECTED[do](asked)
        assert shape(await asked.ask()) == shape(asked.usual)
        assert (fault.passed, fault.fired) == (1, 1)
        entries = asked.mock.journal.find(since=since)
        fired, spoilt, usual = (entry for entry in entries if entry.kind in {"fault", "rest"})
        assert (fired.kind, fired.name, fired.data["do"]) == ("fault", point, do)
        assert (spoilt.kind, spoilt.data["fault"]) == ("rest", do)
        assert spoilt.data["request"] == usual.data["request"]
        assert "fault" not in usual.data
        assert spoilt.name == usual.name
        assert spoilt.account == fired.account == (usual.account or fired.account)


def test_table_covers_every_http_point_and_action() -> None:
    assert set(ASKS) == set(HTTP_POINTS)
    assert {do for _, do in CELLS} == set(ACTIONS) == set(EXPECTED)
    assert all(set(POINTS[point].actions) <= set(ACTIONS) for point in HTTP_POINTS)
