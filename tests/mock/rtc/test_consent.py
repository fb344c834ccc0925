"""Tests of consent checks, whose late responses count."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aioice import Connection, ice, stun
from aioice.ice import StunProtocol
from aiortc import RTCPeerConnection

from odyssey_mock.rtc.consent import accept_late_consent
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.ice import ice_transports, offer_addresses
from tests.support.consent_checks import checks_until_closed

LIMIT = 20.0
"""Timeout of a wait in seconds, much longer than it takes."""
RTO = 0.05
"""Seconds after which aioice repeats a request, in these tests."""
LATE = 3 * RTO


@pytest.mark.parametrize(
    ("answers", "sent"),
    [("", 6), ("y", 7), ("nnnnnynnnnnyn", 18), ("llllllllll", 17)],
    ids=["silent", "silent later", "five missed twice", "late"],
)
async def test_consent_expires_after_six_missed_checks(
    monkeypatch: pytest.MonkeyPatch, answers: str, sent: int
) -> None:
    assert await checks_until_closed(monkeypatch, accept_late_consent, answers) == sent


async def test_no_check_continues_after_consent_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    await checks_until_closed(monkeypatch, accept_late_consent, "")
    await asyncio.sleep(0)  # noqa: TID251 - lets the cancelled checks end; no time passes
    assert asyncio.all_tasks() == {asyncio.current_task()}


@asynccontextmanager
async def agents() -> AsyncIterator[tuple[Connection, Connection]]:
    """Connect the agent of a peer of the mock to another agent."""
    peer = RTCPeerConnection()
    peer.createDataChannel("x")
    offer_addresses(peer, ["127.0.0.1"], HostCandidates())
    (transport,) = ice_transports(peer)
    ours, theirs = transport.iceGatherer._connection, Connection(ice_controlling=False)
    ours.ice_controlling = True
    try:
        for agent in (ours, theirs):
            await agent.gather_candidates()
        for agent, other in ((ours, theirs), (theirs, ours)):
            for candidate in other.local_candidates:
                await agent.add_remote_candidate(candidate)
            await agent.add_remote_candidate(None)
            agent.remote_username, agent.remote_password = other.local_username, other.local_password
        await asyncio.gather(ours.connect(), theirs.connect())
        yield ours, theirs
    finally:
        await ours.close()
        await theirs.close()
        await peer.close()


async def test_agent_of_a_peer_accepts_late_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other agent responds only to every other check, and late."""
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.02)
    monkeypatch.setattr(stun, "RETRY_RTO", RTO)
    loop, enough = asyncio.get_running_loop(), asyncio.Event()
    async with agents() as (ours, theirs):
        checks: list[bytes] = []
        respond = theirs.request_received

        def respond_late(message: stun.Message, address: tuple[str, int], protocol: StunProtocol) -> None:
            if message.transaction_id not in checks:
                checks.append(message.transaction_id)
            if checks.index(message.transaction_id) % 2:
                loop.call_later(LATE, respond, message, address, protocol)
            if len(checks) == 4 * ice.CONSENT_FAILURES:
                enough.set()

        monkeypatch.setattr(theirs, "request_received", respond_late)
        ended = asyncio.create_task(ours.get_event())
        waiting = asyncio.create_task(enough.wait())
        await asyncio.wait({ended, waiting}, timeout=LIMIT, return_when=asyncio.FIRST_COMPLETED)
        assert not ended.done(), f"expected an open connection, got {ended} after {len(checks)} checks"
        assert waiting.done(), f"expected {4 * ice.CONSENT_FAILURES} checks, got {len(checks)}"
        ended.cancel()
