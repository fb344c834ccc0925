"""Tests of settings that change while a mock runs."""

from typing import Any, get_type_hints

import pytest

from odyssey_mock import MockOdyssey, Region, Settings, SettingsError, UnknownSettingError
from odyssey_mock.core.journal import Entry
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.settings import LIMIT_NAMES, PLANS, SETTINGS, ChangeableSettings, FixedSettingError
from tests.support.raw import RawApi, raw_peer
from tests.support.simulations import submit
from tests.support.streams import start

FIXED = {
    "host",
    "port",
    "public_url",
    "trusted_proxies",
    "tls",
    "tls_dir",
    "tls_cert",
    "tls_key",
    "loopback_only",
    "udp_ports",
    "udp_addresses",
    "ice_servers",
    "control_hosts",
    "control_token",
    "clock",
    "speed",
    "seed",
    "state_dir",
    "fonts",
    "keys",
    "faults",
    "jobs_limit",
    "streams_limit",
    "journal_limit",
    "journal_bytes",
}
MANUAL = pytest.mark.odyssey(clock="manual")


def test_keywords_are_the_changeable_settings() -> None:
    changeable = {name for name, setting in SETTINGS.items() if setting.applies is not None}
    assert get_type_hints(ChangeableSettings).keys() == changeable
    assert SETTINGS.keys() - changeable == FIXED


@pytest.mark.parametrize("name", sorted(FIXED))
def test_fixed_setting_cannot_change(name: str) -> None:
    settings = CurrentSettings(Settings())
    with pytest.raises(FixedSettingError, match=f"^{name} cannot change while the mock runs; ") as refused:
        settings.change(fps=10, **{name: getattr(Settings(), name)})
    assert isinstance(refused.value, SettingsError)
    assert settings.now == Settings()


def test_invalid_change_has_no_effect() -> None:
    settings = CurrentSettings(Settings())
    with pytest.raises(SettingsError, match=r"^hls_segments must be"):
        settings.change(fps=10, hls_segments=0)
    with pytest.raises(UnknownSettingError, match="did you mean 'fps'"):
        settings.change(streamers=1, fsp=10)  # type: ignore[call-arg]  # invalid on purpose
    with pytest.raises(SettingsError, match=r"^plan must be"):
        settings.change(plan="golden", streamers=1)  # type: ignore[arg-type]  # invalid on purpose
    assert settings.now == Settings()


def test_change_returns_the_names_of_changed_settings() -> None:
    settings = CurrentSettings(Settings())
    assert settings.change(fps=20, streamers=3) == ["streamers"]
    assert set(settings.change(plan="unlimited", inactivity=40.0)) == set(LIMIT_NAMES) - {"inactivity", "monthly_hours"}
    assert settings.now.limits == PLANS["unlimited"].__class__(**{**vars(PLANS["unlimited"]), "inactivity": 40.0})
    settings.reset()
    assert settings.now == Settings()


@MANUAL
async def test_running_session_keeps_its_settings(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as running:
        odyssey_mock.change_settings(stream_duration=30, hls=False)
        await start(running)
        await odyssey_mock.advance(149)
        assert odyssey_mock.settings.stream_duration == 30
        assert len(odyssey_mock.sessions) == 1, (
            "expected the running session to keep the limit of 150 s, but it has ended"
        )
    async with raw_peer(odyssey_mock) as later:
        session_id = [*odyssey_mock.sessions][-1]
        await start(later, broadcast=True)
        assert [each.hls for each in odyssey_mock.broadcasts.values()] == [None]
        await odyssey_mock.advance(30)
        assert session_id not in odyssey_mock.sessions, "expected the new session to end after 30 s, but it is open"


async def test_limit_of_sessions_applies_at_once(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        await api.request_session()
        odyssey_mock.change_settings(concurrent_sessions=1, usage_error_form="string")
        refused = await api.http.post("/sessions/request", json={})
        assert (refused.status_code, refused.json()) == (429, {"detail": "Maximum concurrent sessions (1) reached"})
        odyssey_mock.change_settings(plan="unlimited", streamers=1)
        assert (await api.http.post("/sessions/request", json={})).status_code == 503
        odyssey_mock.change_settings(streamers=2)
        assert (await api.http.post("/sessions/request", json={})).status_code == 200


async def test_own_limit_of_an_account_stays(odyssey_mock: MockOdyssey) -> None:
    own = odyssey_mock.add_account(concurrent_sessions=2)
    odyssey_mock.change_settings(concurrent_sessions=1, queued_simulations=3)
    limits = odyssey_mock.backend.accounts.limits_of(own.id)
    assert (limits.concurrent_sessions, limits.queued_simulations) == (2, 3)


async def test_regions_change_at_once(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        odyssey_mock.change_settings(regions=[Region("mars-1")])
        assert [each["id"] for each in (await api.http.get("/regions")).json()["regions"]] == ["mars-1"]
        assert (await api.request_session())["region"] == "mars-1"
        changed = odyssey_mock.expect("settings changed", kind="note")
        assert changed.data["changes"]["regions"]["to"] == [{"id": "mars-1", "latency": 0.0}]


@pytest.mark.odyssey(clock="manual", simulation_workers=0)
async def test_added_worker_takes_a_waiting_job(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        job_id = await submit(api.http)
        await odyssey_mock.advance(60)
        assert odyssey_mock.jobs[job_id].status == "pending"
        odyssey_mock.change_settings(simulation_workers=1, simulation_pace=2)
        await odyssey_mock.advance(5)
        assert odyssey_mock.jobs[job_id].status == "processing"


@pytest.mark.odyssey(streamers=7)
async def test_reset_restores_the_initial_settings(odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.change_settings(streamers=1, plan="unlimited")
    await odyssey_mock.reset()
    assert odyssey_mock.settings == Settings(streamers=7)


async def test_change_during_a_reset_does_not_survive(odyssey_mock: MockOdyssey) -> None:
    changed = []

    def change(entry: Entry) -> None:
        if entry.matches("state", "session", {"to": "closed"}):
            odyssey_mock.change_settings(streamers=1, plan="unlimited")
            changed.append(odyssey_mock.settings)

    async with raw_peer(odyssey_mock):
        odyssey_mock.journal.observe(change)
        await odyssey_mock.reset()
    assert [each.streamers for each in changed] == [1], (
        f"expected one change to 1 streamer, at the end of the session, got {[each.streamers for each in changed]}"
    )
    assert odyssey_mock.settings == Settings()


async def test_second_start_has_the_initial_settings() -> None:
    mock = MockOdyssey(streamers=7)
    async with mock:
        mock.change_settings(streamers=1, plan="unlimited")
    async with mock:
        assert mock.settings == Settings(streamers=7)


@pytest.mark.parametrize(
    ("name", "applies"),
    [
        ("session_token_lifetime", "new session tokens"),
        ("artifact_url_lifetime", "new artifact URLs"),
        ("hls_linger", "broadcasts that end later"),
        ("channel_delay", "new connections"),
    ],
)
def test_setting_states_to_what_a_change_applies(name: str, applies: str) -> None:
    assert SETTINGS[name].applies == applies


SMALL = {"portrait_size": (88, 160), "landscape_size": (160, 88)}
LARGEST = {
    name: each.rule.most
    for name, each in SETTINGS.items()
    if each.applies is not None and each.rule.most is not None and name not in SMALL
}
"""The numbers that can change, each with its maximum."""


@pytest.mark.parametrize("values", [LARGEST, {"bitrate": 1000}], ids=["largest", "lowest bitrate"])
async def test_session_runs_with_extreme_values(odyssey_mock: MockOdyssey, values: Any) -> None:
    since = odyssey_mock.journal.next_index
    odyssey_mock.change_settings(**{**SMALL, **values, "channel_delay": 0})
    async with raw_peer(odyssey_mock) as peer:
        await start(peer, broadcast=True)
        odyssey_mock.expect("stream_started", since=since)
        assert len(odyssey_mock.sessions) == 1, f"expected one open session, got {list(odyssey_mock.sessions)}"


@MANUAL
async def test_issued_session_token_keeps_its_lifetime(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session_id = (await api.request_session())["session_id"]
        await api.token_for(session_id)
        odyssey_mock.change_settings(session_token_lifetime=5)
        await odyssey_mock.advance(599)
        assert session_id in odyssey_mock.sessions, (
            "expected the token issued before the change to be valid for 600 s, but the session has ended"
        )
        await api.token_for(session_id)
        await odyssey_mock.advance(6)
        assert session_id not in odyssey_mock.sessions, (
            "expected the session to end 5 s after the token was issued, but it is open"
        )


async def test_change_before_the_start_is_rejected() -> None:
    mock = MockOdyssey()
    with pytest.raises(RuntimeError, match="the mock is not running"):
        mock.change_settings(fps=10)


def test_only_real_changes_are_journaled() -> None:
    from odyssey_mock.sync import MockOdyssey as SyncMock  # noqa: PLC0415

    with SyncMock() as mock:
        mock.change_settings(fps=20)
        mock.expect_none("settings changed")
        mock.change_settings(fps=10, hls=True)
        expected: dict[str, Any] = {"fps": {"from": 20, "to": 10}}
        mock.expect("settings changed", changes=expected)
        assert mock.settings.fps == 10
