"""Visits of a client to a service that is hostile at one point of its protocol, and correct at all others."""

import asyncio
import itertools
import json
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from odyssey_client import AdvancedConfig, ClientCredentials, Odyssey, OdysseyError, connect_to_stream
from tests.support.hostile_service import Asked, Respond, frame, hostile_service, http, websocket_accepted
from tests.support.leftovers import nothing_left
from tests.support.loop_watchdog import LoopWatchdog, loop_watchdog

LIMITS_S = (0.3, 5.0)
"""Each time limit of the client, in seconds. The second is used if the first passes before the hostile point."""

PATIENCE_S = 30
"""Seconds after which a visit counts as endless. Several limits may pass one after the other, on a busy machine."""

SENT_BYTES = 48 * 2**20
"""Maximum number of bytes that a client may accept in one visit, including those in the kernel's buffers."""


def _settings(limit: float) -> AdvancedConfig:
    return AdvancedConfig(
        request_timeout_s=limit,
        connect_timeout_s=limit,
        download_timeout_s=limit,
        max_download_bytes=2**20,
        region_ping_timeout_s=limit,
        queue_timeout_s=0,
        request_max_retries=0,
        max_retries=0,
        reconnect="off",
        telemetry=False,
    )


type Url = str
type Visit = Callable[[Url, float], Awaitable[object]]
"""Calls the service at a URL, with the given time limits."""

JOB = {"job_id": "job", "status": "pending", "priority": "normal", "created_at": "2026-01-01T00:00:00Z"}
PAGE = {"total": 0, "limit": 100, "offset": 0}


def _with_client[T](call: Callable[[Odyssey], Awaitable[T]]) -> Visit:
    async def visit(url: Url, limit: float) -> T:
        async with Odyssey("ody_hostile", api_url=url, advanced=_settings(limit)) as client:
            return await call(client)

    return visit


async def _iterate(client: Odyssey) -> None:
    async for _ in client.iter_simulations():
        pass


async def _download(client: Odyssey) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await client.download_recording("stream", Path(folder) / "video.mp4")


async def _connect_with_credentials(url: Url, limit: float) -> None:
    credentials = ClientCredentials("session", url.replace("http", "ws"), "token", 600)
    async with Odyssey.keyless(advanced=_settings(limit)) as client:
        await client.connect_with_credentials(credentials)


async def _watch(url: Url, limit: float) -> None:
    async with await connect_to_stream(f"{url}/stream", "token", advanced=_settings(limit)):
        pass


VISITS: Mapping[str, Visit] = {
    "POST /auth/token": _with_client(lambda client: client.list_simulations()),
    "GET /regions": _with_client(lambda client: client.connect()),
    "GET /ping": _with_client(lambda client: client.connect()),
    "POST /sessions/request": _with_client(lambda client: client.connect()),
    "POST /sessions/token": _with_client(lambda client: client.connect()),
    "GET /config": _connect_with_credentials,
    "GET /client/session": _connect_with_credentials,
    "POST /simulation-jobs": _with_client(lambda client: client.simulate(script_url="https://host/script")),
    "GET /simulation-jobs": _with_client(_iterate),
    "GET /simulation-jobs/job": _with_client(lambda client: client.wait_for_simulation("job", timeout=0.1)),
    "DELETE /simulation-jobs/job": _with_client(lambda client: client.cancel_simulation("job")),
    "GET /stream-recordings": _with_client(lambda client: client.list_stream_recordings()),
    "GET /recordings/stream": _with_client(_download),
    "GET /artifact": _with_client(_download),
    "POST /stream/whep": _watch,
    "DELETE /resource": _watch,
}
"""For each point of the protocol: a call that reaches it, if the service responds correctly at all others."""

SIGNALING = "messages of the signaling socket"
"""The point after a successful handshake of the socket."""


def _correct(asked: Asked) -> Iterable[bytes]:
    url = f"http://{asked.header('Host')}"
    if asked.call == "GET /client/session":
        message = json.dumps({"type": "error", "reason": "streamer_not_available"}).encode()
        return [websocket_accepted(asked), frame(message), frame(b"\x03\xe8", opcode=8)]
    bodies: dict[str, object] = {
        "POST /auth/token": {"access_token": "token", "token_type": "bearer", "expires_in": 3600},
        "GET /regions": {"regions": [{"id": "here", "ping_url": f"{url}/ping"}]},
        "POST /sessions/request": {"session_id": "session", "signalling_url": url.replace("http", "ws")},
        "POST /sessions/token": {"session_token": "token", "expires_in": 600},
        "GET /config": {"iceServers": []},
        "GET /simulation-jobs": {"jobs": [], **PAGE},
        "GET /stream-recordings": {"recordings": [], **PAGE},
        "GET /recordings/stream": {"stream_id": "stream", "video_url": f"{url}/artifact"},
    }
    headers = ("Location: /resource",) if asked.call == "POST /stream/whep" else ()
    return [http(json.dumps(bodies.get(asked.call, JOB)).encode(), *headers)]


def hostile_at(point: str, response: Iterable[bytes]) -> Respond:
    """Return a service that sends `response` at `point`, and correct responses at all other points."""

    def respond(asked: Asked) -> Iterable[bytes]:
        if point == SIGNALING and asked.call == "GET /client/session":
            return itertools.chain([websocket_accepted(asked)], response)
        return response if asked.call == point else _correct(asked)

    return respond


async def visit(point: str, response: Callable[[], Iterable[bytes]]) -> tuple[OdysseyError | None, LoopWatchdog]:
    """Let a client reach `point` of a service that sends `response()` there.

    Returns:
        The error of the client's call, or None if the call succeeded, and the measurement of its event loop.

    Raises:
        Exception: the call raised an error of another class, or did not end.
        AssertionError: the client left something behind, read too much, or did not reach the point.
    """
    call = _connect_with_credentials if point == SIGNALING else VISITS[point]
    reached = "GET /client/session" if point == SIGNALING else point
    for limit in LIMITS_S:
        error = None
        async with nothing_left():
            with hostile_service(hostile_at(point, response())) as service, loop_watchdog() as watchdog:
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        await call(service.url, limit)
                except OdysseyError as raised:
                    error = raised
        calls = [asked.call for asked in service.asked]
        if reached in calls:
            assert service.sent <= SENT_BYTES, f"expected at most {SENT_BYTES} bytes sent, got {service.sent}"
            return error, watchdog
    raise AssertionError(f"expected a request {reached}, got {calls} and {error!r}")
