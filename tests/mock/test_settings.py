"""Settings: every default is good, every wrong value is named with what was expected."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.settings import (
    LIMIT_NAMES,
    PLANS,
    SETTING_NAMES,
    SETTINGS,
    AccountSettings,
    MockOverrides,
    Plan,
    Region,
    Settings,
    SettingsError,
    SettingsOverrides,
    SimulatedOverrides,
    UnknownSettingError,
)
from odyssey_mock.testing.simulated import NOT_YOURS

URGENT = AccountSettings(simulation_priority="urgent")  # type: ignore[arg-type]

WRONG: Mapping[str, Sequence[object]] = {
    "host": ["", None],
    "port": [-1, 65536, "8400", True, 80.0],
    "loopback_only": [1, "yes"],
    "clock": ["fast", None],
    "speed": [0, -1.0, float("inf"), float("nan")],
    "seed": ["x", 1.5, True],
    "keys": [{}, {"foo": AccountSettings()}, {"ody_good": None}, {"ody_good": URGENT}, ["ody_good"]],
    "bypass_privilege": [None],
    "access_token_lifetime": [0, -1, "3600"],
    "session_token_lifetime": [0],
    "usage_error_form": ["text"],
    "regions": [["us-east-1"], [Region("a"), Region("a")], [Region("")], [Region("a", latency=-1)], None],
    "streamers": [-1, 1.0],
    "concurrent_sessions": [0, 2.5],
    "monthly_hours": [-0.5, "10", float("inf")],
    "dangling_session": [0],
    "connection_duration": [0],
    "inactivity": [0, "40"],
    "session_grace": [-1],
    "image_to_video": ["no"],
    "max_image_bytes": [0],
    "channel_delay": [-0.1],
    "fps": [0, 29.97],
    "portrait_size": [(705, 1280), (704,), (0, 0), "704x1280", [704, 1280]],
    "landscape_size": [(1280, 703), (62, 62)],
    "bitrate": [0],
    "keyframe_gap": [-1, float("inf")],
    "stream_duration": [0, "150"],
    "spectator_handshake": [0],
    "hls": [None, 1],
    "hls_segment_duration": [0, "1"],
    "hls_segments": [0, 1.5],
    "hls_linger": [-1],
    "simulation_workers": [-1, "4"],
    "simulation_priority": ["urgent", None, 1],
    "queued_simulations": [0],
    "simulation_dispatch_delay": [-1],
    "simulation_start_delay": [-0.5],
    "simulation_pace": [-0.1, float("nan")],
    "simulation_duration": [0],
    "simulation_retries": [-1, 0.5],
    "cancel_processing": [0],
    "script_url_hosts": ["localhost", [""], ["http://localhost"], [8080], None],
    "script_url_timeout": [0],
    "script_url_bytes": [0],
    "artifact_url_lifetime": [0],
    "faults": [None, "rest.*", [1]],
    "jobs_limit": [0],
    "streams_limit": [0],
    "journal_limit": [0],
}


def test_every_setting_has_a_wrong_value_in_this_file() -> None:
    assert set(WRONG) == set(SETTING_NAMES)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values], ids=repr
)
def test_a_wrong_value_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"^{name} must "):
        Settings().replace(**{name: value})  # type: ignore[arg-type]  # which is what is tried


def test_an_unknown_setting_is_told_with_the_nearest_and_all_there_are() -> None:
    with pytest.raises(UnknownSettingError, match="no setting 'streamer'; did you mean 'streamers'") as error:
        Settings().replace(streamer=3)  # type: ignore[call-arg]  # a type checker tells it too
    assert all(name in str(error.value) for name in SETTING_NAMES)


def test_api_keys_stay_out_of_the_representation() -> None:
    assert "ody_hush" not in repr(Settings(keys={"ody_hush": AccountSettings()}))


def test_every_setting_is_a_keyword_of_the_same_type() -> None:
    """Type checkers know the settings of `MockOdyssey`, of `Settings.replace` and of the markers by these."""
    assert get_type_hints(SettingsOverrides) == get_type_hints(Settings)


def test_what_is_left_out_of_the_keywords_of_a_mock_and_of_a_simulated_one_is_known() -> None:
    every, mock, simulated = (
        frozenset(get_type_hints(each)) for each in (SettingsOverrides, MockOverrides, SimulatedOverrides)
    )
    assert every - mock == {"clock"}, "which MockOdyssey takes by itself"
    assert every - simulated == NOT_YOURS.keys()


def test_every_setting_has_a_description_and_an_option_of_its_own() -> None:
    assert all(each.description.endswith(".") for each in SETTINGS.values())
    assert len({each.option for each in SETTINGS.values()}) == len(SETTINGS)


@given(st.integers(0, 65535), st.integers(0, 10_000), st.floats(1e-3, 1e6))
def test_a_change_leaves_everything_else_as_it_was(port: int, streamers: int, speed: float) -> None:
    before = Settings(fps=10)
    after = before.replace(port=port, streamers=streamers, speed=speed)
    changed = {"port": port, "streamers": streamers, "speed": speed}
    assert {name: getattr(after, name) for name in changed} == changed
    for name in set(SETTING_NAMES) - set(changed):
        assert getattr(after, name) == getattr(before, name)


def test_settings_do_not_change() -> None:
    settings = Settings(regions=[Region("here")])
    assert settings.regions == (Region("here"),)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.port = 1  # type: ignore[misc]


def test_the_settings_as_they_are_have_the_limits_of_the_free_plan() -> None:
    assert Settings().limits == PLANS["free"]


def test_unlimited_is_a_plan_without_a_limit() -> None:
    settings = Settings().replace(plan="unlimited")
    assert settings.limits == PLANS["unlimited"]
    assert {getattr(settings, name) for name in LIMIT_NAMES} == {None}
    assert settings.dangling_session == 900, "no limit of accounts"


@given(st.sampled_from(sorted(PLANS)), st.sampled_from(LIMIT_NAMES), st.none() | st.integers(1, 99))
def test_a_limit_that_is_named_wins_over_the_plan_and_the_plan_over_what_was(
    plan: Plan, name: str, value: int | None
) -> None:
    before = Settings(concurrent_sessions=77, stream_duration=7, inactivity=7)
    named: dict[str, Any] = {name: value}
    settings = before.replace(plan=plan, **named)
    assert settings.limits == dataclasses.replace(PLANS[plan], **named)
    assert AccountSettings(plan=plan, **named).limits(before.limits) == settings.limits
    assert AccountSettings(**named).limits(before.limits) == dataclasses.replace(before.limits, **named)


@pytest.mark.parametrize("plan", ["golden", "", 5, ["free"]])
def test_an_unknown_plan_is_told_with_those_there_are(plan: Any) -> None:  # Any: what no plan is
    expected = re.escape(f"must be one of 'free', 'unlimited', not {plan!r}")
    with pytest.raises(SettingsError, match=f"^plan {expected}$"):
        Settings().replace(plan=plan)
    with pytest.raises(SettingsError, match=f"^plan of a key {expected}$"):
        Settings(keys={"ody_good": AccountSettings(plan=plan)})


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_a_wrong_limit_of_a_key_is_refused_by_name_and_the_key_not_told(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} of a key must be a .*, or None for no limit, not -1$") as error:
        Settings(keys={"ody_hush": AccountSettings(**{name: -1})})  # type: ignore[arg-type]  # by name
    assert "ody_hush" not in str(error.value)
