"""A STUN server of one answer: where did your datagram come from (RFC 8489, Binding).

Clients ask whatever `/config` names before they offer a candidate. Off line the vendor's default servers are silent
and every connect costs seconds; this responder answers in microseconds (`protocol.md` section 3).
"""

import asyncio
import struct
from typing import cast, override

from aioice import stun


class StunResponder(asyncio.DatagramProtocol):
    """Answers Binding requests, ignores every other datagram."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()

    async def close(self) -> None:
        """Close the socket; returns once it is closed."""
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = answer_binding(data, addr)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)


def answer_binding(datagram: bytes, source: tuple[str, int]) -> bytes | None:
    """The success response to a Binding request from `source`; None where the datagram is anything else."""
    try:
        request = stun.parse_message(datagram)
    except (ValueError, struct.error):
        return None
    if request.message_class != stun.Class.REQUEST or request.message_method != stun.Method.BINDING:
        return None
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE,
        transaction_id=request.transaction_id,
    )
    response.attributes["XOR-MAPPED-ADDRESS"] = (source[0], source[1])
    return bytes(response)
