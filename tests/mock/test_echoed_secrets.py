"""Property: a client that repeats secrets anywhere, in any encoding, does not bring them into journal and log."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import httpx
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from odyssey_mock import MockOdyssey
from tests.support.echoed_secrets import ENCODINGS, leaks
from tests.support.raw import RawApi
from tests.support.tls_contexts import NO_CERTIFICATES

PLACES = (
    "path",
    "query",
    "header",
    "field",
    "key",
    "telemetry",
    "script",
    "script_url",
    "no JSON",
    "signaling type",
    "signaling text",
    "answer",
    "close reason",
    "whep",
    "request line",
)
few = settings(max_examples=8, phases=[Phase.explicit, Phase.generate])  # no shrinking: an example takes 50 ms


class Records(logging.Handler):
    """Collects the text of all log records of the mock and its libraries at level DEBUG."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] not in OF_THE_CLIENT:
            self.texts.append(self.format(record))


OF_THE_CLIENT = ("httpx", "httpcore", "websockets", "asyncio")
"""Loggers of the hostile client, which runs in the same process."""


@contextmanager
def logged() -> Iterator[list[str]]:
    records = Records()
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    levels = {logger: logger.level for logger in (logging.root, *loggers)}
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    logging.root.addHandler(records)
    try:
        yield records.texts
    finally:
        logging.root.removeHandler(records)
        for logger, level in levels.items():
            logger.setLevel(level)


async def repeat(mock: MockOdyssey, api: RawApi, place: str, echo: str, session: dict[str, str], token: str) -> None:
    """Send `echo` to the mock in the chosen place."""
    http = api.http
    socket_url = f"{session['signalling_url']}/client/{session['session_id']}"
    match place:
        case "path":
            await http.get(f"/recordings/{echo.replace('/', '%2F')}")
            await http.get(f"/no/{echo}")
        case "query":
            await http.get("/simulation-jobs", params={"status": echo, "limit": echo, echo: "1"})
        case "header":
            await http.get("/regions", headers={"Authorization": f"Bearer {echo}", "X-Request-Id": echo})
            await http.get("/regions", headers={"Authorization": echo, "Origin": f"http://{echo}"})
        case "field":
            await http.post("/sessions/token", json={"session_id": echo, "x": [{"y": echo}]})
        case "key":
            await http.post("/sessions/token", json={echo: {echo: 1}})
        case "telemetry":
            await http.post("/telemetry", json={"events": [{"name": echo, echo: [echo]}]})
        case "script":
            script = [{"timestamp_ms": 0, "start": {"prompt": echo, echo: 1}}, {"timestamp_ms": echo, "end": {}}]
            await http.post("/simulation-jobs", json={"script": script})
        case "script_url":
            await http.post("/simulation-jobs", json={"script_url": f"http://{echo}@127.0.0.1:9/{echo}?x={echo}"})
        case "no JSON":
            await http.post("/sessions/token", content=f"{{{echo}")
        case "whep":
            await http.post(f"/broadcast/{echo}/whep?token={echo}", content=f"v=0\r\na={echo}")
        case "request line":
            reader, writer = await asyncio.open_connection(urlsplit(mock.url).hostname, urlsplit(mock.url).port)
            writer.write(f"GET /{echo} HTTP/9.{echo}\r\n\r\n".encode())
            await reader.read()
            writer.close()
        case _:
            async with connect(f"{socket_url}?token={token}", proxy=None) as socket:
                await socket.recv()
                match place:
                    case "signaling type":
                        await socket.send(json.dumps({"type": echo, "x": echo}))
                    case "signaling text":
                        await socket.send(f"{{{echo}")
                    case "answer":
                        await socket.send(json.dumps({"type": "answer", "sdp": f"v=0\r\na=x:{echo}\r\n{echo}"}))
                await socket.close(1000, f"bye {echo}"[:100])
            with suppress(WebSocketException):
                async with connect(f"{socket_url}?token={echo.replace(' ', '')}", proxy=None):
                    pass


@few
@given(st.sampled_from(PLACES), st.sampled_from(sorted(ENCODINGS)).map(ENCODINGS.__getitem__), st.integers(0, 2))
@example("signaling type", ENCODINGS["plain"], 1)
@example("script_url", ENCODINGS["plain"], 0)
@example("telemetry", ENCODINGS["base64"], 1)
def test_echoed_secret_is_in_no_output(place: str, encode: Callable[[str], str], which: int) -> None:
    async def main() -> tuple[list[str], str]:
        async with MockOdyssey() as mock, RawApi(mock) as api:
            session = await api.request_session()
            token = await api.token_for(session["session_id"])
            access = api.http.headers["Authorization"].removeprefix("Bearer ")
            secret = (mock.api_key.removeprefix("ody_"), access, token.rpartition(".")[2])[which]
            with suppress(httpx.HTTPError, httpx.InvalidURL):
                await repeat(mock, api, place, encode(secret), session, token)
            async with httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http:
                shown = [(await http.get(f"/_mock/{path}")).text for path in ("journal", "state", "faults", "settings")]
            shown += [mock.journal.to_text(), mock.journal.to_jsonl(), repr(mock.telemetry), repr(mock)]
            return shown, secret

    with logged() as records:
        shown, secret = asyncio.run(main())
    assert [text for text in (*shown, *records) if leaks(text, secret)] == []
