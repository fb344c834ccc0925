"""Tests of account limits and lifetimes (`protocol.md` section 7), with a manual clock and with a real one.

The limits of a connection (duration, inactivity, stream duration) are tested in `sessions/`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from odyssey_mock import AccountSettings, MockOdyssey
from odyssey_mock.accounts.accounts import account_id
from tests.support.raw import LIMIT, RawApi, RawPeer, raw_peer, raw_socket, receive
from tests.support.recordings import remembered, timeline, url_of
from tests.support.simulations import script, submit, wanted
from tests.support.streams import gone, start

MANUAL = pytest.mark.odyssey(clock="manual")
HOUR = 3600.0
DAY = 24 * HOUR


async def asked(api: RawApi) -> httpx.Response:
    return await api.http.post("/sessions/request", json={})


@asynccontextmanager
async def accounts_of(mock: MockOdyssey, keys: Sequence[str]) -> AsyncIterator[list[RawApi]]:
    """Yield a list with one API client for each key; each client has an access token."""
    async with asyncio.timeout(LIMIT):
        apis = [RawApi(mock, key) for key in keys]
        try:
            yield [await api.__aenter__() for api in apis]
        finally:
            for api in apis:
                await api.__aexit__()


# Lifetimes


@MANUAL
async def test_access_token_is_valid_for_an_hour(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        await odyssey_mock.advance(HOUR - 0.1)
        assert (await api.http.get("/regions")).status_code == 200
        await odyssey_mock.advance(0.1)
        refused = await api.http.get("/regions")
        assert (refused.status_code, refused.json()["detail"]) == (401, "Access token expired")


@MANUAL
async def test_artifact_url_is_valid_for_an_hour(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    url = url_of(odyssey_mock, remembered(odyssey_mock), "events.jsonl")
    await odyssey_mock.advance(HOUR - 0.1)
    assert (await http.get(url)).status_code == 200
    await odyssey_mock.advance(0.1)
    assert (await http.get(url)).status_code == 403


@MANUAL
async def test_session_without_token_ends_after_fifteen_minutes(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        await odyssey_mock.advance(899.9)
        assert list(odyssey_mock.sessions) == [session["session_id"]]
        await odyssey_mock.advance(0.1)
        assert not odyssey_mock.sessions
        odyssey_mock.expect_in_order(["dangling session", ("session", {"event": "dangling", "to": "closed"})])
        late = await api.http.post("/sessions/token", json={"session_id": session["session_id"]})
        assert late.status_code == 404


@MANUAL
async def test_unused_session_ends_when_its_token_expires(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        await odyssey_mock.advance(100)
        await api.token_for(session["session_id"])
        await odyssey_mock.advance(599.9)
        assert list(odyssey_mock.sessions) == [session["session_id"]]
        await odyssey_mock.advance(0.1)
        assert not odyssey_mock.sessions
        closed = odyssey_mock.expect("session", event="unused", session=session["session_id"])
        assert closed.time - odyssey_mock.journal.began_at == pytest.approx(700)
        assert not odyssey_mock.clock.pending, (
            f"expected no pending deadlines of the closed session, got {odyssey_mock.clock.pending}"
        )


@MANUAL
async def test_last_issued_token_sets_the_session_limit(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        await api.token_for(session["session_id"])
        await odyssey_mock.advance(200)
        await api.token_for(session["session_id"])
        await odyssey_mock.advance(599.9)
        assert odyssey_mock.sessions, "expected the session to last until its second token expires, got no session"
        await odyssey_mock.advance(0.1)
        assert not odyssey_mock.sessions


@MANUAL
async def test_open_connection_outlives_its_token(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
    async with raw_socket(session, token) as socket:
        assert (await receive(socket))["type"] == "offer"
        await odyssey_mock.advance(600)
        assert list(odyssey_mock.sessions) == [session["session_id"]]


@MANUAL
async def test_journal_has_only_deadlines_that_fired(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    begun = odyssey_mock.clock.time()
    async with RawApi(odyssey_mock) as api:
        one, _ = await api.request_session(), await api.request_session()
        await api.token_for(one["session_id"])
        assert len(odyssey_mock.clock.pending) == 3
        await odyssey_mock.advance(HOUR)
    shown = (await http.get("/_mock/journal", params={"kind": "deadline"})).json()["entries"]
    assert [(each["name"], each["time"] - begun, each["data"]["due"] - begun) for each in shown] == [
        ("session token", 600, 600),
        ("dangling session", 900, 900),
    ]


# Slots


@MANUAL
async def test_account_may_have_five_concurrent_sessions(odyssey_mock: MockOdyssey) -> None:
    async with accounts_of(odyssey_mock, ["ody_anna", "ody_berta"]) as (anna, berta):
        assert [(await asked(anna)).status_code for _ in range(5)] == [200] * 5
        refused = await asked(anna)
        assert refused.status_code == 429
        assert refused.json()["detail"] | {"action": "", "action_url": ""} == {
            "error": "CONCURRENT_LIMIT_REACHED",
            "message": "Maximum concurrent sessions (5) reached",
            "action": "",
            "action_url": "",
            "details": {"active_count": 5, "limit": 5},
        }
        assert (await asked(berta)).status_code == 200


@pytest.mark.parametrize("how", ["dangling", "token expires", "disconnect", "socket rejected", "shut down"])
@pytest.mark.odyssey(clock="manual", streamers=1, concurrent_sessions=1)
async def test_streamer_is_free_once_its_session_ends(odyssey_mock: MockOdyssey, how: str) -> None:
    async with accounts_of(odyssey_mock, ["ody_anna", "ody_berta"]) as (anna, berta):
        session = await anna.request_session()
        waiting = await asked(berta)
        assert (waiting.status_code, "retry" in waiting.json()["detail"]) == (503, True)
        match how:
            case "dangling":
                await odyssey_mock.advance(900)
            case "token expires":
                await anna.token_for(session["session_id"])
                await odyssey_mock.advance(600)
            case "disconnect":
                async with raw_socket(session, await anna.token_for(session["session_id"])) as socket:
                    assert (await receive(socket))["type"] == "offer"
                    await socket.send('{"type": "client_disconnecting"}')
                    await gone(odyssey_mock, session["session_id"])
            case "socket rejected":
                token = await anna.token_for(session["session_id"])
                async with raw_socket(session, "forged") as socket:
                    assert (await receive(socket))["type"] == "error"
                status = (await asked(berta)).status_code
                assert status == 503, f"expected 503, because the first session has the only streamer, got {status}"
                async with raw_socket(session, token) as socket, RawPeer(socket) as peer:
                    await peer.say_on_socket({"type": "client_disconnecting"})
                    await gone(odyssey_mock, session["session_id"])
            case _:
                await odyssey_mock.sessions[session["session_id"]].shut_down()
        assert (await asked(anna if how == "dangling" else berta)).status_code == 200
        assert [deadline.name for deadline in odyssey_mock.clock.pending] == ["dangling session"], (
            f"expected one deadline, of the new session, got {odyssey_mock.clock.pending}"
        )


@pytest.mark.odyssey(clock="manual", streamers=2)
async def test_concurrent_requests_get_exactly_the_free_streamers(odyssey_mock: MockOdyssey) -> None:
    async with accounts_of(odyssey_mock, [f"ody_number_{index}" for index in range(6)]) as apis:
        served: list[int] = []
        for _ in range(3):
            answers = await asyncio.gather(*(asked(api) for api in apis))
            now = [index for index, answer in enumerate(answers) if answer.status_code == 200]
            assert len(now) == len(odyssey_mock.sessions) == 2
            served += now
            await odyssey_mock.advance(900)
        assert len(served) == 6


# Monthly hours


@pytest.mark.odyssey(clock="manual", monthly_hours=10)
async def test_used_hours_reset_with_the_next_month(odyssey_mock: MockOdyssey) -> None:
    now = odyssey_mock.clock.time()
    async with RawApi(odyssey_mock) as api:
        remembered(odyssey_mock, session_id="s", started_at=now, ended_at=now + 9.5 * HOUR)
        await odyssey_mock.advance(10 * DAY)
        assert (await asked(api)).status_code == 401
    async with RawApi(odyssey_mock) as api:
        status = (await asked(api)).status_code
        assert status == 200, f"expected 200, because half an hour of the 10 hours is left, got {status}"
        later = odyssey_mock.clock.time()
        remembered(odyssey_mock, session_id="s", started_at=later - 0.5 * HOUR, ended_at=later)
        for call in (asked(api), api.http.post("/simulation-jobs", json=wanted())):
            refused = await call
            assert refused.status_code == 429
            detail = refused.json()["detail"]
            assert (detail["error"], detail["details"]) == (
                "MONTHLY_LIMIT_REACHED",
                {"used_hours": 10.0, "limit_hours": 10, "reset_date": "2026-02-01"},
            )
            assert detail["message"] == ("Monthly usage limit reached (10 of 10 hours); it resets on 2026-02-01")
        await odyssey_mock.advance(21 * DAY - 1)
    async with RawApi(odyssey_mock) as api:
        status = (await asked(api)).status_code
        assert status == 429, f"expected 429 one second before the monthly reset, got {status}"
        await odyssey_mock.advance(1)
        assert (await asked(api)).status_code == 200
        await submit(api.http)


@pytest.mark.odyssey(clock="manual", monthly_hours=1)
async def test_hours_are_counted_per_account(odyssey_mock: MockOdyssey) -> None:
    async with accounts_of(odyssey_mock, ["ody_anna", "ody_berta"]) as (anna, berta):
        now = odyssey_mock.clock.time()
        remembered(odyssey_mock, key="ody_anna", session_id="s", started_at=now - HOUR, ended_at=now + HOUR)
        assert [(await asked(api)).status_code for api in (anna, berta)] == [429, 200]


@pytest.mark.odyssey(clock="manual", monthly_hours=0.0102)
async def test_simulations_count_with_their_video_length(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        await submit(api.http, script(20), script(16.7), script(150, prompt="[error:lost]"))
        await odyssey_mock.advance(60)
        await submit(api.http, script(0.3))
        await odyssey_mock.advance(60)
        refused = await api.http.post("/simulation-jobs", json=wanted())
        assert refused.status_code == 429
        hours = refused.json()["detail"]["details"]["used_hours"]
        assert hours == 0.0103, f"expected 0.0103 used hours, which are 37 seconds, got {hours}"


@pytest.mark.odyssey(clock="manual", monthly_hours=0)
async def test_zero_monthly_hours_rejects_every_session(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        assert (await asked(api)).json()["detail"]["error"] == "MONTHLY_LIMIT_REACHED"


@pytest.mark.odyssey(clock="manual", monthly_hours=1, streams_limit=1)
async def test_hours_of_forgotten_streams_count_until_reset(odyssey_mock: MockOdyssey) -> None:
    now = odyssey_mock.clock.time()
    for _ in range(4):
        remembered(odyssey_mock, timeline(1), session_id="s", started_at=now, ended_at=now + HOUR / 4)
    assert len(odyssey_mock.streams) == 1
    await odyssey_mock.advance(HOUR)
    async with RawApi(odyssey_mock) as api:
        assert (await asked(api)).status_code == 429
        await odyssey_mock.reset()
    async with RawApi(odyssey_mock) as api:
        assert (await asked(api)).status_code == 200


# Plans


async def test_unlimited_plan_accepts_many_sessions() -> None:
    async with MockOdyssey(plan="unlimited", clock="manual", simulation_workers=0) as mock, RawApi(mock) as api:
        now = mock.clock.time()
        remembered(mock, session_id="s", started_at=now - 900 * HOUR, ended_at=now)
        assert {(await asked(api)).status_code for _ in range(20)} == {200}
        for _ in range(20):
            await submit(api.http)


@pytest.mark.odyssey(plan="unlimited", concurrent_sessions=2, simulation_workers=0)
async def test_explicit_setting_overrides_the_plan(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        assert [(await asked(api)).status_code for _ in range(3)] == [200, 200, 429]
        for _ in range(11):
            await submit(api.http)


KEYS = {
    "ody_usual": AccountSettings(),
    "ody_large": AccountSettings(plan="unlimited"),
    "ody_mixed": AccountSettings(plan="unlimited", concurrent_sessions=3),
    "ody_small": AccountSettings(concurrent_sessions=1, queued_simulations=2),
    "ody_spent": AccountSettings(monthly_hours=0),
}


@pytest.mark.odyssey(keys=KEYS, concurrent_sessions=2, simulation_workers=0)
async def test_keys_have_their_own_plans_and_limits(odyssey_mock: MockOdyssey) -> None:
    async def let_in(call: Any) -> list[int]:  # Any: a call that returns a response
        return [[(await call(api)).status_code for _ in range(12)].count(200) for api in apis]

    async with accounts_of(odyssey_mock, list(KEYS)) as apis:
        assert await let_in(asked) == [2, 12, 3, 1, 0]
        assert await let_in(lambda api: api.http.post("/simulation-jobs", json=wanted())) == [10, 12, 12, 2, 0]
    limits = odyssey_mock.backend.accounts.limits_of
    assert limits(account_id("ody_mixed")).stream_duration is None
    assert limits(account_id("ody_small")).stream_duration == limits("acct_of_nobody").stream_duration == 150


# On a real clock


@pytest.mark.odyssey(dangling_session=0.2, session_token_lifetime=30)
async def test_session_limit_works_on_a_real_clock(odyssey_mock: MockOdyssey) -> None:
    loop = asyncio.get_running_loop()
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        begun = loop.time()
        await odyssey_mock.wait_for("state", "session", session=session["session_id"], to="closed")
        assert loop.time() - begun > 0.15
        odyssey_mock.expect("dangling session", kind="deadline", count=1)


@pytest.mark.odyssey(stream_duration=0.5, portrait_size=(176, 320))
async def test_stream_limit_works_on_a_real_clock(odyssey_mock: MockOdyssey) -> None:
    loop = asyncio.get_running_loop()
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        begun = loop.time()
        error = await peer.hear()
        assert (error["type"], error["reason"]) == ("interactive_stream_error", "session_timeout")
        assert 0.4 < loop.time() - begun < LIMIT
    odyssey_mock.expect("stream duration", kind="deadline", count=1)


@pytest.mark.odyssey(speed=3000, session_token_lifetime=600)
async def test_token_limit_works_on_a_fast_clock(odyssey_mock: MockOdyssey) -> None:
    loop = asyncio.get_running_loop()
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        await api.token_for(session["session_id"])
        begun = loop.time()
        closed = await odyssey_mock.wait_for("state", "session", session=session["session_id"], event="unused")
        assert 0.1 < loop.time() - begun < LIMIT
        assert closed.time - odyssey_mock.journal.began_at > 600
