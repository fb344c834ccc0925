"""What goes wrong with a line because somebody wants it to: the faults of socket and peer (`faults/catalogue.py`)."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from odyssey_mock.core.clock import Clock, sleep
from odyssey_mock.faults.fault import Fault

if TYPE_CHECKING:
    from odyssey_mock.sessions.client_connection import ClientConnection

BROKEN_SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video"
"""An offer that nobody can answer."""

NONSENSE: Mapping[str, str | bytes] = MappingProxyType(
    {
        "not_json": '{"type": "ice_candidate", "candidate": ',
        "not_object": '["offer"]',
        "binary": b"\x00\x01\x02\x03",
        "unknown_type": '{"type": "weather_report", "sky": "clear"}',
    }
)
"""What is sent for the faults of that name."""


async def send_faulty_offer(line: "ClientConnection", clock: Clock, fault: Fault, sdp: str) -> None:
    """Send the offer with that `sdp` as `fault` wants it, or something else in its place."""
    offer = {"type": "offer", "sdp": sdp}
    match fault.do:
        case "silent":
            return
        case "delay":
            await sleep(clock, fault.number("seconds"), _name(fault))
            await line.send(offer)
        case "twice":
            await line.send(offer)
            await line.send(offer)
        case "broken_sdp":
            await line.send({**offer, "sdp": BROKEN_SDP})
        case "missing_fields":
            await line.send({"type": "offer"})
        case _:
            await apply_fault(line, clock, fault)


async def apply_fault(line: "ClientConnection", clock: Clock, fault: Fault) -> None:
    """Carry out a fault of the socket or of the peer, after the time that it says."""
    if fault.number("seconds"):
        await sleep(clock, fault.number("seconds"), _name(fault))
    if fault.do in NONSENSE:
        await line.send_raw(NONSENSE[fault.do], fault.do, fault.do)
    else:
        await _DONE[fault.do](line, fault)


async def _close(line: "ClientConnection", fault: Fault) -> None:
    if "code" in fault.parameters:
        await line.socket.close(int(fault.number("code")), fault.text("reason"))
    else:
        await line.peer.close()


async def _say_error(line: "ClientConnection", fault: Fault) -> None:
    await line.send({"type": "error", "reason": fault.text("reason")})


async def _vanish(line: "ClientConnection", _fault: Fault) -> None:
    line.peer.vanish()


async def _freeze(line: "ClientConnection", _fault: Fault) -> None:
    line.freeze()


async def _end_track(line: "ClientConnection", _fault: Fault) -> None:
    line.track.finish()
    await line.peer.end_track()


async def _close_channels(line: "ClientConnection", _fault: Fault) -> None:
    line.peer.close_channels()


_DONE: Mapping[str, Callable[["ClientConnection", Fault], Awaitable[None]]] = MappingProxyType(
    {
        "close": _close,
        "error": _say_error,
        "vanish": _vanish,
        "freeze": _freeze,
        "end_track": _end_track,
        "close_channels": _close_channels,
    }
)


def _name(fault: Fault) -> str:
    return f"fault: {fault.at} {fault.do}"
