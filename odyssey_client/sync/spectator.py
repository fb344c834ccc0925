"""`connect_to_stream` and the sync connection that it returns."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, override

from odyssey_client.config import AdvancedConfig
from odyssey_client.media.stream import DEFAULT_BUFFER
from odyssey_client.platform import Clock, Network
from odyssey_client.spectator import spectator_connection
from odyssey_client.spectator.disconnect_callbacks import DisconnectCallback
from odyssey_client.spectator.spectator_machine import SpectatorState
from odyssey_client.sync.background import BackgroundLoop, background, keep_inherited
from odyssey_client.sync.media import FrameReader, MediaStream, VideoOwner
from odyssey_client.trace.calls import called_here
from odyssey_client.trace.defaults import default_recorder

if TYPE_CHECKING:
    from odyssey_client.trace.recorder import Recorder


def connect_to_stream(
    webrtc_url: str,
    spectator_token: str,
    *,
    advanced: AdvancedConfig | None = None,
    clock: Clock | None = None,
    network: Network | None = None,
    trace: str | os.PathLike[str] | Recorder | None = None,
) -> SpectatorConnection:
    """Connect to a broadcast as a spectator; no API key is needed.

    `Odyssey.connect_to_stream` is this same function; it does not use the configuration of the client.

    ::

        with connect_to_stream(info.webrtc_url, info.spectator_token) as spectator:
            spectator.on_disconnect(lambda: print("Broadcast ended"))
            for frame in spectator.frames():
                ...

    Args:
        webrtc_url: The URL of the broadcast, from `BroadcastInfo`.
        spectator_token: The token of the broadcast, from `BroadcastInfo`.
        advanced: Timeouts: ``connect_timeout_s`` for connecting as a whole, ``peer_timeout_s`` for the time without a
            frame. Other settings are not used.
        clock: The source of time; None for the system's clock.
        network: Opens all network connections; None for the system's network.
        trace: The file to which everything that happens is written at the end of the connection, such as
            ``watch.odytrace``, or a `trace.Recorder`, which writes no file. If None, nothing is recorded.

    Raises:
        OdysseyConfigError: an argument is invalid; nothing was sent.
        OdysseyAuthError: the service rejects the token.
        BroadcastNotFoundError: the broadcast does not exist or has ended.
        ConnectTimeoutError: connecting took longer than ``connect_timeout_s``.
        PeerError: ICE or DTLS failed, or the SDP answer is unusable.
        ServiceUnreachableError: there was no HTTP response.
        OdysseyApiError: the service returned any other error status.
    """
    loop = background("connect_to_stream")

    async def work() -> SpectatorConnection:
        connection = await spectator_connection.connect_to_stream(
            webrtc_url, spectator_token, advanced=advanced, clock=clock, network=network, trace=trace
        )
        return SpectatorConnection(connection, loop)

    with called_here(is_recorded=trace is not None or default_recorder() is not None):
        return loop.run("connect_to_stream", work)


class SpectatorConnection(VideoOwner):
    """A spectator's connection to a broadcast, returned by `connect_to_stream`. ``with`` disconnects on exit.

    Attributes:
        stream: The live video of the broadcast. It ends when the connection ends.
    """

    def __init__(self, connection: spectator_connection.SpectatorConnection, loop: BackgroundLoop) -> None:
        """Wrap the async ``connection``; called by `connect_to_stream`."""
        self._connection = connection
        self._loop = loop
        self._register()

    @property
    def stream(self) -> MediaStream:
        """The live video of the broadcast. It ends when the connection ends."""
        return self._to_sync(self._connection.stream)

    @property
    def connection_state(self) -> SpectatorState:
        """The state: ``connected``, then ``closed`` or ``failed``.

        It is ``closed`` if the stream ended or `disconnect` was called, and ``failed`` if the connection was lost.
        """
        return self._connection.connection_state

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open and can receive video."""
        return self._connection.is_connected

    def frames(self, *, buffer: int = DEFAULT_BUFFER, timeout_s: float | None = None) -> FrameReader:
        """Iterate over the frames from now on, with a separate buffer; see `MediaStream.frames`.

        The iteration ends when the broadcast ends, and raises `PeerError` if the connection fails.
        It raises `OperationTimeoutError` if it waits more than ``timeout_s`` seconds for a frame.

        Raises:
            OdysseyConfigError: ``buffer`` is not a valid number of frames.
        """
        return self.stream.frames(buffer=buffer, timeout_s=timeout_s)

    def on_disconnect(self, callback: DisconnectCallback) -> None:
        """Call ``callback`` once when either side ends the connection; at once if the connection is already over.

        Any number of callbacks may be added. A callback is sync or async and takes no argument or one: the
        `OdysseyError` that ended the connection, or None if the stream ended or `disconnect` was called. Exceptions
        that a callback raises are logged.

        Raises:
            OdysseyConfigError: ``callback`` is not callable.
        """
        self._loop.call("on_disconnect", lambda: self._connection.on_disconnect(callback))

    def disconnect(self) -> None:
        """End the connection and wait until all its tasks have finished.

        May be called at any time, from any thread, and more than once. A call from a callback does not wait for the
        callbacks, because it would wait for itself.
        """
        if self._loop.is_current:
            self._loop.start(self._connection.disconnect)
        elif not self._loop.has_ended:
            with called_here(is_recorded=self._connection._trace is not None):  # noqa: SLF001 - one connection in two parts
                self._loop.run("disconnect", self._connection.disconnect)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.disconnect()

    def __repr__(self) -> str:
        return repr(self._connection)

    @override
    def _closer(self) -> Callable[[], Awaitable[None]]:
        return self._connection._leave  # noqa: SLF001 - as in `disconnect`

    @override
    def _is_open(self) -> bool:
        return self._connection.is_connected

    @override
    def _after_fork(self) -> None:
        keep_inherited(self._connection)
