"""Tests of broadcasts with fake peers: admission, limits and removal of spectators, and the end of broadcasts."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from odyssey_mock.backend import Backend
from odyssey_mock.broadcasts.spectator import LateAnswerError, SpectatorGoneError
from odyssey_mock.core.clock import ManualClock
from odyssey_mock.media.encoder import Codec
from odyssey_mock.media.encoders import Encoders
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.rtc.remote_description import DescriptionError
from tests.support.raw import LIMIT
from tests.support.stand_ins import ANSWER, GAP, backend_with, gone, opened, record_of, show, stand_ins, watching


async def advance(backend: Backend, seconds: float) -> None:
    assert isinstance(backend.clock, ManualClock)
    await backend.clock.advance(seconds)


async def test_broadcasts_are_a_mapping_in_order_of_creation() -> None:
    backend = backend_with()
    broadcasts = backend.broadcasts
    assert isinstance(broadcasts, Mapping)
    assert (len(broadcasts), list(broadcasts), broadcasts.get("one")) == (0, [], None)
    one, other = opened(backend, "one"), opened(backend, "another")
    assert dict(broadcasts) == {"one": one, "another": other}
    assert list(broadcasts) == ["one", "another"]
    assert broadcasts["another"] is other
    with pytest.raises(KeyError):
        broadcasts["none"]
    await broadcasts.close()
    assert not broadcasts


async def test_snapshot_and_journal_contain_no_secrets() -> None:
    backend = backend_with()
    with stand_ins() as peers:
        broadcast = opened(backend)
        spectator = await watching(broadcast, backend, peers, "vp8")
        waiting = backend.broadcasts.admit(broadcast, "h264")
        await waiting.answer()
        show(broadcast, 1)
        assert broadcast.snapshot() == {
            "stream_id": "stream-1",
            "session_id": "session-1",
            "account": "account-1",
            "over": False,
            "hls": True,
            "frames_encoded": {},
            "spectators": [
                {"number": 1, "state": "connected", "codec": "vp8", "frames_dropped": 1},
                {"number": 2, "state": "answered", "codec": "h264", "frames_dropped": 0},
            ],
        }
        assert repr(broadcast) == "<Broadcast stream-1, live, 2 spectators>"
        assert repr(spectator) == "<Spectator 1 of stream-1, connected>"
        secrets = {broadcast.token, spectator.resource, waiting.resource, spectator.etag}
        assert len(secrets) == 4
        shown = f"{broadcast!r} {spectator!r} {backend.broadcasts!r} {broadcast.snapshot()}"
        await backend.broadcasts.close()
        written = backend.journal.to_jsonl()
        assert not [secret for secret in secrets if secret in shown + written]


async def test_token_is_valid_for_its_broadcast_only() -> None:
    backend = backend_with()
    one, other = opened(backend, "one"), opened(backend, "another")
    assert one.accepts(one.token)
    assert not [token for token in (other.token, "", one.token[:-1], one.token + "x", "\udc80ü") if one.accepts(token)]
    assert one.hls_url == f"http://mock.test/broadcast/one/hls/index.m3u8?token={one.token}"
    await backend.broadcasts.close()


@pytest.mark.parametrize(("encoded", "preferred"), [((), []), (("vp8",), ["vp8"]), (("vp8", "h264"), ["h264", "vp8"])])
async def test_spectator_prefers_already_encoded_codecs(encoded: tuple[Codec, ...], preferred: list[Codec]) -> None:
    backend = backend_with(hls=False)
    with stand_ins() as peers:
        broadcast = opened(backend)
        encoders = broadcast._encoders
        assert isinstance(encoders, Encoders)
        for codec in encoded:
            encoders._encoder(codec)
        backend.broadcasts.admit(broadcast, "h264")
        assert peers[0].codecs == preferred
        await backend.broadcasts.close()


async def test_ended_broadcast_lingers_with_its_playlist() -> None:
    backend = backend_with(hls_linger=60)
    broadcast = opened(backend)
    broadcast.end()
    broadcast.end()
    assert broadcast.is_over
    assert [entry.data["to"] for entry in backend.journal.find("state", "broadcast")] == ["live", "over"]
    await advance(backend, 59.9)
    assert list(backend.broadcasts) == ["stream-1"]
    await advance(backend, 0.1)
    assert not backend.broadcasts


async def test_without_hls_ended_broadcast_is_forgotten_at_once() -> None:
    backend = backend_with(hls=False)
    broadcast = opened(backend)
    assert (broadcast.hls, broadcast.hls_url, list(broadcast.codecs)) == (None, None, [])
    broadcast.end()
    assert not backend.broadcasts
    assert not backend.clock.pending


def ended(backend: Backend, stream_id: str) -> None:
    record = backend.streams.records[stream_id]
    record.ended_at = backend.clock.time()
    backend.streams.save(record)


async def test_broadcast_is_forgotten_with_its_stream() -> None:
    backend = backend_with(streams_limit=1)
    broadcast = opened(backend, "old")
    ended(backend, "old")
    broadcast.end()
    assert [deadline.name for deadline in backend.clock.pending] == ["broadcast forgotten"]
    backend.streams.remember(record_of(backend, "new"))
    assert not backend.broadcasts
    assert not backend.clock.pending


async def test_forgotten_stream_still_delivers_its_last_frame() -> None:
    backend = backend_with(streams_limit=1)
    with stand_ins() as peers:
        broadcast = opened(backend, "old")
        spectator = await watching(broadcast, backend, peers, "h264")
        ended(backend, "old")
        backend.streams.remember(record_of(backend, "new"))
        assert "old" not in backend.broadcasts
        show(broadcast, 1, key=True)
        broadcast.end()
        assert await gone(backend, spectator) == "the stream has ended"
        assert peers[0].slots == [1]
        assert not backend.clock.pending


async def test_rejected_offer_raises_and_removes_spectator() -> None:
    backend = backend_with()
    with stand_ins():
        broadcast = opened(backend)
        spectator = backend.broadcasts.admit(broadcast, "refused")
        with pytest.raises(DescriptionError, match="expected h264 or vp8, got refused"):
            await spectator.answer()
        assert await gone(backend, spectator) == (
            "its offer could not be answered: the offer's SDP cannot be used: expected h264 or vp8, got refused"
        )
        assert not broadcast.spectators
        await backend.broadcasts.close()


async def test_waiting_for_the_answer_can_be_cancelled() -> None:
    backend = backend_with()
    with stand_ins() as peers:
        peers.answering = False
        spectator = backend.broadcasts.admit(opened(backend), "h264")
        waiting = asyncio.create_task(spectator.answer())
        await peers[0].asked.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        peers[0].may_answer.set()
        assert await spectator.answer() == ANSWER
        assert spectator.state == "answered"
        await backend.broadcasts.close()


async def test_bug_while_answering_is_raised_to_caller() -> None:
    backend = backend_with()
    with stand_ins():
        broadcast = opened(backend)
        spectator = backend.broadcasts.admit(broadcast, "broken")
        with pytest.raises(RuntimeError, match="the fake peer failed"):
            await spectator.answer()
        assert await gone(backend, spectator) == "its offer could not be answered: the fake peer failed"
        assert not broadcast.spectators
        await backend.broadcasts.close()


async def test_creating_the_answer_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.broadcasts.spectator.ANSWER_LIMIT", 0.01)
    backend = backend_with()
    with stand_ins() as peers:
        broadcast = opened(backend)
        peers.answering = False
        spectator = backend.broadcasts.admit(broadcast, "h264")
        reason = "its offer was not answered within 0.01 s, because the mock is overloaded"
        with pytest.raises(LateAnswerError, match=reason):
            await spectator.answer()
        assert await gone(backend, spectator) == reason
        assert not broadcast.spectators
        await backend.broadcasts.close()


async def test_bug_while_closing_spectator_is_reported() -> None:
    backend = backend_with()
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    with stand_ins() as peers:
        broadcast = opened(backend)
        spectator = await watching(broadcast, backend, peers, "h264")
        peers[0].close_error = RuntimeError("the fake peer failed")
        spectator.leave("it was deleted")
        assert await gone(backend, spectator) == "it was deleted"
        await backend.broadcasts.close()
        assert not broadcast.spectators
    assert [(each["message"], each["exception"]) for each in reported] == [
        ("spectator of stream-1 failed", peers[0].close_error)
    ]


@pytest.mark.parametrize("connects", [True, False])
async def test_handshake_limit_ends_when_spectator_connects(connects: bool) -> None:
    backend = backend_with(spectator_handshake=10)
    with stand_ins() as peers:
        broadcast = opened(backend)
        spectator = backend.broadcasts.admit(broadcast, "h264")
        await spectator.answer()
        await advance(backend, 9.9)
        if connects:
            peers[0].connected()
        await advance(backend, 0.1)
        assert spectator.is_leaving is not connects
        if connects:
            await advance(backend, 3600)
            spectator.leave("it was deleted")
        assert await gone(backend, spectator) == ("it was deleted" if connects else "it did not connect in time")
        assert not backend.clock.pending
        await backend.broadcasts.close()


async def test_first_reason_to_leave_is_kept() -> None:
    backend = backend_with()
    with stand_ins() as peers:
        keyframes = Keyframes(GAP)
        broadcast = opened(backend, keyframes=keyframes)
        keyframes.take(0)
        spectator = backend.broadcasts.admit(broadcast, "vp8")
        await spectator.answer()
        spectator.leave("it was deleted")
        peers[0].connected()
        peers[0].lost()
        spectator.end()
        assert not keyframes.take(1)
        assert list(broadcast.codecs) == ["h264"]
        assert await gone(backend, spectator) == "it was deleted"
        states = [entry.data["to"] for entry in backend.journal.find("state", "spectator")]
        assert states == ["answered", "gone"]
        await backend.broadcasts.close()


async def test_stream_end_while_answering_ends_the_spectator() -> None:
    backend = backend_with()
    with stand_ins() as peers:
        broadcast = opened(backend)
        peers.answering = False
        spectator = backend.broadcasts.admit(broadcast, "h264")
        await peers[0].asked.wait()
        broadcast.end()
        peers[0].may_answer.set()
        with pytest.raises(SpectatorGoneError, match="the stream has ended"):
            await spectator.answer()
        assert await gone(backend, spectator) == "the stream has ended"
        assert [entry.data["to"] for entry in backend.journal.find("state", "spectator")] == ["gone"]
        assert not broadcast.spectators


async def test_close_ends_spectators_in_every_state() -> None:
    backend = backend_with()
    with stand_ins() as peers:
        broadcast, other = opened(backend), opened(backend, "stream-2")
        await watching(broadcast, backend, peers, "h264")
        await watching(other, backend, peers, "vp8")
        answered = backend.broadcasts.admit(broadcast, "h264")
        await answered.answer()
        peers.answering = False
        asked = backend.broadcasts.admit(other, "h264")
        await peers[-1].asked.wait()
        backend.broadcasts.admit(broadcast, "h264")
        peers[2].lost()
        closing = asyncio.create_task(backend.broadcasts.close())
        await asyncio.wait([closing], timeout=0)
        for peer in peers:
            peer.may_answer.set()
        async with asyncio.timeout(LIMIT):
            await closing
        assert (dict(backend.broadcasts), dict(broadcast.spectators), dict(other.spectators)) == ({}, {}, {})
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert asked.state == "gone"
        assert not backend.clock.pending
        await backend.broadcasts.close()
