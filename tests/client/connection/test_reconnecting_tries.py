"""Tests of reconnect attempts: which failures cause another attempt, which are fatal, and when attempts end."""

import asyncio
from dataclasses import replace

import pytest

from odyssey_client import (
    ConnectionLimitReachedError,
    ConnectTimeoutError,
    Odyssey,
    OdysseyApiError,
    OdysseyAuthError,
    OdysseyError,
    PeerError,
    SignalingError,
    StreamerNotAvailableError,
)
from tests.client.rest.conftest import Answer
from tests.support.leftovers import nothing_left
from tests.support.scripted_service import (
    TOKEN,
    Told,
    client_of,
    lose_socket,
    never_offer,
    offer_nonsense,
    quick,
    refuse,
    report_unavailable,
    stay_up,
    whole_service,
)
from tests.support.scripted_streamer import Script, Session, scripted

LIMIT = 20.0


BUSY = Answer(503, {"detail": "Restarting"})


@pytest.mark.parametrize(
    ("scripts", "tokens", "error"),
    [
        ([refuse], [], SignalingError),
        ([report_unavailable], [], StreamerNotAvailableError),
        ([offer_nonsense], [], PeerError),
        ([never_offer], [], ConnectTimeoutError),
        ([], [BUSY], OdysseyApiError),
    ],
    ids=["no socket", "error", "broken offer", "no offer", "no token"],
)
async def test_failed_attempt_is_reported_and_retried(
    scripts: list[Script], tokens: list[Answer], error: type[OdysseyError]
) -> None:
    told = Told()
    async with (
        nothing_left(),
        asyncio.timeout(LIMIT),
        whole_service(lose_socket, *scripts, stay_up) as service,
        client_of(service, connect_timeout_s=1.5) as odyssey,
    ):
        service.then(TOKEN, await service.token(), *tokens)
        await odyssey.connect(**told.handlers())
        await told.until("status_change", "connected", times=2)
    assert told.errors == [(SignalingError, False), (error, False)]
    messages = [str(message) for status, message in told.of("status_change") if status == "reconnecting"]
    assert [message[message.index("Reconnecting ") :] for message in messages] == [
        "Reconnecting now (attempt 1 of 5).",
        "Reconnecting in 0.01 s (attempt 2 of 5).",
    ]


async def test_used_up_attempts_are_fatal_and_disconnect_once() -> None:
    told = Told()
    async with (
        nothing_left(),
        asyncio.timeout(LIMIT),
        whole_service(lose_socket, refuse) as service,
        client_of(service, max_retries=3) as odyssey,
    ):
        video = await odyssey.connect(**told.handlers())
        frames = video.frames()
        await told.until("disconnected")
        assert odyssey.current_status == "failed"
        assert not odyssey.is_connected
        with pytest.raises(SignalingError, match="not yet") as raised:  # noqa: PT012 - after the buffered frames
            while True:
                await anext(frames)
        assert raised.value.__notes__ == ["Gave up after 3 attempts to reconnect."]
    assert told.errors == [(SignalingError, False)] * 3 + [(SignalingError, True)]
    assert told.statuses[3:] == ["reconnecting"] * 3 + ["failed"]
    assert str(told.of("status_change")[-1][1]).endswith("Gave up after 3 attempts to reconnect.")
    assert [name for name, _ in told.all if name == "disconnected"] == ["disconnected"]


async def test_client_gives_up_when_every_connection_drops() -> None:
    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(lose_socket) as service,
        client_of(service, max_retries=2) as odyssey,
    ):
        await odyssey.connect(**told.handlers())
        await told.until("disconnected")
    assert told.statuses[2:] == ["connected", "reconnecting", "connected", "reconnecting", "connected", "failed"]
    assert len(told.of("connected")) == 1


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Answer(401, {"detail": "Unauthorized"}), OdysseyAuthError),
        (Answer(403, {"detail": "Forbidden"}), OdysseyApiError),
        (Answer(429, {"detail": {"error": "ACCOUNT_SUSPENDED", "message": "Suspended"}}), OdysseyError),
    ],
)
async def test_non_retryable_rejection_is_fatal_at_once(refusal: Answer, error: type[OdysseyError]) -> None:
    told = Told()
    async with asyncio.timeout(LIMIT), whole_service(lose_socket, stay_up) as service, client_of(service) as odyssey:
        service.then(TOKEN, await service.token(), *[refusal] * 5)
        await odyssey.connect(**told.handlers())
        await told.until("disconnected")
    (_, (last, fatal)) = told.of("error")
    assert isinstance(last, error)
    assert fatal


async def test_duration_limit_while_reconnecting_is_fatal() -> None:
    async def reach_the_limit(session: Session) -> None:
        await session.send({"type": "error", "reason": "duration_limit_reached"})
        await session.until_closed()

    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(lose_socket, reach_the_limit) as service,
        client_of(service) as odyssey,
    ):
        await odyssey.connect(**told.handlers())
        await told.until("disconnected")
    assert told.errors == [(SignalingError, False), (ConnectionLimitReachedError, True)]


@pytest.mark.parametrize(
    ("end", "status"),
    [({"type": "error", "reason": "streamer_disconnected"}, "failed"), (None, "disconnected")],
    ids=["error", "clean close"],
)
async def test_end_announced_by_service_is_not_retried(end: dict[str, object] | None, status: str) -> None:
    async def announce(session: Session) -> None:
        await session.come_up()
        if end is not None:
            await session.send(end)
        await session.peer.close()

    told = Told()
    async with asyncio.timeout(LIMIT), whole_service(announce) as service, client_of(service) as odyssey:
        await odyssey.connect(**told.handlers())
        await told.until("disconnected")
        assert odyssey.current_status == status
    assert "reconnecting" not in told.statuses


async def test_keyless_client_reconnects_with_its_old_token() -> None:
    tokens: list[str] = []

    def noting(script: Script) -> Script:
        async def noted(session: Session) -> object:
            tokens.append(session.token)
            return await script(session)

        return noted

    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        scripted(noting(lose_socket), noting(stay_up)) as credentials,
        Odyssey.keyless(advanced=quick()) as odyssey,
    ):
        await odyssey.connect_with_credentials(replace(credentials, session_token="the-one"), **told.handlers())
        await told.until("status_change", "connected", times=2)
    assert tokens == ["the-one", "the-one"]
