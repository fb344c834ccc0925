"""Tests of `GET /_mock/events`, over real sockets."""

import asyncio
import gc
import json
import socket
import statistics
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.http.routes import events
from odyssey_mock.verification.contract_documents import Contract
from tests.support.event_streams import Event, event_stream
from tests.support.tls_contexts import NO_CERTIFICATES


async def test_stream_begins_with_hello_entries_and_state(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.journal.record("note", "first")
    async with event_stream(http) as stream:
        hello, entry, state = [await stream.next() for _ in range(3)]
    assert stream.response.headers["content-type"].startswith("text/event-stream")
    assert hello == Event(
        "hello",
        {
            "version": version("odyssey-testkit"),
            "began_at": odyssey_mock.journal.began_at,
            "next": 1,
            "dropped": 0,
        },
    )
    assert (entry.name, entry.id, entry.data["name"]) == ("entry", "0", "first")
    shown = (await http.get("/_mock/state")).json()
    assert state.name == "state"
    assert state.data | {"clock": {}} == shown | {"clock": {}}


async def test_entries_are_trace_events(authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.journal.record("note", "ä\n\u2028", data="\r\n")
    await authorized.post("/sessions/request", json={})
    contract = Contract.load()
    async with event_stream(authorized) as stream:
        shown = [event.data for event in await stream.entries(len(odyssey_mock.journal.entries))]
    assert [fault for event in shown for fault in contract.violations("trace-event", "", event)] == []
    assert [event["i"] for event in shown] == [entry.index for entry in odyssey_mock.journal.entries]
    assert [event["t"] for event in shown] == pytest.approx(
        [entry.time - odyssey_mock.journal.began_at for entry in odyssey_mock.journal.entries], abs=1e-6
    )
    assert [event["data"]["data"] for event in shown if event["name"].startswith("ä")] == ["\r\n"]


async def test_new_entries_arrive_at_once(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    now = asyncio.get_running_loop().time
    took = []
    async with event_stream(http) as stream:
        await stream.next("state")
        for number in range(30):
            written = now()
            odyssey_mock.journal.record("note", f"{number}")
            assert (await stream.next("entry")).data["name"] == f"{number}"
            took.append(now() - written)
    assert statistics.median(took) < 0.2, f"expected a median of less than 0.2 s between entry and event, got {took}"


@pytest.mark.parametrize("header", [False, True], ids=["since", "Last-Event-ID"])
async def test_stream_resumes_at_an_index(header: bool, http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    for number in range(4):
        odyssey_mock.journal.record("note", f"{number}")
    # A browser repeats the URL of its first request, so the header decides.
    given = {"since": 1, "headers": {"Last-Event-ID": "1"}} if header else {"since": 2}
    async with event_stream(http, **given) as stream:
        assert [event.id for event in await stream.entries(2)] == ["2", "3"]


def complete(received: bytes) -> list[Any]:
    """Return the entries in a part of a stream that was cut at any byte, without the event that is incomplete."""
    *events_of, _cut = received.decode().split("\n\n")
    fields = [dict(line.split(": ", 1) for line in event.splitlines()) for event in events_of]
    return [json.loads(each["data"]) for each in fields if each["event"] == "entry"]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9000), st.integers(0, 5)), min_size=1, max_size=5),
    page=st.integers(1, 40),
)
async def test_reader_that_is_cut_anywhere_gets_the_journal(
    rounds: list[tuple[int, int, int]], page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each round writes entries, connects, writes more, receives a number of bytes, and cuts the connection."""
    monkeypatch.setattr(events, "PAGE_ENTRIES", page)
    async with (
        MockOdyssey() as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        read: list[Any] = []
        for before, cut, during in [*rounds, (1, None, 0)]:
            for _ in range(before):
                mock.journal.record("note", "ä", before=before)
            received = b""
            async with http.stream("GET", "/_mock/events", params={"since": len(read)}, timeout=20) as stream:
                for _ in range(during):
                    mock.journal.record("note", "ä", during=during)
                left = mock.journal.next_index - len(read)
                chunks = stream.aiter_raw()
                while len(complete(received)) < left and (cut is None or len(received) < cut):
                    received += await anext(chunks)
            read += complete(received[:cut])
        assert [event["i"] for event in read] == list(range(mock.journal.next_index))
        assert [{**event["data"]} for event in read] == [
            {**entry.data, "server_time": entry.time, "index": entry.index} for entry in mock.journal.entries
        ]


async def test_ended_streams_leave_nothing_on_their_connection(http: httpx.AsyncClient) -> None:
    for _ in range(5):
        assert (await http.head("/_mock/events")).status_code == 200
    await asyncio.to_thread(gc.collect)
    assert not [each for each in gc.get_objects() if isinstance(each, events._EventStream)]


@pytest.mark.odyssey(journal_limit=50)
async def test_slow_reader_gets_a_gap(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    async with event_stream(http) as stream:
        await stream.next("state")
        for number in range(120):
            odyssey_mock.journal.record("note", f"{number}")
        gap = await stream.next("gap", "entry")
        rest = await stream.entries(50)
    assert gap == Event("gap", {"from": 0, "to": 70})
    assert [event.id for event in rest] == [f"{index}" for index in range(70, 120)]


@pytest.mark.odyssey(journal_limit=100)
async def test_entries_do_not_wait_for_a_reader(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    address = urlsplit(odyssey_mock.url)
    with socket.socket() as raw:
        raw.setblocking(False)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        await asyncio.get_running_loop().sock_connect(raw, (address.hostname, address.port))
        reader, writer = await asyncio.open_connection(sock=raw, limit=2**16)
        writer.write(f"GET /_mock/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        await reader.readuntil(b"event: state")
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # of asyncio's transport
        for _ in range(100):
            for _ in range(10):
                odyssey_mock.journal.record("note", "x", text="x" * 10_000)
            await http.get("/_mock/health")  # lets the mock write
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        size = 0
        while b"event: gap" not in (part := await reader.read(2**16)):
            assert part, "the stream has ended"
            size += len(part)
        writer.close()
    # The buffers of the operating system take up to 5 MB on a loopback connection.
    assert size < 7_000_000, f"expected that entries are dropped instead of queued, got {size} bytes before the gap"


async def test_reset_is_announced(authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await authorized.post("/sessions/request", json={})
    async with event_stream(authorized) as stream:
        assert len((await stream.next("state")).data["sessions"]) == 1
        await authorized.post("/_mock/reset")
        assert await stream.next("reset") == Event("reset", {"next": odyssey_mock.journal.next_index})
        while (await stream.next("state")).data["sessions"]:
            pass
    async with event_stream(authorized, since=1) as stream:
        assert (await stream.next("reset", "entry")).name == "reset"


@pytest.mark.odyssey(clock="manual")
async def test_state_follows_the_clock(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    async with event_stream(http) as stream:
        before = (await stream.next("state")).data["clock"]["time"]
        await odyssey_mock.advance(100)
        while (await stream.next("state")).data["clock"]["time"] != before + 100:
            pass


async def test_states_are_sent_200_ms_apart(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    loop = asyncio.get_running_loop()
    async with event_stream(http) as stream:
        await stream.next("state")
        begun = loop.time()
        states = 0
        while states < 4:
            odyssey_mock.journal.record("note", "x")
            states += (await stream.next()).name == "state"
    assert loop.time() - begun > 0.55


async def test_unchanged_state_is_sent_once(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SILENCE", 0.4)
    monkeypatch.setattr(events, "CHECK_INTERVAL", 0.01)
    async with event_stream(http) as stream:
        await stream.next("state")
        second = asyncio.create_task(stream.next("state"))
        while not (stream.comments or second.done()):
            await asyncio.wait([second], timeout=0.05)
        assert not second.done(), f"expected no second state, got {second.result()}"
        second.cancel()
        await asyncio.wait([second])


async def test_statistics_of_connected_sessions_arrive(
    http: httpx.AsyncClient, odyssey_client: Odyssey, odyssey_mock: MockOdyssey
) -> None:
    await odyssey_client.connect()
    (session,) = odyssey_mock.sessions
    async with event_stream(http) as stream:
        first, second = [(await stream.next("statistics")).data for _ in range(2)]
    assert [*first] == [*second] == [session]
    assert second[session]["at"] - first[session]["at"] >= 0.9
    assert "outbound-rtp" in {report["type"] for report in second[session]["reports"].values()}


async def test_state_has_what_a_card_shows(http: httpx.AsyncClient, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    stream_id = await odyssey_client.start_stream("A cat", broadcast=True)
    applied = await odyssey_client.interact("Pet the cat")
    state = (await http.get("/_mock/state")).json()
    (session,), (stream,) = state["sessions"], state["streams"]
    assert (session["state"], session["stream_state"], session["has_socket"]) == ("connected", "running", True)
    assert session["stream_id"] == stream["stream_id"] == stream_id
    assert [each["name"] for each in session["deadlines"]] == ["stream duration", "connection duration"]
    assert all(each["in_seconds"] > 0 for each in session["deadlines"])
    assert (stream["interactions"], stream["fps"], stream["viewers"]) == (1, 20, 0)
    assert stream["current_prompt"] == applied


async def test_mock_closes_while_streams_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.http.uvicorn_server.GRACE", 10.0)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES))
        async with MockOdyssey() as mock:
            http.base_url = mock.url
            streams = [await stack.enter_async_context(event_stream(http)) for _ in range(3)]
            for stream in streams:
                await stream.next("state")
            begun = loop.time()
        took = loop.time() - begun
        for stream in streams:
            with pytest.raises(EOFError):
                await stream.next("none with this name")
    assert took < 8, f"expected that the mock does not wait for the streams, got {took:.2f} s"


async def test_stream_above_the_limit_is_refused(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(event_stream(http))
        refused = await http.get("/_mock/events")
        assert refused.status_code == 503
        assert "at most 20 open event streams" in refused.json()["detail"]
    monkeypatch.setattr(events, "READERS", 1)
    async with asyncio.timeout(10):
        while (answer := await http.head("/_mock/events")).status_code == 503:
            pass  # the mock has not yet noticed that the streams were closed
    assert answer.status_code == 200


async def test_reader_that_does_not_read_is_cut(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "UNREAD_LIMIT", 0.1)
    monkeypatch.setattr(events, "READERS", 1)
    for _ in range(10):
        odyssey_mock.journal.record("note", "x", account="acct", text="x" * 900_000)
    async with event_stream(http), asyncio.timeout(20):
        while (await http.head("/_mock/events")).status_code == 503:
            pass  # each request takes some time


async def test_silent_stream_sends_comments(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SILENCE", 0.01)
    async with event_stream(http) as stream, asyncio.timeout(10):
        async for line in stream.response.aiter_lines():
            if line.startswith(":"):
                break


@pytest.mark.parametrize(
    ("params", "headers", "loc"),
    [
        ({"since": "-1"}, {}, ["query", "since"]),
        ({"since": "x"}, {}, ["query", "since"]),
        ({"from": "1"}, {}, ["query", "from"]),
        ({}, {"Last-Event-ID": "x"}, ["header", "Last-Event-ID"]),
        ({}, {"Last-Event-ID": "9" * 30}, ["header", "Last-Event-ID"]),
    ],
)
async def test_invalid_position_is_422(
    params: dict[str, str], headers: dict[str, str], loc: list[str], http: httpx.AsyncClient
) -> None:
    answer = await http.get("/_mock/events", params=params, headers=headers)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, loc)


async def test_secrets_are_masked(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    async with event_stream(http) as stream:
        response = await http.post("/auth/token", json={"api_key": odyssey_mock.api_key})
        shown = json.dumps((await stream.next("entry")).data)
    assert odyssey_mock.api_key not in shown
    assert response.json()["access_token"] not in shown
