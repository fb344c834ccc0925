"""Consent checks (RFC 7675) that accept late responses, in place of those of aioice.

aioice gives up a check after half a second, and ignores a later response. Six such checks in a row end the connection,
although both peers are alive: an overloaded machine answers every check, but seconds later.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

from aioice import ice, stun
from aioice.ice import CandidatePair, Connection

RETRANSMISSIONS = 3
"""Number of times that a check is repeated: a response counts for 7.5 s (RFC 8489 section 6.2.1)."""


def accept_late_consent(connection: Connection, round_trip: Callable[[float], None] = lambda _: None) -> None:
    """Make ``connection`` accept late responses to consent checks. Call this before it connects.

    ``round_trip`` is called with the seconds from each request that the peer has answered to its response.

    A silent peer is still detected after the same time: `CONSENT_FAILURES` checks without any response between them.
    """
    connection.query_consent = functools.partial(_query_consent, connection, round_trip)  # type: ignore[method-assign]


async def _query_consent(connection: Connection, round_trip: Callable[[float], None]) -> None:
    """Check consent periodically until it expires, then close the connection."""
    answered = asyncio.Event()
    checks: dict[asyncio.Task[None], None] = {}  # ordered, so that a simulated run can be repeated
    missed = 0
    try:
        while missed < ice.CONSENT_FAILURES:
            for pair in [*connection._nominated.values()]:  # noqa: SLF001 - aioice has no public way to its pairs
                request = connection.build_request(pair, nominate=False)
                # RFC 7675 section 5.1 requires a factor between 0.8 and 1.2. Transaction ids are random.
                pause = ice.CONSENT_INTERVAL * (0.8 + 0.4 * request.transaction_id[0] / 255)
                await asyncio.sleep(pause)  # noqa: TID251 - aioice measures real time
                check = asyncio.create_task(_check(connection, pair, request, answered, round_trip))
                checks[check] = None
                check.add_done_callback(checks.pop)
            missed = 0 if await _is_set(answered, stun.RETRY_RTO) else missed + 1
            answered.clear()
    finally:
        for check in [*checks]:
            check.cancel()
    connection._query_consent_task = None  # noqa: SLF001 - otherwise `close` would cancel this task
    await connection.close()


async def _check(
    connection: Connection,
    pair: CandidatePair,
    request: stun.Message,
    answered: asyncio.Event,
    round_trip: Callable[[float], None],
) -> None:
    """Send one check; if the peer responds, set ``answered`` and call ``round_trip``."""
    try:
        seconds = await _Check(connection, pair, request).run()
    except stun.TransactionError:
        return
    round_trip(seconds)
    answered.set()


class _Check:
    """One check, which aioice's transaction repeats.

    Each repetition is a request of its own, with a new transaction id: the response tells which one the peer has
    received. Otherwise the round trip would include the pause before the repetition (Karn's algorithm, RFC 6298).
    """

    def __init__(self, connection: Connection, pair: CandidatePair, request: stun.Message) -> None:
        assert connection.remote_password is not None  # known since the connectivity checks
        self._protocol = pair.protocol
        self._integrity_key = connection.remote_password.encode()
        self._sent: dict[bytes, float] = {}
        """The times of the event loop at which the requests were sent, by their ids."""
        self._round_trip: float | None = None
        self._transaction = stun.Transaction(
            request, pair.remote_addr, self, retransmissions=RETRANSMISSIONS, integrity_key=self._integrity_key
        )

    async def run(self) -> float:
        """Return the seconds from the request that the peer has received to its response.

        Raises:
            TransactionError: The peer does not respond in time, or refuses the request.
        """
        try:
            await self._transaction.run()
        finally:
            for transaction_id in self._sent:
                del self._protocol.transactions[transaction_id]
        assert self._round_trip is not None  # set by the response that ended the transaction
        return self._round_trip

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """Send the request or its next repetition; aioice's transaction calls this."""
        if self._sent:
            message = stun.Message(message.message_method, message.message_class, attributes={**message.attributes})
        message.add_message_integrity(self._integrity_key)
        self._sent[message.transaction_id] = asyncio.get_running_loop().time()
        # aioice's protocol only calls `response_received` of its transactions.
        self._protocol.transactions[message.transaction_id] = self  # type: ignore[assignment]
        self._protocol.send_stun(message, addr)

    def response_received(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """End the check with the response to one of its requests; aioice's protocol calls this."""
        if self._round_trip is None and message.check_message_integrity(self._integrity_key):
            self._round_trip = asyncio.get_running_loop().time() - self._sent[message.transaction_id]
            self._transaction.response_received(message, addr)


async def _is_set(event: asyncio.Event, limit: float) -> bool:
    """Wait up to ``limit`` seconds for ``event``; return whether it is set."""
    try:
        async with asyncio.timeout(limit):
            await event.wait()
    except TimeoutError:
        return False
    return True
