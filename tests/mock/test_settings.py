"""Tests of settings: valid defaults, and clear errors for invalid values."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.setting_rules import SettingsError
from odyssey_mock.settings import (
    LIMIT_NAMES,
    PLANS,
    SETTING_NAMES,
    SETTINGS,
    AccountSettings,
    IceServer,
    MockOverrides,
    Plan,
    Region,
    Settings,
    SettingsOverrides,
    SimulatedOverrides,
    UnknownSettingError,
)
from odyssey_mock.testing.simulated import NOT_YOURS

URGENT = AccountSettings(simulation_priority="urgent")  # type: ignore[arg-type]

WRONG: Mapping[str, Sequence[object]] = {
    "host": ["a b"],
    "port": [-1, 65536, "8400"],
    "public_url": ["", "/mock"],
    "trusted_proxies": [["proxy"], None],
    "tls": [1, "yes"],
    "tls_dir": ["", 1],
    "tls_cert": ["", 1],
    "tls_key": ["", 1],
    "loopback_only": [1, "yes"],
    "udp_ports": ["50000", "50000-50000", "50100-50000", "0-10", "65535-65536", "a-b", (50000, 50100), 50000],
    "udp_addresses": ["192.0.2.1", ["mock.lan"], ["0.0.0.0"], [1], None],
    "ice_servers": [[{"urls": []}], [{}], "stun:192.0.2.1", None],
    "control_hosts": ["mock", ["http://mock"], None],
    "control_token": ["short", "a" * 201, "with space" * 2, 1],
    "clock": ["fast", None],
    "speed": [0, 1_000_001],
    "seed": ["x", 1.5],
    "state_dir": ["", 1],
    "latency": ["fast", None],
    "keys": [{}, {"foo": AccountSettings()}, {"ody_good": None}, {"ody_good": URGENT}, ["ody_good"]],
    "bypass_privilege": [None],
    "access_token_lifetime": [0, -1, "3600"],
    "session_token_lifetime": [0],
    "usage_error_form": ["text"],
    "end_without_stream": ["never"],
    "overlay": ["panel", None, False],
    "start_image_fit": ["stretch"],
    "fonts": [["DejaVu Sans"]],
    "regions": [
        ["us-east-1"],
        [Region("a"), Region("a")],
        *([Region(each)] for each in ("", "\ud800", "a/b", "a?b", "a#b", "a b", "é", "a\n", ".", "..", "a" * 101)),
        [Region("a", latency=-1)],
        [Region("a", latency=10**400)],
        None,
    ],
    "streamers": [-1, 1.0],
    "concurrent_sessions": [0, 2.5],
    "monthly_hours": [-0.5, "10"],
    "dangling_session": [0],
    "connection_duration": [0],
    "inactivity": [0, "40"],
    "session_grace": [-1],
    "stale_session": [-1, "40"],
    "image_to_video": ["no"],
    "max_image_bytes": [0],
    "channel_delay": [-0.1],
    "fps": [0, 29.97, 241],
    "portrait_size": [(705, 1280), "704x1280"],
    "landscape_size": [(1280, 703)],
    "bitrate": [999, 10**8 + 1],
    "keyframe_gap": [-1, 1e308],
    "stream_duration": [0, "150"],
    "broadcast_spectators": [-1, 1.0],
    "spectators": [-1, 1.0],
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
    "simulation_pace": [-0.1],
    "simulation_duration": [0],
    "simulation_retries": [-1, 0.5],
    "cancel_processing": [0],
    "script_url_hosts": ["localhost", ["localhost:80"], None],
    "private_script_urls_from_pages": [None],
    "script_url_timeout": [0],
    "script_url_bytes": [0],
    "artifact_url_lifetime": [0],
    "faults": [None, "rest.*", [1]],
    "network_profile": ["", "5g", 3, [], {"los": 0.1}, {"loss": 2}, {"to_client": None}],
    "jobs_limit": [0],
    "streams_limit": [0],
    "journal_limit": [0],
    "journal_bytes": [0],
}


def test_invalid_values_cover_every_setting() -> None:
    assert set(WRONG) == set(SETTING_NAMES)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values], ids=repr
)
def test_invalid_value_is_rejected_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"^{name} must "):
        Settings().replace(**{name: value})  # type: ignore[arg-type]  # invalid on purpose


def test_every_number_has_a_maximum() -> None:
    numbers = {name for name, each in SETTINGS.items() if {int, float} & {each.type, *get_args(each.type)}}
    assert {name for name, each in SETTINGS.items() if each.rule.most is not None} == numbers - {"seed"}


def test_unknown_setting_is_rejected_with_suggestions() -> None:
    with pytest.raises(UnknownSettingError, match="unknown setting 'streamer'; did you mean 'streamers'") as error:
        Settings().replace(streamer=3)  # type: ignore[call-arg]  # a type checker reports it too
    assert all(name in str(error.value) for name in SETTING_NAMES)


def test_repr_does_not_contain_secrets() -> None:
    turn: IceServer = {"urls": "turn:turn.lan", "username": "anna", "credential": "hush"}
    shown = repr(
        Settings(keys={"ody_hush": AccountSettings()}, control_token="hush-hush-hush-hush", ice_servers=[turn])
    )
    assert "hush" not in shown


def test_invalid_control_token_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match=r"^control_token must be None, or 16 to 200 letters") as error:
        Settings(control_token="hush hush hush hush")
    assert "hush" not in str(error.value)


def test_invalid_ice_server_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match=r"^ice_servers must be a list of objects with `urls`") as error:
        Settings(ice_servers=[{"urls": "turn:anna:hush@turn.lan"}])
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"), [("clock", "ody_hush"), ("regions", ["ody_hush"]), ("ody_hush", 1), ("ody_hush-2_x", 1)]
)
def test_misplaced_key_is_not_repeated(name: str, value: object) -> None:
    with pytest.raises((SettingsError, UnknownSettingError), match=r"ody_\.\.\.") as error:
        Settings().replace(**{name: value})  # type: ignore[arg-type]  # invalid on purpose
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("https://example.com/mock/", "https://example.com/mock"), ("HTTP://example.com:80", "http://example.com")],
)
def test_public_url_is_normalized(given: str, expected: str) -> None:
    assert Settings(public_url=given).public_url == expected


def test_keyword_types_match_the_settings() -> None:
    """`SettingsOverrides`, the type of keywords that change settings, has the same fields and types as `Settings`."""
    assert get_type_hints(SettingsOverrides) == get_type_hints(Settings)


def test_keywords_omit_only_known_settings() -> None:
    every, mock, simulated = (
        frozenset(get_type_hints(each)) for each in (SettingsOverrides, MockOverrides, SimulatedOverrides)
    )
    assert every - mock == {"clock"}, f"expected MockOverrides to omit only `clock`, got {every - mock}"
    assert every - simulated == NOT_YOURS.keys()


def test_settings_have_descriptions_and_unique_options() -> None:
    assert all(each.description.endswith(".") for each in SETTINGS.values())
    assert len({each.option for each in SETTINGS.values()}) == len(SETTINGS)


@given(st.integers(0, 65535), st.integers(0, 10_000), st.floats(1e-3, 1e6))
def test_replace_keeps_all_other_settings(port: int, streamers: int, speed: float) -> None:
    before = Settings(fps=10)
    after = before.replace(port=port, streamers=streamers, speed=speed)
    changed = {"port": port, "streamers": streamers, "speed": speed}
    assert {name: getattr(after, name) for name in changed} == changed
    for name in set(SETTING_NAMES) - set(changed):
        assert getattr(after, name) == getattr(before, name)


def test_settings_are_immutable_values() -> None:
    settings = Settings(regions=[Region("here")])
    assert settings.regions == (Region("here"),)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.port = 1  # type: ignore[misc]


def test_default_limits_are_the_free_plan() -> None:
    assert Settings().limits == PLANS["free"]


def test_unlimited_plan_has_no_limits() -> None:
    settings = Settings().replace(plan="unlimited")
    assert settings.limits == PLANS["unlimited"]
    assert {getattr(settings, name) for name in LIMIT_NAMES} == {None}
    assert settings.dangling_session == 900, (
        f"expected dangling_session to stay 900, got {settings.dangling_session}: a plan sets account limits only"
    )


@given(st.sampled_from(sorted(PLANS)), st.sampled_from(LIMIT_NAMES), st.none() | st.integers(1, 99))
def test_limits_override_plan_and_plan_overrides_settings(plan: Plan, name: str, value: int | None) -> None:
    before = Settings(concurrent_sessions=77, stream_duration=7, inactivity=7)
    named: dict[str, Any] = {name: value}
    settings = before.replace(plan=plan, **named)
    assert settings.limits == dataclasses.replace(PLANS[plan], **named)
    assert AccountSettings(plan=plan, **named).limits(before.limits) == settings.limits
    assert AccountSettings(**named).limits(before.limits) == dataclasses.replace(before.limits, **named)


@pytest.mark.parametrize("plan", ["golden", "", 5, ["free"]])
def test_unknown_plan_is_rejected_with_known_plans(plan: Any) -> None:  # Any: invalid on purpose
    expected = "must be one of 'free', 'unlimited'"
    with pytest.raises(SettingsError, match=f"^plan {expected}, got {re.escape(repr(plan))}$"):
        Settings().replace(plan=plan)
    with pytest.raises(SettingsError, match=f"^plan of a key {expected}(, got 5)?$"):
        Settings(keys={"ody_good": AccountSettings(plan=plan)})


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_invalid_key_limit_does_not_reveal_the_key(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} of a key must be a .*, or None for no limit, got -1$") as error:
        Settings(keys={"ody_hush": AccountSettings(**{name: -1})})  # type: ignore[arg-type]  # the name is a variable
    assert "ody_hush" not in str(error.value)
