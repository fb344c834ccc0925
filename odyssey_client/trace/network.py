"""A network that records what passes through it: HTTP exchanges, messages, descriptions, candidates, peers and frames.

`RecordingNetwork` wraps any `Network`, so the code that uses the network does not change. It passes on everything
unchanged and at once. A message is recorded before the code that receives it runs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from odyssey_client.errors import PeerError
from odyssey_client.models import JSON
from odyssey_client.platform import ClientPeer, Clock, IceServer, Network, Peer, PeerListener, SpectatorPeer
from odyssey_client.trace.client_trace import ClientTrace, Target, client_trace, harmless
from odyssey_client.trace.described import LONGEST_TEXT, error_text
from odyssey_client.trace.thumbnails import FrameSampler

if TYPE_CHECKING:  # as in platform.py
    import httpx
    from av import VideoFrame
    from websockets.asyncio.client import ClientConnection

STATS_INTERVAL_S = 0.5
"""Seconds between two samples of the statistics of a peer."""
_REPORT_BYTES = 300
"""Approximate size of one dictionary of the statistics as JSON."""
_LONGEST_FIELD = 2_000
"""Number of characters that are kept of a field in a message that is longer than `LONGEST_TEXT`."""

type Sender = Literal["client", "server"]


class RecordingNetwork:
    """A `Network` that records the traffic of one client."""

    def __init__(self, network: Network, trace: ClientTrace) -> None:
        self._network = network
        self._trace = trace

    def http_transport(self) -> httpx.AsyncBaseTransport:
        from odyssey_client.trace.http_exchanges import RecordingTransport  # noqa: PLC0415 - httpx is slow to import

        return RecordingTransport(self._network.http_transport(), self._trace)

    def websocket(self, url: str) -> AbstractAsyncContextManager[ClientConnection]:
        return _Opening(self._network.websocket(url), url, self._trace)

    def ice_addresses(self) -> list[str] | None:
        return self._network.ice_addresses()

    def peer(self, clock: Clock, listener: PeerListener) -> ClientPeer:
        trace, sampler = self._trace, FrameSampler(self._trace)

        def message(data: str | bytes) -> None:
            record_message(trace, "channel", data, "server", channel="streamerToClient")
            if _kind(data) == "update_acknowledged":
                sampler.take_next("interact")
            listener.message(data)

        def lost(error: PeerError) -> None:
            trace.add("peer", "lost", {"transport": "connection", "state": "lost"}, error=error_text(error))
            listener.lost(error)

        recording = PeerListener(
            video_added=listener.video_added,
            channel_opened=listener.channel_opened,
            frame=sampler.before(listener.frame),
            message=message,
            lost=lost,
        )
        return RecordingClientPeer(self._network.peer(clock, recording), trace, sampler)

    def spectator_peer(
        self,
        clock: Clock,
        *,
        connected: Callable[[], None],
        ended: Callable[[], None],
        frame: Callable[[VideoFrame], None],
        lost: Callable[[PeerError], None],
    ) -> SpectatorPeer:
        trace, sampler = self._trace, FrameSampler(self._trace)

        def ended_by_service() -> None:
            trace.add("peer", "ended by the service", {"transport": "connection", "state": "closed"})
            ended()

        def lost_connection(error: PeerError) -> None:
            trace.add("peer", "lost", {"transport": "connection", "state": "lost"}, error=error_text(error))
            lost(error)

        peer = self._network.spectator_peer(
            clock, connected=connected, ended=ended_by_service, frame=sampler.before(frame), lost=lost_connection
        )
        return RecordingSpectatorPeer(peer, trace, sampler)


def recording(
    target: Target, clock: Clock, network: Network, title: str, *, is_virtual: bool
) -> tuple[ClientTrace, Network]:
    """Return the record of a new client, and ``network`` wrapped; the arguments are those of `client_trace`.

    Raises:
        OdysseyConfigError: ``target`` is neither a path nor a recorder.
    """
    trace = client_trace(target, clock, title, is_virtual=is_virtual)
    return trace, RecordingNetwork(network, trace)


class _Opening:
    """The context manager of a socket that is recorded."""

    def __init__(self, opening: AbstractAsyncContextManager[ClientConnection], url: str, trace: ClientTrace) -> None:
        self._opening = opening
        self._url = url
        self._trace = trace
        self._socket: _Socket | None = None

    async def __aenter__(self) -> ClientConnection:
        self._trace.add("signaling", "opening", {"url": self._url}, sender="client")
        try:
            socket = await self._opening.__aenter__()
        except BaseException as error:
            self._trace.add("signaling", "not opened", {"url": self._url}, error=error_text(error))
            raise
        self._trace.add("signaling", "open", {"url": self._url}, sender="server")
        self._socket = _Socket(socket, self._trace)
        return cast("ClientConnection", self._socket)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return await self._opening.__aexit__(kind, error, traceback)
        finally:
            if self._socket is not None:
                self._socket.record_end()


class _Socket:
    """A `ClientConnection` whose messages are recorded."""

    def __init__(self, socket: ClientConnection, trace: ClientTrace) -> None:
        self._socket = socket
        self._trace = trace
        self._has_ended = False

    async def recv(self) -> str | bytes:
        try:
            data = await self._socket.recv()
        except Exception:
            self.record_end()
            raise
        record_message(self._trace, "signaling", data, "server")
        return data

    async def send(self, message: str) -> None:
        record_message(self._trace, "signaling", message, "client")  # before a reply can arrive
        try:
            await self._socket.send(message)
        except Exception as error:
            self._trace.add("signaling", "not sent", {}, sender="client", error=error_text(error))
            raise

    async def close(self, code: int = 1000, reason: str = "") -> None:
        try:
            await self._socket.close(code, reason)
        finally:
            self.record_end()

    def record_end(self) -> None:
        """Record the close of the socket, once it is closed."""
        code = self._socket.close_code
        if self._has_ended or code is None:
            return
        self._has_ended = True
        received, sent = self._socket.protocol.close_rcvd, self._socket.protocol.close_sent
        sender: Sender | None = None
        if received is not None or sent is not None:
            sender = "server" if sent is None or self._socket.protocol.close_rcvd_then_sent else "client"
        self._trace.add("signaling", "close", {"code": code, "reason": self._socket.close_reason or ""}, sender=sender)

    def __getattr__(self, name: str) -> Any:  # Any: the attributes of `ClientConnection` that are not recorded
        return getattr(self._socket, name)


class _RecordingPeer[P: Peer]:
    """A peer whose states and statistics are recorded while it is open."""

    def __init__(self, peer: P, trace: ClientTrace, sampler: FrameSampler) -> None:
        self._peer = peer
        self._trace = trace
        self._sampler = sampler
        self._timer: asyncio.TimerHandle | None = None
        self._observer: Callable[[str, str], None] | None = None
        # Peers of other implementations may have no such method.
        if (watch := getattr(peer, "watch", None)) is not None:
            watch(self._changed)

    async def __aenter__(self) -> Self:
        await self._peer.__aenter__()
        if self._trace.recorder.samples_statistics and self._reports():
            self._schedule()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._record_stats()
        self._sampler.close()
        await self._peer.__aexit__(kind, error, traceback)

    async def pump(self) -> None:
        await self._peer.pump()

    def stats(self) -> dict[str, JSON]:
        stats = getattr(self._peer, "stats", None)  # see `watch`
        return stats() if stats is not None else {}

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self._observer = changed

    def _changed(self, transport: str, state: str) -> None:
        self._trace.add("peer", f"{transport} {state}", {"transport": transport, "state": state})
        if self._observer is not None:
            self._observer(transport, state)

    def _schedule(self) -> None:
        # A timer, not a task: recording must not change the order in which tasks run.
        self._timer = asyncio.get_running_loop().call_later(STATS_INTERVAL_S, self._tick)

    def _tick(self) -> None:
        self._record_stats()
        self._schedule()

    def _record_stats(self) -> None:
        if reports := self._reports():
            self._trace.add("stats", "statistics", {"reports": reports}, size=_REPORT_BYTES * len(reports))

    def _reports(self) -> dict[str, JSON]:
        return harmless("the statistics of a peer", self.stats, {})


class RecordingClientPeer(_RecordingPeer[ClientPeer]):
    """A `ClientPeer` whose descriptions, candidates and messages are recorded."""

    async def answer(self, offer: str, ice_servers: list[IceServer]) -> str:
        record_description(self._trace, "offer", offer, "server")
        try:
            answer = await self._peer.answer(offer, ice_servers)
        except PeerError as error:
            self._trace.add("sdp", "no answer", {}, sender="client", error=error_text(error))
            raise
        record_description(self._trace, "answer", answer, "client")
        return answer

    async def add_candidate(self, line: str, mid: str | None, mline_index: int | None) -> None:
        data: dict[str, JSON] = {"candidate": line, "mid": mid, "mline_index": mline_index}
        self._trace.add("sdp", "candidate", data, sender="server")
        try:
            await self._peer.add_candidate(line, mid, mline_index)
        except PeerError as error:
            self._trace.add("sdp", "candidate refused", data, sender="client", error=error_text(error))
            raise

    def send(self, text: str) -> bool:
        is_sent = self._peer.send(text)
        error = None if is_sent else "not sent: the channel is not open, or the message is too long for it"
        record_message(self._trace, "channel", text, "client", channel="clientToStreamer", error=error)
        return is_sent


class RecordingSpectatorPeer(_RecordingPeer[SpectatorPeer]):
    """A `SpectatorPeer` whose descriptions are recorded."""

    async def offer(self, ice_servers: Iterable[IceServer]) -> str:
        offer = await self._peer.offer(ice_servers)
        record_description(self._trace, "offer", offer, "client")
        return offer

    async def apply(self, answer: str) -> None:
        record_description(self._trace, "answer", answer, "server")
        await self._peer.apply(answer)


def record_description(trace: ClientTrace, kind: str, sdp: str, sender: Sender) -> None:
    """Record an SDP description."""
    trace.add("sdp", kind, {"sdp": sdp[:LONGEST_TEXT]}, sender=sender)


def record_message(
    trace: ClientTrace,
    lane: Literal["signaling", "channel"],
    data: str | bytes,
    sender: Sender,
    *,
    channel: str | None = None,
    error: str | None = None,
) -> None:
    """Record a message of a socket or of a data channel."""
    message = _message(data)
    kind = message.get("type") if isinstance(message, Mapping) else None
    content: dict[str, JSON] = {} if channel is None else {"channel": channel}
    content["message"] = message
    trace.add(
        lane,
        kind if isinstance(kind, str) else "message",
        content,
        sender=sender,
        error=error,
        size=min(len(data), LONGEST_TEXT),
    )


def _message(data: str | bytes) -> JSON:
    """Return a message as JSON: parsed if it is JSON, and without its binary parts."""
    if isinstance(data, bytes):
        return {"bytes": len(data)}
    with suppress(ValueError, RecursionError):
        message: JSON = json.loads(data)
        if len(data) > LONGEST_TEXT and isinstance(message, dict):
            return {key: _short_field(value) for key, value in list(message.items())[:100]}
        if len(data) <= LONGEST_TEXT:
            return message
    return {"text": data[:LONGEST_TEXT], "length": len(data)}


def _short_field(value: JSON) -> JSON:
    if isinstance(value, str) and len(value) > _LONGEST_FIELD:
        return f"{value[:100]}… ({len(value):,} characters)"
    if isinstance(value, dict | list) and len(value) > 100:
        return f"({len(value):,} items)"
    return value


def _kind(data: str | bytes) -> str | None:
    message = _message(data) if isinstance(data, str) and '"update_acknowledged"' in data else None
    kind = message.get("type") if isinstance(message, dict) else None
    return kind if isinstance(kind, str) else None
