"""Faults of a client's connection: its signaling socket and its peer (`faults/catalog.py`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from odyssey_mock.core.clock import Clock, sleep
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault
from odyssey_mock.impairment.presets import profile_of
from odyssey_mock.impairment.profile import NetworkProfile
from odyssey_mock.rtc.protocols import StreamerPeer
from odyssey_mock.sessions.messages import Offer, SignalingError, SignalingReply

if TYPE_CHECKING:
    from odyssey_mock.rtc.packet_track import PacketTrack

BROKEN_SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video"
"""An invalid SDP offer: it ends in the middle of the media line."""

NONSENSE: Mapping[str, str | bytes] = MappingProxyType(
    {
        "not_json": '{"type": "ice_candidate", "candidate": ',
        "not_object": '["offer"]',
        "binary": b"\x00\x01\x02\x03",
        "unknown_type": '{"type": "weather_report", "sky": "clear"}',
    }
)
"""Invalid messages, by the fault action that sends them."""


class Breakable(Protocol):
    """The interface through which faults act on a client's connection."""

    @property
    def peer(self) -> StreamerPeer:
        """The mock's peer of the WebRTC connection."""

    @property
    def track(self) -> PacketTrack:
        """The video track that the peer sends."""

    async def send(self, message: SignalingReply, *, why: str = "") -> None:
        """Send a message on the socket and record it in the journal, with its cause `why` if it has one."""

    async def send_raw(self, data: str | bytes, name: str, shown: JSON) -> None:
        """Send `data` on the socket and record it in the journal as `shown`, in an entry called `name`."""

    async def close_socket(self, by: str, code: int, reason: str) -> None:
        """Close the socket. The journal names `by`, such as the label of a fault, as the cause of the loss."""

    def freeze(self) -> None:
        """Stop sending and receiving."""

    def impair(self, profile: NetworkProfile | None, label: str) -> None:
        """Impair the network of the client as the fault called `label` describes; None ends it."""


async def send_faulty_offer(connection: Breakable, clock: Clock, fault: Fault, offer: Offer) -> None:
    """Apply a fault of the SDP offer: send `offer` late, twice or damaged, or do not send it."""
    match fault.do:
        case "silent":
            return
        case "delay":
            await sleep(clock, fault.number("seconds"), _name(fault))
            await connection.send(offer)
        case "twice":
            await connection.send(offer)
            await connection.send(offer)
        case "broken_sdp":
            await connection.send(Offer(BROKEN_SDP))
        case "missing_fields":
            await connection.send_raw('{"type": "offer"}', "offer", {"type": "offer"})
        case _:
            await apply_fault(connection, clock, fault)


async def apply_fault(connection: Breakable, clock: Clock, fault: Fault) -> None:
    """Apply a fault of the socket, the peer or the network, after the fault's delay if it has one."""
    if fault.number("seconds"):
        await sleep(clock, fault.number("seconds"), _name(fault))
    if fault.do in NONSENSE:
        await connection.send_raw(NONSENSE[fault.do], fault.do, fault.do)
    else:
        await _CARRIED_OUT[fault.do](connection, clock, fault)


async def _close(connection: Breakable, _clock: Clock, fault: Fault) -> None:
    if "code" in fault.parameters:
        await connection.close_socket(fault.label, int(fault.number("code")), fault.text("reason"))
    else:
        await connection.peer.close()


async def _send_error(connection: Breakable, _clock: Clock, fault: Fault) -> None:
    await connection.send(SignalingError(fault.text("reason")), why=f"{fault.label} sends it")


async def _vanish(connection: Breakable, _clock: Clock, _fault: Fault) -> None:
    connection.peer.vanish()


async def _freeze(connection: Breakable, _clock: Clock, _fault: Fault) -> None:
    connection.freeze()


async def _impair(connection: Breakable, clock: Clock, fault: Fault) -> None:
    network: Any = fault.parameters["network_profile"]  # Any: a name or an object, as the catalog has checked
    connection.impair(profile_of(network), fault.label)
    if fault.parameters["duration"] is not None:
        await sleep(clock, fault.number("duration"), f"{_name(fault)} ends")
        connection.impair(None, f"the end of {fault.label}")


async def _end_track(connection: Breakable, _clock: Clock, _fault: Fault) -> None:
    connection.track.finish()
    await connection.peer.end_track()


async def _close_channels(connection: Breakable, _clock: Clock, _fault: Fault) -> None:
    connection.peer.close_channels()


_CARRIED_OUT: Mapping[str, Callable[[Breakable, Clock, Fault], Awaitable[None]]] = MappingProxyType(
    {
        "close": _close,
        "error": _send_error,
        "vanish": _vanish,
        "freeze": _freeze,
        "impair": _impair,
        "end_track": _end_track,
        "close_channels": _close_channels,
    }
)


def _name(fault: Fault) -> str:
    return f"fault: {fault.at} {fault.do}"
