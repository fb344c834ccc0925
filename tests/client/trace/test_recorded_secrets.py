"""Secrets that pass through a client while it is recorded: none is in the file. Other text is there unchanged."""

import asyncio
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_client.models import JSON
from odyssey_client.platform import IceServer, PeerListener
from odyssey_client.redaction import remember
from odyssey_client.system import SystemClock, SystemNetwork
from odyssey_client.trace import Failure, Manifest, Recorder, Source, SourceFile, read_trace, write_trace
from odyssey_client.trace.client_trace import ClientTrace
from odyssey_client.trace.events import LANES, SPAN_LANES
from odyssey_client.trace.log_records import record_logs, stop_recording_logs
from odyssey_client.trace.network import RecordingNetwork, record_message
from tests.support.echoed_secrets import leaks, random_secrets

SECRETS = 25
EXAMPLES = 40
"""The examples have `SECRETS` secrets each: 1,000 in all."""
CLIENT_LANES = {"call", "callback", "http", "signaling", "sdp", "peer", "channel", "stats", "state", "log"}
"""The lanes in which a client records. The mock and the pytest plugin record in the others, too."""

type Text = Iterator[str]


class Peer:
    """A peer that reveals a text in everything that it reports."""

    def __init__(self, text: Text) -> None:
        self.text = text

    async def __aenter__(self) -> "Peer":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def answer(self, offer: str, ice_servers: list[IceServer]) -> str:
        return f"v=0\r\na=ice-pwd:{next(self.text)}\r\n"

    async def add_candidate(self, line: str, mid: str | None, mline_index: int | None) -> None:
        pass

    def send(self, text: str) -> bool:
        return False

    def stats(self) -> dict[str, Any]:
        return {"local": {"type": "local-candidate", "usernameFragment": next(self.text)}}

    def watch(self, changed: Any) -> None:
        changed("ice", next(self.text))


class Network(SystemNetwork):
    """A network without sockets, which reveals a text in all its traffic."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def http_transport(self) -> httpx.AsyncBaseTransport:
        return httpx.MockTransport(
            lambda _: httpx.Response(401, json={"detail": next(self.text)}, headers={"X-Told": repr(next(self.text))})
        )

    def peer(self, *_: object) -> Any:
        return Peer(self.text)


def reveal(text: Text, path: Path) -> None:
    """Record a visit that has a text of `text` in every place, and write it to `path`."""
    recorder = Recorder()
    trace = ClientTrace(recorder)
    record_logs(recorder)
    try:
        asyncio.run(_reveal(text, trace, RecordingNetwork(Network(text), trace)))
    finally:
        stop_recording_logs(recorder)
    manifest = Manifest(title=next(text), began_at=0, duration=0, command=next(text))
    write_trace(path, recorder.snapshot(), manifest)


async def _reveal(text: Text, trace: ClientTrace, network: RecordingNetwork) -> None:
    call = trace.begin_call("start_stream", {"prompt": next(text), next(text): [next(text)]}, None)
    call.what = f"an answer with {next(text)}"
    trace.begin_call("interact", {}, None).raised(RuntimeError(f"got {next(text)}"))
    trace.begin_callback("on_error", [ValueError(next(text))]).end(error=next(text))
    transport = network.http_transport()
    headers = {"Authorization": f"Bearer {next(text)!r}", "Cookie": f"a={next(text)!r}"}
    request = httpx.Request("POST", "http://x.example/a", json={"token": next(text), "x": next(text)}, headers=headers)
    await transport.handle_async_request(request)
    for sender in ("client", "server"):
        record_message(trace, "signaling", f'{{"type": "offer", "sdp": "{next(text)}"}}', sender)
        record_message(trace, "channel", next(text), sender)
        record_message(trace, "channel", f'{{"type": "long", "{next(text)}": "{next(text) * 5000}"}}', sender)
    listener = PeerListener(lambda: None, lambda: None, lambda _: None, lambda _: None, lambda _: None)
    async with network.peer(SystemClock(), listener) as peer:
        await peer.answer(f"v=0\r\na=ice-pwd:{next(text)}\r\n", [])
        await peer.add_candidate(f"candidate:{next(text)}", next(text), 0)
        peer.send(next(text))
    trace.transition("connection", "up", "lost", f"PeerLost: {next(text)}")
    logging.getLogger("an.application").warning("%s", next(text))
    try:
        raise ValueError(next(text))
    except ValueError:
        logging.getLogger("an.application").exception("failed")


def endless(texts: list[str]) -> Text:
    while True:
        yield from texts


@settings(max_examples=EXAMPLES)
@given(st.lists(random_secrets(), min_size=SECRETS, max_size=SECRETS, unique=True))
def test_no_secret_is_in_the_file(tmp_path_factory: pytest.TempPathFactory, secrets: list[str]) -> None:
    remember(*secrets)
    path = tmp_path_factory.getbasetemp() / "secrets.odytrace"
    reveal(endless(secrets), path)
    with zipfile.ZipFile(path) as archive:
        content = "\n".join(archive.read(name).decode() for name in archive.namelist())

    assert [secret for secret in secrets if leaks(content, secret)] == []
    with read_trace(path) as trace:
        assert {event.lane for event in trace.events} == CLIENT_LANES, "every lane was reached"


@settings(max_examples=EXAMPLES)
@given(st.lists(random_secrets(), min_size=SECRETS, max_size=SECRETS, unique=True))
def test_no_lane_of_the_file_has_a_secret(tmp_path_factory: pytest.TempPathFactory, secrets: list[str]) -> None:
    remember(*secrets)
    path = tmp_path_factory.getbasetemp() / "lanes.odytrace"
    recorder, text = Recorder(), endless(secrets)
    for lane in LANES:
        data: dict[str, JSON] = {next(text): [next(text), {"value": next(text)}]}
        recorder.add(
            lane,
            f"a {next(text)}",
            data,
            actor=next(text),
            session=next(text),
            stream=next(text),
            error=f"got {next(text)}",
            source=Source(f"{next(text)}.py", 1, next(text)),
        )
        if lane in SPAN_LANES:
            recorder.begin(lane, next(text), {"waiting_for": next(text)}).end(error=next(text))
    failure = Failure(next(text), next(text), next(text), source=Source(next(text), 1))
    manifest = Manifest(
        title=next(text), began_at=0, duration=0, command=next(text), commit=next(text), failure=failure
    )
    write_trace(path, recorder.snapshot(), manifest, [SourceFile(next(text), f"KEY = '{next(text)}'\n")])
    with zipfile.ZipFile(path) as archive:
        content = "\n".join(archive.read(name).decode() for name in archive.namelist())

    assert [secret for secret in secrets if leaks(content, secret)] == []
    with read_trace(path) as trace:
        assert {event.lane for event in trace.events} == set(LANES)


@given(
    st.text(st.characters(exclude_characters='\\"'), min_size=1, max_size=20).map(lambda text: f"<b>{text}\ud800&amp;")
)
def test_markup_and_surrogates_are_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "markup.odytrace"
    recorder = Recorder()
    trace = ClientTrace(recorder)
    trace.begin_call("interact", {"prompt": text}, None).returned(text)
    record_message(trace, "channel", text, "client")
    write_trace(path, recorder.snapshot(), Manifest(title="a", began_at=0, duration=0))

    with read_trace(path) as read:
        call, message = read.events
    assert call.data == {"arguments": {"prompt": text}, "result": text}
    assert message.data["message"] == {"text": text, "length": len(text)}


def test_headers_that_contain_secrets_are_masked() -> None:
    """Their values are unknown, so they are recognized by the names of the headers."""
    recorder = Recorder()
    transport = RecordingNetwork(Network(endless(["nothing"])), ClientTrace(recorder)).http_transport()
    headers = {"Cookie": "login=abc", "X-Api-Key": "abc", "Proxy-Authorization": "abc", "Accept": "abc"}
    asyncio.run(transport.handle_async_request(httpx.Request("GET", "http://x.example", headers=headers)))
    (event,) = recorder.snapshot().events
    request: Any = event.data["request"]

    assert [value for name, value in request["headers"] if name != "host"] == ["***", "***", "***", "abc"]
