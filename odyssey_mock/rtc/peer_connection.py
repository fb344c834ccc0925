"""An aiortc peer connection that leaves no task or socket behind when it is closed.

aiortc keeps no references to its tasks, its `close` can hang, and its parser raises arbitrary exceptions for invalid
descriptions. `PeerConnection` handles these three problems for every peer of the mock.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Literal, Self, get_args

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from odyssey_mock.core.redaction import get_logger
from odyssey_mock.media.encoder import Codec
from odyssey_mock.rtc.complete_sdp import SdpError, complete_sdp
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.ice import offer_addresses, open_sockets
from odyssey_mock.rtc.impaired_datagrams import ImpairedDatagrams
from odyssey_mock.rtc.protocols import DatagramNetwork
from odyssey_mock.rtc.remote_description import (
    MAX_CANDIDATES,
    DescriptionError,
    checked_description,
    read_candidate,
)
from odyssey_mock.rtc.webrtc_stats import Reports, StateObserver, observe_states, statistics

logger = get_logger(__name__)

CLOSE_LIMIT = 5.0
"""Maximum seconds to wait for aiortc's `close`, which can hang if the other peer is gone."""

TASKS_LIMIT = 5.0
"""Maximum seconds to wait for the end of aiortc's cancelled tasks, which usually end at once."""

# aiortc keeps no references to its tasks. They inherit the context they are created in, so this variable identifies
# the tasks of a peer.
_owner: "contextvars.ContextVar[PeerConnection | None]" = contextvars.ContextVar("owned_connection", default=None)


class PeerConnection:
    """An async context manager around one `RTCPeerConnection`.

    The callbacks run on the event loop: `on_connected()` once ICE and DTLS are connected, `on_lost()` once the
    connection has failed or the other peer has closed it.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        offered: HostCandidates,
        *,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Create the connection. Its sockets will listen on `addresses`, and it will offer the candidates `offered`."""
        self._addresses = addresses
        self._offered = offered
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._closing = False
        self._described = False
        self._early_candidates: list[RTCIceCandidate] = []
        self._trickled = 0
        self._work: set[asyncio.Task[object]] = set()
        self._datagrams: ImpairedDatagrams | None = None
        """The impaired datagrams; None if they are not impaired, which costs nothing."""
        self._context = contextvars.copy_context()
        self._context.run(_owner.set, self)
        # No default STUN server: aiortc would ask Google's, which delays the offer by 5 s without internet access.
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._connection = self._context.run(RTCPeerConnection, configuration)
        self._connection.on("connectionstatechange", self._state_changed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def add_candidate(self, candidate: str, mid: str | None, line: int | None) -> None:
        """Add a trickled candidate (RFC 8838), at once or as soon as the remote description is set.

        A candidate that the mock cannot use is dropped: see `remote_description`. The end-of-candidates indication is
        also dropped, because ICE would then fail before the client's connectivity checks arrive.

        Raises:
            DescriptionError: the text is not a candidate line, or the client sends too many candidates.
        """
        parsed = read_candidate(candidate) if candidate else None
        if parsed is None:
            return
        if self._trickled >= MAX_CANDIDATES:
            raise DescriptionError(f"expected at most {MAX_CANDIDATES} trickled ICE candidates, got more")
        self._trickled += 1
        parsed.sdpMid = mid
        parsed.sdpMLineIndex = 0 if mid is None and line is None else line
        if self._described:
            await self._within(self._connection.addIceCandidate(parsed))
        else:
            self._early_candidates.append(parsed)

    def vanish(self) -> None:
        """Send and receive nothing from now on, as if a cable were cut. The caller must still close the peer."""
        self._impaired_datagrams().cut()

    def impair(self, network: DatagramNetwork) -> None:
        """Let all datagrams pass through `network` from now on. Has no effect after `vanish`."""
        self._impaired_datagrams().network = network

    def _impaired_datagrams(self) -> ImpairedDatagrams:
        if self._datagrams is None:
            self._datagrams = ImpairedDatagrams(self._context)
            self._datagrams.attach(self._connection)
        return self._datagrams

    def observe(self, observer: StateObserver) -> None:
        """Call `observer` for every change of a state; see `Peer.observe`."""
        observe_states(self._connection, observer)

    async def statistics(self) -> Reports:
        """Return the statistics of the connection; see `Peer.statistics`."""
        return await statistics(self._connection)

    async def close(self) -> None:
        """Close the connection, and end the tasks and sockets that aiortc leaves behind; may be called more than once.

        A cancellation ends them at once.
        """
        self._closing = True
        orphans = self._orphans()
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                if self._work:
                    await asyncio.wait(self._work)
                await self._within(self._connection.close())
        except TimeoutError:
            logger.warning("a peer connection did not close within %s s; its tasks are cancelled", CLOSE_LIMIT)
        finally:  # also if the caller is cancelled
            try:
                await self._end_orphans()
            finally:
                self._close_sockets()
                for task in orphans:
                    if task.done() and not task.cancelled():
                        # aiortc's handshake raises if closed halfway. Mark its exception as retrieved, or asyncio
                        # logs it.
                        task.exception()

    async def _describe_remote(self, sdp: str, kind: Literal["offer", "answer"]) -> None:
        """Apply the remote description, without the candidates that the mock cannot use.

        Raises:
            DescriptionError: the description is invalid or not supported.
        """
        checked = checked_description(sdp, kind)
        try:
            complete = complete_sdp(checked)
        except SdpError as error:
            raise DescriptionError(f"the {kind}'s SDP cannot be used: {error}") from error
        try:
            description = RTCSessionDescription(sdp=complete, type=kind)
            await self._within(self._connection.setRemoteDescription(description))
        except Exception as error:
            # aiortc's parser raises arbitrary exceptions for invalid descriptions.
            raise DescriptionError(f"the {kind}'s SDP cannot be used: {type(error).__name__}: {error}") from error
        self._described = True
        for candidate in self._early_candidates:
            await self._within(self._connection.addIceCandidate(candidate))

    async def _describe_local(self, make: Callable[[], Coroutine[object, object, RTCSessionDescription]]) -> str:
        """Set the description that `make` creates as the local description, and return it with all host candidates."""

        async def gather() -> None:
            offer_addresses(self._connection, self._addresses, self._offered)
            await self._connection.setLocalDescription(await make())
            if self._datagrams is not None:
                self._datagrams.attach(self._connection)

        await self._within(gather())
        return str(self._connection.localDescription.sdp)

    async def _within[T](self, work: Coroutine[object, object, T]) -> T:
        """Run `work` to its end, even if the caller is cancelled, and return its result. `close` waits for `work`.

        If the gathering of candidates were cancelled, aioice would leak the sockets that it has just opened. Tasks that
        `work` creates inherit the context of this connection, by which `_orphans` finds them.
        """
        task = asyncio.create_task(work, context=self._context)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return await asyncio.shield(task)

    def _orphans(self) -> list[asyncio.Task[object]]:
        """Return the unfinished tasks that aiortc has started for this connection."""
        current = asyncio.current_task()
        found = [task for task in asyncio.all_tasks() if task is not current and task.get_context().get(_owner) is self]
        return sorted(found, key=asyncio.Task.get_name)  # the order of a set differs from process to process

    async def _end_orphans(self) -> None:
        # Some tasks start others as they end: aioice starts endless consent checks if it connects while it is closed.
        try:
            async with asyncio.timeout(TASKS_LIMIT):
                while orphans := self._orphans():
                    for task in orphans:
                        task.cancel()
                    await asyncio.wait(orphans)
        except TimeoutError:
            logger.warning(
                "cancelled tasks of a closed peer connection did not end within %s s; they keep running", TASKS_LIMIT
            )

    def _close_sockets(self) -> None:
        """Close the sockets that are left because aiortc's `close` did not end."""
        left = open_sockets(self._connection)
        if left and self._datagrams is not None:
            self._datagrams.cut()  # or the sockets would wait for delayed datagrams
        for each in left:
            each.close()

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if self._closing:
            return
        if state == "connected":
            self._on_connected()
        elif state in {"failed", "closed"}:
            self._on_lost()


def preferred_codecs(*first: Codec) -> list[RTCRtpCodecCapability]:
    """Return the video codecs that the mock can encode, in preferred order.

    Their retransmission formats (RFC 4588) are included. The codecs in `first` precede the others. By default H.264
    precedes VP8, because it is cheaper to encode.
    """
    names = [*dict.fromkeys([*first, *get_args(Codec.__value__)]), "rtx"]
    order = {f"video/{name}": place for place, name in enumerate(names)}
    codecs = [codec for codec in RTCRtpSender.getCapabilities("video").codecs if codec.mimeType.lower() in order]
    return sorted(codecs, key=lambda codec: order[codec.mimeType.lower()])


def agreed_codec(transceiver: RTCRtpTransceiver) -> Codec | None:
    """Return the negotiated video codec; None if the peers have none in common."""
    known: dict[str, Codec] = {codec: codec for codec in get_args(Codec.__value__)}
    names = [codec.name.lower() for codec in transceiver._codecs]  # noqa: SLF001 - aiortc has no public attribute for it
    return known.get(names[0]) if names else None
