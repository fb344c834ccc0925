"""The steps of the program of `odyssey-mock verify`: what each sends, and what it notes.

A step that opens a session ends it, also when it fails or is cancelled. The step `simulation` cancels its job then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import quote, urljoin

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from odyssey_client import ClientCredentials, Odyssey, Script, connect_to_stream
from odyssey_client.config import AdvancedConfig
from odyssey_client.connection.signaling import end_session
from odyssey_client.errors import (
    OdysseyAuthError,
    OdysseyError,
    OdysseySimulationError,
    ServiceUnreachableError,
)
from odyssey_client.redaction import remember, remember_url, without_query
from odyssey_mock.verification.observations import says_nothing
from odyssey_mock.verification.stage import CannotVerifyError, Frames, Stage, StepError, TappedNetwork, limited

if TYPE_CHECKING:
    import httpx

    from odyssey_client.models import JSON, BroadcastInfo, SimulationJob

JOB_LIMIT_S = 150.0
"""Seconds to wait for the simulation job. Then it is cancelled."""
LIVE_STREAM_LIMIT_S, BROADCAST_LIMIT_S = 10.0, 12.0
"""Seconds that the stream of each step lasts at most, from the request that starts it."""
SIMULATED_SECONDS = 2.0
"""Duration of the video of the simulation job."""
RECORDING_LIMIT_S = 30.0
"""Seconds to wait for the recording of the live stream."""
_FRAMES = 24
"""Number of frames after an interaction with which the frame rate is measured."""
_HEAD_BYTES = 64
"""Number of bytes that are read of each file of a recording."""
_LINES = 20
"""Number of lines that are read of an event log."""
_FILES = ("video_url", "preview_url", "thumbnail_url", "events_url")

type Work = Callable[[Stage], Awaitable[None]]


async def _authentication(stage: Stage) -> None:
    """Exchange the right key, a wrong key and a malformed key; call without a token, and with a wrong one."""
    shared = stage.shared
    # The following requests show what the service answers otherwise.
    with contextlib.suppress(OdysseyError):
        try:
            async with stage.client() as client:
                await client.list_stream_recordings(limit=1)
        except ServiceUnreachableError as error:
            raise CannotVerifyError(str(error)) from None
        except OdysseyAuthError as error:
            raise CannotVerifyError(_refusal(error, without_query(shared.api_url))) from None
    # An unknown field, because nothing is known about how the service treats one.
    right: JSON = {"api_key": shared.api_key, "odyssey_testkit": True}
    await stage.send("POST", "/auth/token", json=right, is_authorized=False, case="unknown-field")
    answer = await stage.send("POST", "/auth/token", json={"api_key": shared.api_key}, is_authorized=False)
    body = _json(answer)
    token = body.get("access_token") if isinstance(body, dict) else None
    if not isinstance(token, str):
        raise StepError(f"POST /auth/token: expected a field `access_token`, got HTTP {answer.status_code} without it")
    shared.token = token
    remember(token)
    wrong = f"ody_invalid_{stage.platform.entropy.uuid().replace('-', '')}"
    await stage.send("POST", "/auth/token", json={"api_key": wrong}, is_authorized=False, case="wrong-key")
    await stage.send("POST", "/auth/token", json={"api_key": "no-key"}, is_authorized=False, case="malformed-key")
    await stage.send("GET", "/regions", is_authorized=False, case="no-token")
    wrong_token = {"Authorization": "Bearer wrong-token"}
    await stage.send("GET", "/regions", headers=wrong_token, is_authorized=False, case="wrong-token")


def _refusal(error: OdysseyAuthError, url: str) -> str:
    """Return why the service refuses the key, and what to do."""
    why = error.detail if isinstance(error.detail, str) else error.message
    if error.status == 403:
        return (
            f"the service at {url} refused the account of the API key in ODYSSEY_API_KEY (HTTP 403): "
            f"{why.rstrip('.')}. Use the key of another account, or ask the vendor."
        )
    return (
        f"the service at {url} rejected the API key in ODYSSEY_API_KEY (HTTP {error.status}): {why.rstrip('.')}. "
        "Check the key, and that it belongs to this service."
    )


_START: JSON = {"timestamp_ms": 0, "start": {"prompt": "A paper boat"}}
_END: JSON = {"timestamp_ms": 1000, "end": {}}
INVALID_JOBS: Mapping[str, dict[str, JSON]] = MappingProxyType(
    {
        "script.rule.non-empty": {"script": []},
        "script.rule.first-start": {"script": [_END]},
        "script.rule.last-end": {"script": [_START]},
        "script.rule.one-action": {"script": [_START, {"timestamp_ms": 1000, "interact": {"prompt": ""}, "end": {}}]},
        "script.rule.prompt": {"script": [{"timestamp_ms": 0, "start": {}}, _END]},
        "script.rule.timestamp": {"script": [_START, {"end": {}}]},
        "script.rule.times-in-order": {
            "script": [_START, {"timestamp_ms": 2000, "interact": {"prompt": "Wind"}}, _END],
        },
        "script.rule.scripts-non-empty": {"scripts": []},
        "job.request.one-source": {"script": [_START, _END], "scripts": [[_START, _END]]},
    }
)
"""Requests for jobs that each break the rule of one statement."""


async def _rest(stage: Stage) -> None:
    """List the regions, ping each, and cause the usual errors."""
    await _ping_regions(stage, await stage.send("GET", "/regions"))
    unknown = stage.platform.entropy.uuid()
    await stage.send("GET", f"/recordings/{unknown}", case="unknown")
    await stage.send("GET", f"/simulation-jobs/{unknown}", case="unknown")
    await stage.send("DELETE", f"/simulation-jobs/{unknown}", case="unknown")
    await stage.send("POST", "/sessions/token", json={"session_id": unknown}, case="unknown")
    await stage.send("POST", "/sessions/token", json={}, case="empty")
    await stage.send("GET", "/stream-recordings?limit=101")
    await stage.send("GET", "/stream-recordings")
    await stage.send("GET", "/simulation-jobs?limit=101")
    await stage.send("GET", "/simulation-jobs")
    await stage.send("POST", "/telemetry", json={"events": []})
    await stage.send("POST", "/telemetry", json={"events": []}, is_authorized=False)
    preflight = _ORIGIN | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    await stage.send("OPTIONS", "/sessions/request", headers=preflight, is_authorized=False)
    await stage.send("GET", "/regions", headers=_ORIGIN)
    answer = await stage.send("GET", "/openapi.json", is_authorized=False)
    if not says_nothing(answer.status_code):
        routes = _routes(_json(answer))
        stage.facts |= {"routes": routes, "has_openapi": routes is not None}
    # Last, because a job that cannot be cancelled ends the step.
    for case, request in INVALID_JOBS.items():
        if await _is_accepted(stage, case, request):
            break  # the service does not refuse such scripts, and each job may cost something


async def _ping_regions(stage: Stage, answer: httpx.Response) -> None:
    """Ping the regions of a list at the same time."""
    body = _json(answer)
    regions = body.get("regions") if isinstance(body, dict) else None
    listed = [each.get("ping_url") for each in regions if isinstance(each, dict)] if isinstance(regions, list) else []
    await asyncio.gather(*(_ping(stage, url) for url in listed[:_REGIONS] if isinstance(url, str)))


async def _ping(stage: Stage, url: str) -> None:
    with contextlib.suppress(ServiceUnreachableError, StepError):  # the exchange has no status
        await stage.send("GET", url, is_authorized=False, limit=_PING_LIMIT_S)


_REGIONS, _PING_LIMIT_S = 32, 3.0
"""Number of regions that are pinged, at the same time, and the time limit of each ping."""


async def _is_accepted(stage: Stage, case: str, request: dict[str, JSON]) -> bool:
    """Request a job with an invalid script; if the service accepts it, cancel the job and return True.

    Raises:
        StepError: the job was accepted and could not be cancelled.
    """
    is_cancelled = False

    async def cancel(answer: httpx.Response) -> None:
        nonlocal is_cancelled
        if (name := _job_id(answer)) is not None:
            path = f"/simulation-jobs/{quote(name, safe='')}"
            is_cancelled = (await stage.send("DELETE", path, case=CANCELLED_CASE)).is_success

    answer = await stage.made(stage.send("POST", "/simulation-jobs", json=request, case=case), cancel)
    if not answer.is_success:
        return False
    await stage.uninterrupted(cancel(answer))
    if not is_cancelled:
        job = f"the job {_job_id(answer) or 'without an id'}"
        raise StepError(f"{job} with an invalid script was accepted and could not be cancelled")
    return True


def _job_id(answer: httpx.Response) -> str | None:
    """Return the id of a job that was created; None if the answer has none."""
    body = _json(answer)
    names = (body.get("job_id"), body.get("id")) if isinstance(body, dict) else ()
    return next((name for name in names if isinstance(name, str)), None)


CANCELLED_CASE = "accepted-job"
"""Names the request that cancels a job with an invalid script."""


def _routes(document: JSON) -> JSON:
    """Return the routes in an OpenAPI document, such as `GET /regions`; None if it is none."""
    paths = document.get("paths") if isinstance(document, dict) else None
    if not isinstance(paths, dict):
        return None
    methods = {"get", "put", "post", "delete", "patch"}
    return [
        f"{method.upper()} {path}"
        for path, item in paths.items()
        if isinstance(item, dict)
        for method in item
        if method in methods
    ]


async def _live(stage: Stage) -> None:
    """Connect, start a landscape stream, interact twice, start it again, end it, and disconnect."""
    tapped = TappedNetwork(stage.platform.network)
    async with stage.client(tapped) as client, Frames((await stage.granted(client.connect)).frames()) as frames:
        await stage.until(lambda: frames.has(3), 10, "video before a stream")
        stage.facts["idle_frames"] = len(frames)
        async with limited(stage, LIVE_STREAM_LIMIT_S, "the stream"):
            stage.shared.live_stream = await client.start_stream("A lighthouse on a cliff at dawn", portrait=False)
            await client.interact("A storm comes up")
            await client.interact("The lamp is lit")
            await stage.send("GET", f"/recordings/{stage.shared.live_stream}", case="running")
            begin = len(frames)
            await stage.until(lambda: frames.has(begin + _FRAMES), 5, f"{_FRAMES} frames")
            stage.facts["stream_frames"] = frames.taken[begin:]
            stage.facts["second_start"] = await stage.say(tapped, SECOND_START, _REPLY_S, _STARTED)
            # The client may think that the stream has failed.
            await stage.say(tapped, {"type": "interactive_stream_end"}, 5, _ENDED)
        await stage.send("GET", f"/recordings/{stage.shared.live_stream}", case="ended")


_ERROR = "interactive_stream_error"
_STARTED, _UPDATED, _ENDED = (_ERROR, "stream_started"), (_ERROR, "update_acknowledged"), (_ERROR, "stream_ended")
"""Types of the replies to messages that start, change and end a stream."""


SECOND_START: dict[str, JSON] = {"type": "interactive_stream_start", "prompt": "A lighthouse", "portrait": False}
"""A start that the program sends while a stream is running."""


async def _credentials(stage: Stage) -> None:
    """Open a session for another process, and connect to it without the key; send messages without a stream.

    Then try to open a socket of the ended session.
    """
    connected = False

    async def end(opened: ClientCredentials) -> None:
        await end_session(opened, stage.platform.network, stage.clock)

    async with contextlib.AsyncExitStack() as stack:
        async with stage.client() as client:
            # Only the request itself continues after Ctrl-C: a second one must not begin then.
            credentials = await stage.granted(lambda: stage.made(client.create_client_credentials(), end))

            async def end_unless_connected() -> None:
                if not connected:
                    await stage.uninterrupted(end(credentials))

            stack.push_async_callback(end_unless_connected)
        second: JSON = {"session_id": credentials.session_id}
        await stage.send("POST", "/sessions/token", json=second, case="second-token")
        tapped = TappedNetwork(stage.platform.network)
        async with stage.keyless_client(tapped) as viewer:
            await viewer.connect_with_credentials(credentials)
            connected = True
            stage.facts["connected"] = True
            update = stage.facts["reply_to_update"] = await stage.say(tapped, UPDATE, _REPLY_S, _UPDATED)
            unknown = stage.facts["reply_to_unknown"] = await stage.say(tapped, UNKNOWN, _REPLY_S, (_ERROR,))
            if update is not None and unknown is not None:  # or else a late reply would look like one to this message
                stage.facts["reply_to_end"] = await stage.say(tapped, END, _SILENCE_S, _ENDED) or "none"
    stage.facts["ended_session"] = await _ended_session(stage, credentials)


UPDATE: dict[str, JSON] = {"type": "update", "prompt": "A storm comes up"}
UNKNOWN: dict[str, JSON] = {"type": "odyssey_testkit"}
END: dict[str, JSON] = {"type": "interactive_stream_end"}
"""Messages that the program sends while no stream is running. The last one gets no reply, according to an app."""
_REPLY_S, _SILENCE_S = 3.0, 1.0
"""Seconds to wait for the reply to a message that no client sends, and to find that there is none."""


_ENDED_SESSION_S = 10.0
"""Seconds in which the service is expected to refuse the socket of a session that has ended."""


async def _ended_session(stage: Stage, credentials: ClientCredentials) -> JSON:
    """Open a socket of a session that has ended; return how the service refuses it."""
    session, token = (quote(part, safe="") for part in (credentials.session_id, credentials.session_token))
    url = f"{credentials.signaling_url.rstrip('/')}/client/{session}?token={token}"
    is_open = False
    try:
        async with stage.clock.timeout(_ENDED_SESSION_S), stage.network.websocket(url) as socket:
            is_open = True
            try:
                while True:
                    await socket.recv()
            except ConnectionClosed:
                return {"code": socket.close_code}
    except TimeoutError:
        return {"open": True} if is_open else None  # a handshake without an answer says nothing
    except InvalidStatus as error:
        status = error.response.status_code
        return None if says_nothing(status) else {"status": status}
    except (OSError, WebSocketException):
        return None


async def _broadcast(stage: Stage) -> None:
    """Start a portrait stream with a broadcast; watch it with WHEP, read its HLS playlist, and end it."""
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()

    def on_broadcast_ready(info: BroadcastInfo) -> None:
        if not ready.done():
            ready.set_result(info)

    async with stage.client() as client:
        stream = await stage.granted(lambda: client.connect(on_broadcast_ready=on_broadcast_ready))
        async with Frames(stream.frames()) as frames, limited(stage, BROADCAST_LIMIT_S, "the broadcast"):
            await client.start_stream("A carousel at night", broadcast=True)
            await stage.until(ready.done, 5, "`broadcast_ready`")
            info = ready.result()
            await _watch(stage, info)
            stage.facts["stream_frames"] = frames.taken[-3:]
            await client.end_stream()
        if info.hls_url is not None:
            stage.facts["ended_playlist"] = await _end_of_playlist(stage, info.hls_url)
        await _offer(stage, info, "ended-stream")


async def _end_of_playlist(stage: Stage, url: str) -> JSON:
    """Return whether the playlist of a stream that has ended says so within 3 s."""
    deadline = stage.clock.monotonic() + 3
    while True:
        ended = await stage.send("GET", url, is_authorized=False)
        has_end = "#EXT-X-ENDLIST" in ended.text
        if has_end or stage.clock.monotonic() > deadline:
            return {"has_end": has_end} if ended.status_code == 200 else None
        await stage.clock.sleep(0.2)


async def _watch(stage: Stage, info: BroadcastInfo) -> None:
    """Watch a broadcast, send offers that are refused, and read the playlist."""
    remember(info.spectator_token)
    whep = f"{info.webrtc_url.rstrip('/')}/whep"
    await stage.send("OPTIONS", whep, is_authorized=False)
    preflight = _ORIGIN | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    await stage.send("OPTIONS", whep, headers=preflight, is_authorized=False, case="preflight")
    for case in REFUSED_OFFERS:
        await _offer(stage, info, case)
    clock, _, network = stage.platform
    settings = AdvancedConfig(connect_timeout_s=8.0)
    async with (
        await connect_to_stream(
            info.webrtc_url, info.spectator_token, advanced=settings, clock=clock, network=network, trace=stage.recorder
        ) as spectator,
        Frames(spectator.frames()) as watched,
    ):
        await stage.until(lambda: watched.has(3), 5, "frames of the broadcast")
        stage.facts["spectator_frames"] = watched.taken[:3]
        resource = _resource(stage, whep)
        if resource is not None:
            fragment = {"Content-Type": "application/trickle-ice-sdpfrag"}
            await stage.send("PATCH", resource, headers=fragment, content="x", is_authorized=False, case="bad-fragment")
            other = fragment | {"If-Match": '"odyssey-testkit"'}
            await stage.send("PATCH", resource, headers=other, content="x", is_authorized=False, case="if-match")
    if resource is not None:
        await stage.send("DELETE", resource, is_authorized=False, case="again")
    if info.hls_url is not None:
        remember_url(info.hls_url)
        stage.facts["hls_url_is_below"] = info.hls_url.startswith(f"{info.webrtc_url.rstrip('/')}/hls/index.m3u8?")
        await _playlist(stage, info.hls_url)


@dataclass(frozen=True, slots=True)
class Offer:
    """A request with an offer that the service refuses.

    Attributes:
        method: the method.
        headers: the headers.
        place: where the token is; a wrong token is in the query.
    """

    method: str = "POST"
    headers: Mapping[str, str] = MappingProxyType({})
    place: Literal["query", "header", "wrong"] = "query"


_ORIGIN = {"Origin": "https://odyssey-testkit.example"}
REFUSED_OFFERS: Mapping[str, Offer] = MappingProxyType(
    {
        "wrong-token": Offer(headers=_ORIGIN, place="wrong"),
        "bad-offer": Offer(),
        "bearer-token": Offer(place="header"),
        "content-type": Offer(headers={"Content-Type": "text/plain"}),
        "accept": Offer(headers={"Accept": "text/html"}),
        "method": Offer(method="PUT"),
    }
)
"""Offers without media. They show in which order and how the service refuses offers."""


async def _offer(stage: Stage, info: BroadcastInfo, case: str) -> None:
    """Send an offer without media, which is refused."""
    offer = REFUSED_OFFERS.get(case, Offer())
    whep = f"{info.webrtc_url.rstrip('/')}/whep"
    query = {"query": f"?token={info.spectator_token}", "header": "", "wrong": "?token=wrong-token"}[offer.place]
    headers = {"Content-Type": "application/sdp", **offer.headers}
    if offer.place == "header":
        headers["Authorization"] = f"Bearer {info.spectator_token}"
    url = f"{whep}{query}"
    await stage.send(offer.method, url, headers=headers, content="v=0\r\n", is_authorized=False, case=case)


def _resource(stage: Stage, whep: str) -> str | None:
    """Return the address of the spectator's resource, which the client has deleted."""
    for event in stage.recorder.snapshot().events:
        response = event.data.get("response")
        if event.lane == "http" and event.data.get("status") == 201 and isinstance(response, dict):
            headers = dict(cast("list[tuple[str, str]]", response["headers"]))
            if "location" in headers:
                return urljoin(whep, headers["location"])
    return None


_PLAYLIST_LIMIT_S = 6.0
"""Seconds to wait for the first entry of a playlist."""


async def _playlist(stage: Stage, url: str) -> None:
    deadline = stage.clock.monotonic() + _PLAYLIST_LIMIT_S
    while True:
        answer = await stage.send("GET", url, is_authorized=False)
        lines = answer.text.splitlines() if answer.status_code == 200 else []
        names = [line for line in lines if line and not line.startswith("#")]
        if names or stage.clock.monotonic() > deadline:
            break
        await stage.clock.sleep(0.5)
    if names:
        stage.facts["playlist"] = {
            "content_type": answer.headers.get("Content-Type", ""),
            "begins": lines[0],
            "version": next((line for line in lines if line.startswith("#EXT-X-VERSION:")), ""),
            "entries_have_token": all("?" in name for name in names),
        }
    await stage.send("GET", url.partition("?")[0], is_authorized=False, case="no-token")
    if names:
        part = urljoin(url, names[0])
        remember_url(part)
        segment = await stage.send("GET", part, is_authorized=False)
        if segment.is_success:
            stage.facts["segment"] = {"is_fragment": b"moof" in segment.content[:4096]}


async def _simulation(stage: Stage) -> None:
    """Create a job of one short script, create and cancel a second one, and wait for the end of the first."""
    async with stage.client() as client:
        script = Script().start("A paper boat on a pond").wait(SIMULATED_SECONDS).end()

        async def cancel(made: SimulationJob) -> None:
            await client.cancel_simulation(made.job_id)

        job = await stage.made(client.simulate(script=script, portrait=False), cancel)
        async with _cancelled_on_failure(stage, client, job.job_id):
            # A second job, which is cancelled at once, shows the order of lists and how a job is cancelled.
            second = await stage.made(client.simulate(script=script), cancel)
            async with _cancelled_on_failure(stage, client, second.job_id):
                with contextlib.suppress(OdysseySimulationError):  # it has ended; the exchange has the answer
                    await client.cancel_simulation(second.job_id)
            done = await client.wait_for_simulation(job.job_id, poll_interval=0.5, timeout=JOB_LIMIT_S)
        stage.shared.completed_job = job.job_id
        stage.shared.simulated_streams = [each.stream_id for each in done.streams]
        stage.facts["simulated_streams"] = [*stage.shared.simulated_streams]


@contextlib.asynccontextmanager
async def _cancelled_on_failure(stage: Stage, client: Odyssey, job_id: str) -> AsyncIterator[None]:
    """Cancel a job if the block fails or is cancelled: it must not cost anything then.

    Raises:
        StepError: the block failed, and the job could not be cancelled.
    """
    try:
        yield
    except BaseException as error:
        is_cancelled = await stage.uninterrupted(client.cancel_simulation(job_id))
        if isinstance(error, Exception) and not is_cancelled:
            raise StepError(f"{error}; the job {job_id} could not be cancelled") from error
        raise


async def _recordings(stage: Stage) -> None:
    """Read the recordings of the live stream and of the job, the beginning of their files, and the lists."""
    files: list[JSON] = []
    if (live := stage.shared.live_stream) is not None:
        files += await _files(stage, "live", await _recording(stage, live, RECORDING_LIMIT_S))
    for stream in stage.shared.simulated_streams:
        files += await _files(stage, "simulated", await _recording(stage, stream, 0))
    stage.facts["files"] = files
    await stage.send("GET", "/stream-recordings?limit=10")
    await stage.send("GET", "/stream-recordings?limit=1&offset=1")
    await stage.send("GET", "/simulation-jobs?limit=10")
    await stage.send("GET", "/simulation-jobs?limit=1&offset=1")
    await stage.send("GET", "/simulation-jobs?status=completed&limit=5")
    if stage.shared.completed_job is not None:
        await stage.send("DELETE", f"/simulation-jobs/{stage.shared.completed_job}")


async def _recording(stage: Stage, stream_id: str, seconds: float) -> Mapping[str, JSON]:
    """Return the fields of a recording, once it has a video or ``seconds`` have passed."""
    deadline = stage.clock.monotonic() + seconds
    while True:
        answer = await stage.send("GET", f"/recordings/{stream_id}")
        body = _json(answer)
        fields = body if isinstance(body, dict) and answer.status_code == 200 else {}
        for name in _FILES:
            remember_url(str(fields.get(name) or ""))
        if fields.get("video_url") is not None or stage.clock.monotonic() > deadline:
            return fields
        await stage.clock.sleep(2)


async def _files(stage: Stage, kind: str, recording: Mapping[str, JSON]) -> list[JSON]:
    """Return what the files of a recording are: status, type and the first bytes."""
    found: list[JSON] = []
    for name in _FILES:
        url = recording.get(name)
        if not isinstance(url, str):
            continue
        # The event log is short, and its lines are checked.
        part = {} if name == "events_url" else {"Range": f"bytes=0-{_HEAD_BYTES - 1}"}
        answer = await stage.send("GET", url, headers=part, is_authorized=False)
        changed = await stage.send("GET", _changed(url), is_authorized=False)
        found.append(
            {
                "stream": kind,
                "file": name.removesuffix("_url"),
                "status": answer.status_code,
                "content_type": answer.headers.get("Content-Type", ""),
                "head": answer.content[:_HEAD_BYTES].decode("latin-1"),
                "lines": [*(answer.text.splitlines()[:_LINES] if name == "events_url" else ())],
                "changed_signature": changed.status_code,
            }
        )
    return found


def _changed(url: str) -> str:
    """Return a signed URL with another last character, so that its signature is wrong."""
    return url[:-1] + ("0" if url[-1] != "0" else "1")


def _json(response: httpx.Response) -> JSON:
    try:
        value: JSON = response.json()
    except (ValueError, RecursionError):
        return None
    return value


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the program.

    Attributes:
        title: what the step does, for people.
        work: runs it.
        limit: its time limit in seconds.
        needs_session: whether it opens a session. It is skipped once no session could be opened.
        stream_seconds: the duration of its stream, at most.
        simulated_seconds: the duration of the video of its job.
    """

    title: str
    work: Work
    limit: float
    needs_session: bool = False
    stream_seconds: float = 0.0
    simulated_seconds: float = 0.0


STEPS: Mapping[str, Step] = MappingProxyType(
    {
        "authentication": Step("keys and tokens", _authentication, 60),
        "rest": Step("regions, lists and errors", _rest, 60),
        "live": Step(
            "a live stream with two interactions",
            _live,
            90,
            needs_session=True,
            stream_seconds=LIVE_STREAM_LIMIT_S,
        ),
        "credentials": Step("a session for a client without the key", _credentials, 90, needs_session=True),
        "broadcast": Step(
            "a broadcast with a spectator", _broadcast, 90, needs_session=True, stream_seconds=BROADCAST_LIMIT_S
        ),
        "simulation": Step("a simulation job", _simulation, JOB_LIMIT_S + 20, simulated_seconds=SIMULATED_SECONDS),
        "recordings": Step("recordings and their files", _recordings, 90),
    }
)
"""The steps, in the order in which they run. `simulation` runs beside the others, before `recordings`."""


def cost(names: Iterable[str]) -> str:
    """Return what some steps cost, for the person who is asked."""
    steps = [STEPS[name] for name in STEPS if name in names]
    sessions = sum(1 for step in steps if step.needs_session)
    streams = sum(step.stream_seconds for step in steps)
    simulated = sum(step.simulated_seconds for step in steps)
    parts = [
        f"{sessions} session{'s, one after the other' if sessions > 1 else ''}" if sessions else "no session",
        f"at most {streams:g} s of streams (usually less than half of it)" if streams else "no stream",
        f"a simulation job of {simulated:g} s, and one that is cancelled at once" if simulated else "no simulation job",
    ]
    if STEPS["rest"] in steps:
        parts.append("a job with an invalid script, which is cancelled at once, if the service accepts one")
    return "; ".join(parts)
