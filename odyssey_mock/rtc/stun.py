"""A minimal STUN server: it answers Binding requests with the sender's address (RFC 8489).

Clients query the STUN servers that `/config` names before they send a candidate. Without internet access, the vendor's
default servers do not answer, and every connect takes seconds longer. This responder answers in microseconds
(`protocol.md` section 3).
"""

import asyncio
import struct
from typing import cast, override


class StunResponder(asyncio.DatagramProtocol):
    """Answers Binding requests and ignores all other datagrams."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()

    async def close(self) -> None:
        """Close the socket and wait until it is closed."""
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
    """Return the success response to a Binding request from `source`; None for any other datagram."""
    from aioice import stun  # noqa: PLC0415 - takes 0.05 s to import, and a mock without peers does not use it

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
