"""A network of clients that counts the seconds of their streams and simulations, and ends what exceeds the budget.

`Meter.wrap` wraps the network of each client, so that also clients are counted that the code under test creates. It
passes on everything unchanged. Only clients of the service count: a test may also use a mock of its own.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast, override
from urllib.parse import urlsplit

import httpx

from odyssey_client.connection.messages import ClientDisconnecting, encode
from odyssey_client.errors import PeerError
from odyssey_client.event_loop import in_thread
from odyssey_client.platform import ClientPeer, Clock, Network, PeerListener, SpectatorPeer
from odyssey_client.system import SystemClock
from odyssey_mock.testing.live.budget import StreamBudget
from odyssey_mock.testing.live.stream_machine import COUNTED, StreamSign, WatchedStream, next_state

if TYPE_CHECKING:
    from av import VideoFrame
    from websockets.asyncio.client import ClientConnection

CHECK_S = 0.5
"""Maximum seconds between two checks of the budget while a stream runs.

Other streams and simulations may use up the budget meanwhile. A check costs microseconds.
"""
END_LIMIT_S = 3.0
"""Maximum seconds to end a session. The service needs one round trip."""
_HEAD = 100
"""Number of characters of a message that the client sends in which its type is found. Images follow later."""
_START = '"type":"interactive_stream_start"'
_GOODBYE = '"type":"client_disconnecting"'
_SIGNS = {
    "stream_started": StreamSign.STARTED,
    "stream_ended": StreamSign.ENDED,
    "interactive_stream_error": StreamSign.REFUSED,
}
"""What the messages of the streamer say about a stream."""
_JOBS = "/simulation-jobs"
_TOKEN = "/auth/token"  # noqa: S105 - a path


class Meter:
    """Wraps the networks of all clients of this process, and knows their open connections to the service.

    Attributes:
        budget: the budget of this process.
        check_s: maximum seconds between two checks of the budget while a stream runs.
    """

    def __init__(self, budget: StreamBudget, service: str | None = None, *, check_s: float = CHECK_S) -> None:
        """Create a meter for clients of the service with the base URL ``service``, which may be set later."""
        self.budget = budget
        self.check_s = check_s
        self._token_url: httpx.URL | None = None
        if service is not None:
            self.set_service(service)
        self._open: set[MeteredNetwork] = set()
        self._ending: set[asyncio.Task[None]] = set()
        """The ends of sessions that are not complete."""

    def set_service(self, url: str) -> None:
        """Set the base URL of the service. Clients of other services do not count from their next token on."""
        self._token_url = httpx.URL(f"{url}{_TOKEN}")

    def is_of_service(self, token_url: httpx.URL) -> bool:
        """Return whether clients of the service get their access tokens at ``token_url``."""
        return self._token_url is None or token_url == self._token_url

    def wrap(self, network: Network) -> "MeteredNetwork":
        """Return the network of a client, wrapped."""
        return MeteredNetwork(network, self)

    @property
    def connections(self) -> "frozenset[MeteredNetwork]":
        """The networks of clients with an open session."""
        return frozenset(self._open)

    def opened(self, network: "MeteredNetwork", *, is_open: bool) -> None:
        """Note that a client has opened, or closed, the signaling socket of its session."""
        if is_open:
            self._open.add(network)
        else:
            self._open.discard(network)

    def end_overdue(self) -> None:
        """End all streams if nothing of the budget is left."""
        for stream in self.budget.overdue():
            cast("MeteredNetwork", stream).end_soon()

    async def end_here(self, connections: "Iterable[MeteredNetwork]") -> None:
        """End the sessions of those ``connections`` that belong to the running event loop, and wait for other ends."""
        loop = asyncio.get_running_loop()
        for each in connections:
            if each.loop is loop:
                self.spawn(each.end_session())
        if ending := [task for task in tuple(self._ending) if task.get_loop() is loop]:  # other threads change the set
            await asyncio.wait(ending)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:  # Any: what a coroutine yields to its loop
        """Start the end of a session in the running event loop."""
        task = asyncio.get_running_loop().create_task(work, name="odyssey live budget")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def end(self, connections: "Iterable[MeteredNetwork]") -> None:
        """End the sessions of ``connections`` in their event loops. Those of loops that do not run end with them."""
        ending = [future for each in connections if (future := each.end_outside()) is not None]
        for each in ending:
            with suppress(TimeoutError, CancelledError):  # the session then ends by a limit of the service
                each.result(END_LIMIT_S + 1)


class MeteredNetwork:
    """The network of one client.

    Attributes:
        loop: the event loop of the client's latest connection; None before the first.
    """

    def __init__(self, network: Network, meter: Meter) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._network = network
        self._meter = meter
        self._counts = True
        """Whether the client is one of the service. It is unknown, and taken to be one, before the first request."""
        self._state = WatchedStream.NONE
        self._cut_at: float | None = None
        self._sockets: dict[ClientConnection, str] = {}
        """The open signaling sockets with their paths, which contain the ids of the sessions.

        The first is that of the live connection. A client opens another one to end a session of other credentials.
        """
        self._stream_session: str | None = None
        """The session of the latest stream."""
        self._timer: asyncio.TimerHandle | None = None

    def http_transport(self) -> httpx.AsyncBaseTransport:
        return _Transport(self._network.http_transport(), self, self._meter.budget)

    def websocket(self, url: str) -> AbstractAsyncContextManager["ClientConnection"]:
        return _Opening(self._network.websocket(url), urlsplit(url).path, self)

    def ice_addresses(self) -> list[str] | None:
        return self._network.ice_addresses()

    def peer(self, clock: Clock, listener: PeerListener) -> ClientPeer:
        def message(data: str | bytes) -> None:
            if (sign := _sign_of(data)) is not None:
                self.seen(sign)
            listener.message(data)

        def channel_opened() -> None:
            is_same = self._session() == self._stream_session
            self.seen(StreamSign.CONNECTED if is_same else StreamSign.CONNECTED_ANEW)
            listener.channel_opened()

        def lost(error: PeerError) -> None:
            self.seen(StreamSign.DISCONNECTED)
            listener.lost(error)

        watched = replace(listener, message=message, channel_opened=channel_opened, lost=lost)
        return cast("ClientPeer", _Peer(self._network.peer(clock, watched), self))

    def spectator_peer(
        self,
        clock: Clock,
        *,
        connected: Callable[[], None],
        ended: Callable[[], None],
        frame: Callable[["VideoFrame"], None],
        lost: Callable[[PeerError], None],
    ) -> SpectatorPeer:
        return self._network.spectator_peer(clock, connected=connected, ended=ended, frame=frame, lost=lost)

    # What the wrapped transports, sockets and peers report.

    @property
    def counts(self) -> bool:
        """Whether the client is one of the service."""
        return self._counts

    def asked_for_token(self, url: httpx.URL) -> None:
        """Note from which service the client gets its access token."""
        self._counts = self._meter.is_of_service(url)

    def may_start(self) -> None:
        """Deny the start of a stream if nothing of the budget is left."""
        if self._counts:
            self._meter.budget.require_left()

    def opened(self, socket: "ClientConnection", session: str) -> None:
        """Note an open signaling socket of a session."""
        self.loop = asyncio.get_running_loop()
        self._sockets[socket] = session
        if self._counts:
            self._meter.opened(self, is_open=True)

    def closed(self, socket: "ClientConnection") -> None:
        """Note that a signaling socket is closed."""
        self._sockets.pop(socket, None)
        if not self._sockets:
            self._meter.opened(self, is_open=False)

    def said_goodbye(self, socket: "ClientConnection") -> None:
        """Note that the client has ended the session of a signaling socket."""
        if socket is next(iter(self._sockets), None):
            self.seen(StreamSign.DISCONNECTED)

    def seen(self, sign: StreamSign) -> None:
        """Note what was seen of the stream, and count it."""
        before, self._state = self._state, next_state(self._state, sign)
        was_counted, is_counted = before in COUNTED, self._state in COUNTED
        if was_counted == is_counted or not self._counts:
            return
        if is_counted:
            self._stream_session = self._session()
            # A stream that the service has kept while the connection was lost has also continued.
            since = self._cut_at if before is WatchedStream.CUT else None
            self._set_timer(self._meter.budget.begin(self, at=since))
        else:
            self._cut_at = self._meter.budget.end(self)
            if self._timer is not None:
                self._timer.cancel()

    # Ends of the session.

    def end_soon(self) -> None:
        """End the session in the event loop of the client, without waiting for it. May be called from any thread."""
        if self.loop is not None:
            with suppress(RuntimeError):  # the loop is closed, and with it the session
                self.loop.call_soon_threadsafe(lambda: self._meter.spawn(self.end_session()))

    def end_outside(self) -> Future[None] | None:
        """End the session in the event loop of the client. Return the future of the end; None if the loop is idle."""
        if self.loop is None or not self.loop.is_running():
            self.end_soon()
            return None
        return asyncio.run_coroutine_threadsafe(self.end_session(), self.loop)

    async def end_session(self) -> None:
        """End the session as a client does, which also ends its stream. The client sees that the session has ended."""
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415 - slow to import

        for socket in tuple(self._sockets):
            with suppress(ConnectionClosed, TimeoutError):
                async with SystemClock().timeout(END_LIMIT_S):
                    await socket.send(encode(ClientDisconnecting()))
                    await socket.close(1000)
        self.seen(StreamSign.DISCONNECTED)

    def _session(self) -> str | None:
        return next(iter(self._sockets.values()), None)

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(min(seconds, self._meter.check_s), self._check)

    def _check(self) -> None:
        self._meter.end_overdue()
        # Other streams and simulations change how much is left for this stream.
        if self._state in COUNTED and (seconds := self._meter.budget.seconds_until_used_up()) > 0:
            self._set_timer(seconds)


class _Transport(httpx.AsyncBaseTransport):
    """The HTTP transport of a client. It counts the simulations that the client creates."""

    def __init__(self, transport: httpx.AsyncBaseTransport, network: MeteredNetwork, budget: StreamBudget) -> None:
        self._transport = transport
        self._network = network
        self._budget = budget

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(_TOKEN):
            self._network.asked_for_token(request.url)
        is_job = request.method == "POST" and request.url.path.endswith(_JOBS)
        if not is_job or not self._network.counts:
            return await self._transport.handle_async_request(request)
        seconds = await in_thread(lambda: seconds_of_job(request.content))
        self._budget.take(seconds)
        # If the response is lost, the service may have created the job.
        response = await self._transport.handle_async_request(request)
        if not response.is_success:
            self._budget.give_back(seconds)
        return response

    @override
    async def aclose(self) -> None:
        await self._transport.aclose()


class _Opening:
    """The context manager of a signaling socket."""

    def __init__(
        self, opening: AbstractAsyncContextManager["ClientConnection"], session: str, network: MeteredNetwork
    ) -> None:
        self._opening = opening
        self._session = session
        self._network = network
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> "ClientConnection":
        socket = self._socket = await self._opening.__aenter__()
        self._network.opened(socket, self._session)
        return cast("ClientConnection", _Socket(socket, self._network))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return await self._opening.__aexit__(kind, error, traceback)
        finally:
            if self._socket is not None:
                self._network.closed(self._socket)


class _Socket:
    """A signaling socket. A start message with an image is sent on it."""

    def __init__(self, socket: "ClientConnection", network: MeteredNetwork) -> None:
        self._socket = socket
        self._network = network

    async def send(self, message: str) -> None:
        is_start = _START in message[:_HEAD]
        if is_start:
            self._network.may_start()
        await self._socket.send(message)
        if is_start:
            self._network.seen(StreamSign.ASKED)
        elif _GOODBYE in message[:_HEAD]:
            self._network.said_goodbye(self._socket)

    def __getattr__(self, name: str) -> Any:  # Any: the attributes of `ClientConnection`
        return getattr(self._socket, name)


class _Peer:
    """The peer of a live connection."""

    def __init__(self, peer: ClientPeer, network: MeteredNetwork) -> None:
        self._peer = peer
        self._network = network

    async def __aenter__(self) -> Self:
        await self._peer.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._network.seen(StreamSign.DISCONNECTED)
        await self._peer.__aexit__(kind, error, traceback)

    def send(self, text: str) -> bool:
        is_start = _START in text[:_HEAD]
        if is_start:
            self._network.may_start()
        is_sent = self._peer.send(text)
        if is_start and is_sent:
            self._network.seen(StreamSign.ASKED)
        return is_sent

    def __getattr__(self, name: str) -> Any:  # Any: the other methods of `ClientPeer`
        return getattr(self._peer, name)


def seconds_of_job(body: bytes) -> float:
    """Return the length of the videos of a simulation job in seconds, from the body of its request.

    A script without a known end, such as one that the service fetches from a URL, counts as 0.
    """
    try:
        job: object = json.loads(body)
    except ValueError:
        return 0.0
    if not isinstance(job, dict):
        return 0.0
    scripts: object = job.get("scripts", [job.get("script")])
    return sum(map(_seconds_of_script, scripts)) if isinstance(scripts, list) else 0.0


def _seconds_of_script(script: object) -> float:
    last = script[-1] if isinstance(script, list) and script else None
    if not isinstance(last, dict) or "end" not in last:
        return 0.0
    at = last.get("timestamp_ms")
    return at / 1000 if isinstance(at, int | float) and at > 0 else 0.0


def _sign_of(data: str | bytes) -> StreamSign | None:
    if isinstance(data, bytes) or not any(name in data for name in _SIGNS):
        return None
    try:
        message: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    kind = message.get("type") if isinstance(message, dict) else None
    return _SIGNS.get(kind) if isinstance(kind, str) else None
