"""What a step of the program works with: clients, requests and frames, all of which are recorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import httpx

from odyssey_client import Odyssey
from odyssey_client.config import AdvancedConfig
from odyssey_client.platform import ClientPeer, Clock, Network, PeerListener, Platform
from odyssey_client.redaction import without_query
from odyssey_client.rest.transport import no_answer, unreachable
from odyssey_client.trace.client_trace import ClientTrace
from odyssey_client.trace.http_exchanges import RecordingTransport
from odyssey_client.trace.network import RecordingNetwork, record_message
from odyssey_client.trace.recorder import Recorder
from odyssey_mock.verification.observations import CASE_HEADER

if TYPE_CHECKING:
    from odyssey_client.media.frames import FrameReader
    from odyssey_client.models import JSON

REQUEST_LIMIT_S = 15.0
"""Time limit of one request that a step sends itself."""
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
    """

    api_key: str = field(repr=False)
    api_url: str
    token: str = field(default="", repr=False)
    live_stream: str | None = None
    completed_job: str | None = None
    simulated_streams: Sequence[str] = ()


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

    def client(self, tapped: TappedNetwork | None = None) -> Odyssey:
        """Return a client with the API key."""
        clock, entropy, network = self.platform._replace(network=cast("Network", tapped or self.platform.network))
        return Odyssey(
            self.shared.api_key,
            api_url=self.shared.api_url,
            advanced=_SETTINGS,
            clock=clock,
            entropy=entropy,
            network=network,
            trace=self.recorder,
        )

    def keyless_client(self, tapped: TappedNetwork) -> Odyssey:
        """Return a client without a key, for `connect_with_credentials`."""
        clock, entropy, network = self.platform._replace(network=cast("Network", tapped))
        return Odyssey.keyless(
            api_url=self.shared.api_url,
            advanced=_SETTINGS,
            clock=clock,
            entropy=entropy,
            network=network,
            trace=self.recorder,
        )

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
    ) -> httpx.Response:
        """Send a request; return the response with its body. A path is relative to the URL of the service.

        ``case`` names the request for the checks, in the header `CASE_HEADER`.

        Raises:
            ServiceUnreachableError: there was no response.
        """
        if self._wire is None:
            self._wire = RecordingTransport(self.platform.network.http_transport(), self._trace)
        url = f"{self.shared.api_url}{url}" if url.startswith("/") else url
        given = {"Accept-Encoding": "identity", **(headers or {})}
        if case:
            given[CASE_HEADER] = case
        if is_authorized and url.startswith(self.shared.api_url):
            given["Authorization"] = f"Bearer {self.shared.token}"
        try:
            async with self.clock.timeout(REQUEST_LIMIT_S):
                request = httpx.Request(method, url, json=json, content=content, headers=given)
                response = await self._wire.handle_async_request(request)
                try:
                    await response.aread()
                finally:
                    await response.aclose()
        except TimeoutError:
            raise StepError(
                f"{method} {without_query(url)} got no complete answer within {REQUEST_LIMIT_S:g} s"
            ) from None
        except no_answer() as error:
            failure = unreachable(method, url, error)
        else:
            return response
        raise failure

    async def say(self, tapped: TappedNetwork, message: dict[str, JSON], seconds: float) -> JSON:
        """Send a message that no client sends; return the next message of the service, or None after ``seconds``."""
        text, count = json.dumps(message), len(tapped.received)
        record_message(self._trace, "channel", text, "client", channel="clientToStreamer")
        if not tapped.send(text):
            raise StepError(f"the message {text} could not be sent: the data channel is closed")
        deadline = self.clock.monotonic() + seconds
        while len(tapped.received) == count and self.clock.monotonic() < deadline:
            await self.clock.sleep(_POLL_S)
        if len(tapped.received) == count:
            return None
        try:
            reply: JSON = json.loads(tapped.received[count])
        except ValueError:
            return "a message that is not JSON"
        return reply

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
    except TimeoutError:
        raise StepError(f"{what} was not done within {seconds:g} s") from None


class Frames:
    """Reads frames in a task while the block runs.

    Attributes:
        taken: width, height and presentation time in milliseconds of each frame.
    """

    def __init__(self, frames: FrameReader) -> None:
        self.taken: list[JSON] = []
        self._frames = frames
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self.taken)

    async def __aenter__(self) -> Frames:
        self._task = asyncio.create_task(self._read(), name="odyssey verify frames")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _read(self) -> None:
        async for frame in self._frames:
            self.taken.append([frame.width, frame.height, round(frame.timestamp_ms, 3)])
