"""What a step of the program works with: clients, requests and frames, all of which are recorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import httpx

from odyssey_client import Odyssey
from odyssey_client.config import AdvancedConfig
from odyssey_client.errors import ConcurrentLimitReachedError, OdysseyError, QueueTimeoutError, RateLimitError
from odyssey_client.event_loop import ended
from odyssey_client.platform import ClientPeer, Clock, Network, PeerListener, Platform
from odyssey_client.redaction import without_query
from odyssey_client.rest.transport import no_answer, unreachable
from odyssey_client.trace.client_trace import ClientTrace
from odyssey_client.trace.http_exchanges import RecordingTransport
from odyssey_client.trace.network import RecordingNetwork, record_message
from odyssey_client.trace.recorder import Recorder
from odyssey_client.version import client_version
from odyssey_mock.verification.observations import CASE_HEADER

if TYPE_CHECKING:
    from odyssey_client.media.frames import VideoFrame
    from odyssey_client.models import JSON

REQUEST_LIMIT_S = 15.0
"""Time limit of one request that a step sends itself."""
BODY_LIMIT = 8 << 20
"""Largest body of a response that a step reads, in bytes. Segments and lists take less."""
CREATION_LIMIT_S = 5.0
"""Seconds to wait for a session or a job that was requested before Ctrl-C, so that it can be ended."""
CLEANUP_LIMIT_S = 15.0
"""Seconds that the end of a session or a job may take, also after a second Ctrl-C."""
SESSION_WAIT_S, LONGEST_WAIT_S = 10.0, 30.0
"""Seconds to wait for another session: after one of this run, which the service may still count, and at most."""
_POLL_S = 0.02
"""Seconds between two looks at a condition."""
_SETTINGS = AdvancedConfig(reconnect="off", queue_timeout_s=30.0, operation_timeout_s=20.0, request_max_retries=1)
"""Settings of the clients. They do not reconnect, because a lost connection is an observation."""


class CannotVerifyError(Exception):
    """The program cannot run against the service. The message says why, and what to do."""


class StepError(Exception):
    """A step cannot continue. The message says why."""


class TappedNetwork:
    """A network that gives access to the data channels of a client, for messages that the client does not send.

    Attributes:
        received: the texts that have arrived on `streamerToClient`.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._peer: ClientPeer | None = None
        self.received: list[str | bytes] = []

    def peer(self, clock: Clock, listener: PeerListener) -> ClientPeer:
        def message(data: str | bytes) -> None:
            self.received.append(data)
            listener.message(data)

        self._peer = self._network.peer(clock, replace(listener, message=message))
        return self._peer

    def send(self, text: str) -> bool:
        """Send a text on `clientToStreamer`; return whether it was sent."""
        return self._peer is not None and self._peer.send(text)

    def __getattr__(self, name: str) -> Any:  # Any: the other attributes of `Network`
        return getattr(self._network, name)


@dataclass(slots=True, kw_only=True)
class Shared:
    """The values that steps pass on to later ones.

    Attributes:
        api_key: the API key.
        api_url: the URL of the service, without a slash at its end.
        token: the access token of requests that steps send themselves.
        live_stream: id of the stream of the step `live`; None before it.
        completed_job: id of the job, once it is completed.
        simulated_streams: ids of the streams of this job.
        has_opened_session: whether this run has opened a session.
    """

    api_key: str = field(repr=False)
    api_url: str
    token: str = field(default="", repr=False)
    live_stream: str | None = None
    completed_job: str | None = None
    simulated_streams: Sequence[str] = ()
    has_opened_session: bool = False


class Stage:
    """What one step works with: clients and requests, which are recorded.

    Attributes:
        shared: the values that steps pass on.
        platform: clock, entropy and network, which do not record.
        clock: the clock.
        recorder: has the recorded events.
        facts: what the step notes for the checks.
    """

    def __init__(self, shared: Shared, platform: Platform, recorder: Recorder) -> None:
        self.shared = shared
        self.platform = platform
        self.clock = platform.clock
        self.recorder = recorder
        self.facts: dict[str, JSON] = {}
        self._wire: httpx.AsyncBaseTransport | None = None

    @cached_property
    def network(self) -> RecordingNetwork:
        """The network, which records."""
        return RecordingNetwork(self.platform.network, self._trace)

    @cached_property
    def _trace(self) -> ClientTrace:
        # Clients are numbered in the order in which they are created: the first one of a step has its name.
        return ClientTrace(self.recorder)

    @contextlib.asynccontextmanager
    async def client(self, tapped: TappedNetwork | None = None) -> AsyncIterator[Odyssey]:
        """Open a client with the API key. A second cancellation does not stop its end, which ends its session."""
        clock, entropy, network = self.platform._replace(network=cast("Network", tapped or self.platform.network))
        client = Odyssey(
            self.shared.api_key,
            api_url=self.shared.api_url,
            advanced=_SETTINGS,
            clock=clock,
            entropy=entropy,
            network=network,
            trace=self.recorder,
        )
        async with self._closing(client):
            yield client

    @contextlib.asynccontextmanager
    async def keyless_client(self, tapped: TappedNetwork) -> AsyncIterator[Odyssey]:
        """Open a client without a key, for `connect_with_credentials`. It ends as `client` does."""
        clock, entropy, network = self.platform._replace(network=cast("Network", tapped))
        client = Odyssey.keyless(
            api_url=self.shared.api_url,
            advanced=_SETTINGS,
            clock=clock,
            entropy=entropy,
            network=network,
            trace=self.recorder,
        )
        async with self._closing(client):
            yield client

    @contextlib.asynccontextmanager
    async def _closing(self, client: Odyssey) -> AsyncIterator[None]:
        async with client:
            try:
                yield
            finally:
                await self.uninterrupted(client.disconnect())

    async def granted[T](self, opening: Callable[[], Coroutine[object, object, T]]) -> T:
        """Open a session, and try once more if the service may grant it after a while. Nothing else is repeated.

        Raises:
            OdysseyError: the session was refused.
        """
        try:
            opened = await opening()
        except (QueueTimeoutError, ConcurrentLimitReachedError, RateLimitError) as error:
            wait = _wait_after(error, has_opened_session=self.shared.has_opened_session)
            if wait is None:
                raise
            await self.clock.sleep(wait)
            opened = await opening()
        self.shared.has_opened_session = True
        return opened

    async def uninterrupted(self, cleanup: Coroutine[object, object, object]) -> bool:
        """Await a cleanup, which no cancellation stops; return whether it succeeded within `CLEANUP_LIMIT_S`.

        Raises:
            CancelledError: the caller was cancelled meanwhile.
        """

        async def work() -> None:
            async with self.clock.timeout(CLEANUP_LIMIT_S):
                await cleanup

        task = asyncio.create_task(work(), name="odyssey verify cleanup")
        is_caller_cancelled = await ended(task)
        has_failed = task.cancelled() or task.exception() is not None
        if is_caller_cancelled:
            raise asyncio.CancelledError
        return not has_failed

    async def made[T](
        self, making: Coroutine[object, object, T], undo: Callable[[T], Coroutine[object, object, object]]
    ) -> T:
        """Await the creation of something that costs; if this is cancelled, let the creation end, and undo it."""
        task = asyncio.create_task(making, name="odyssey verify creation")
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await self.uninterrupted(self._undone(task, undo))
            raise

    async def _undone[T](self, task: asyncio.Task[T], undo: Callable[[T], Coroutine[object, object, object]]) -> None:
        try:
            async with self.clock.timeout(CREATION_LIMIT_S):
                await asyncio.wait([task])
        except TimeoutError:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            await undo(task.result())

    async def send(
        self,
        method: str,
        url: str,
        *,
        json: JSON = None,
        headers: Mapping[str, str] | None = None,
        content: str | None = None,
        is_authorized: bool = True,
        case: str = "",
        limit: float = REQUEST_LIMIT_S,
    ) -> httpx.Response:
        """Send a request; return the response with its body. A path is relative to the URL of the service.

        ``case`` names the request for the checks, in the header `CASE_HEADER`.

        Raises:
            ServiceUnreachableError: there was no response.
            StepError: there was no complete response within ``limit`` seconds, or its body is above `BODY_LIMIT`.
        """
        if self._wire is None:
            self._wire = RecordingTransport(self.platform.network.http_transport(), self._trace)
        url = f"{self.shared.api_url}{url}" if url.startswith("/") else url
        # A firewall in front of the service may answer other programs in another way.
        given = {
            "User-Agent": f"odyssey-testkit/{client_version()}",
            "Accept": "application/json" if is_authorized else "*/*",
            "Accept-Encoding": "identity",
            **(headers or {}),
        }
        if case:
            given[CASE_HEADER] = case
        if is_authorized and url.startswith(self.shared.api_url):
            given["Authorization"] = f"Bearer {self.shared.token}"
        try:
            async with self.clock.timeout(limit):
                request = httpx.Request(method, url, json=json, content=content, headers=given)
                response = await self._wire.handle_async_request(request)
                try:
                    body = await _body(response, method, url)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise StepError(f"{method} {without_query(url)} got no complete answer within {limit:g} s") from None
        except no_answer() as error:
            failure = unreachable(method, url, error)
        else:
            # Without the encoding: the step asks for none, and would read any number of bytes.
            kept = [each for each in response.headers.multi_items() if each[0].lower() != "content-encoding"]
            return httpx.Response(response.status_code, headers=kept, content=body, request=request)
        raise failure

    async def say(
        self, tapped: TappedNetwork, message: dict[str, JSON], seconds: float, types: Collection[str]
    ) -> JSON:
        """Send a message that no client sends; return the next message of some types, or None after ``seconds``.

        Messages of other types are no reply. The checks look at them too.
        """
        text, count = json.dumps(message), len(tapped.received)
        record_message(self._trace, "channel", text, "client", channel="clientToStreamer")
        if not tapped.send(text):
            raise StepError(f"the message {text} could not be sent: the data channel is closed")
        deadline = self.clock.monotonic() + seconds
        while True:
            while count < len(tapped.received):
                reply = _parsed(tapped.received[count])
                if isinstance(reply, dict) and reply.get("type") in types:
                    return reply
                count += 1
            if self.clock.monotonic() > deadline:
                return None
            await self.clock.sleep(_POLL_S)

    async def until(self, met: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until a condition is met.

        Raises:
            StepError: it was not met in time.
        """
        deadline = self.clock.monotonic() + seconds
        while not met():
            if self.clock.monotonic() > deadline:
                raise StepError(f"expected {what} within {seconds:g} s, got none")
            await self.clock.sleep(_POLL_S)

    async def aclose(self) -> None:
        """Close the connections of requests that the step has sent itself."""
        if self._wire is not None:
            await self._wire.aclose()


@contextlib.asynccontextmanager
async def limited(stage: Stage, seconds: float, what: str) -> AsyncIterator[None]:
    """Limit the time of the block.

    Raises:
        StepError: the block took longer.
    """
    try:
        async with stage.clock.timeout(seconds):
            yield
    except OdysseyError:  # some are a `TimeoutError`, of a limit of the client
        raise
    except TimeoutError:
        raise StepError(f"{what} was not done within {seconds:g} s") from None


def _wait_after(error: OdysseyError, *, has_opened_session: bool) -> float | None:
    """Return the seconds to wait after a refused session; None if there is no reason to try again."""
    asked = error.retry_after_seconds if isinstance(error, RateLimitError) else None
    if asked is not None:
        return asked if asked <= LONGEST_WAIT_S else None
    return SESSION_WAIT_S if has_opened_session else None


async def _body(response: httpx.Response, method: str, url: str) -> bytes:
    """Read the body of a response."""
    if response.is_stream_consumed:  # a transport that keeps whole responses in memory
        return response.content
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > BODY_LIMIT:
            raise StepError(f"{method} {without_query(url)}: expected a body of at most {BODY_LIMIT} bytes, got more")
    return bytes(content)


def _parsed(text: str | bytes) -> JSON:
    try:
        value: JSON = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


class Frames:
    """Reads frames in a task while the block runs.

    Attributes:
        taken: width, height and presentation time in milliseconds of each frame.
    """

    def __init__(self, frames: AsyncIterable[VideoFrame]) -> None:
        self.taken: list[JSON] = []
        self._frames = frames
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self.taken)

    def has(self, count: int) -> bool:
        """Return whether there are some frames.

        Raises:
            StepError: there are fewer, and no more will come.
        """
        if len(self) >= count:
            return True
        if self._task is not None and self._task.done():
            error = None if self._task.cancelled() else self._task.exception()
            because = "" if error is None else f": {error}"
            raise StepError(f"the video ended after {len(self)} frames, expected {count}{because}")
        return False

    async def __aenter__(self) -> Frames:
        self._task = asyncio.create_task(self._read(), name="odyssey verify frames")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.exception()  # retrieved: a lost connection ends the reader, and the client raises it too

    async def _read(self) -> None:
        async for frame in self._frames:
            self.taken.append([frame.width, frame.height, round(frame.timestamp_ms, 3)])
