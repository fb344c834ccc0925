"""Tests of values of settings from text and data, and of messages about invalid ones."""

import contextlib
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock import AccountSettings, Region, Settings, SettingsError, UnknownSettingError
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.setting_values import from_data, from_text, to_data
from odyssey_mock.settings import SETTINGS

TEXTS: Mapping[str, tuple[str, object]] = {
    "host": ("::1", "::1"),
    "port": ("8500", 8500),
    "tls": ("true", True),
    "tls_dir": ("certificates", "certificates"),
    "tls_cert": ("cert.pem", "cert.pem"),
    "tls_key": ("key.pem", "key.pem"),
    "loopback_only": ("true", True),
    "udp_ports": ("50000-50100", "50000-50100"),
    "udp_addresses": ("192.0.2.1, 2001:db8::1", ["192.0.2.1", "2001:db8::1"]),
    "ice_servers": ('[{"urls": "stun:192.0.2.1"}]', [{"urls": "stun:192.0.2.1"}]),
    "public_url": ("https://example.com/mock", "https://example.com/mock"),
    "trusted_proxies": ("10.0.0.0/8, fd00::1", ["10.0.0.0/8", "fd00::1"]),
    "control_hosts": ("mock, mock.lan", ["mock", "mock.lan"]),
    "control_token": ("0123456789abcdef", "0123456789abcdef"),
    "clock": ("manual", "manual"),
    "speed": ("2.5", 2.5),
    "seed": ("none", None),
    "state_dir": ("mock-state", "mock-state"),
    "latency": ("slow", "slow"),
    "keys": ('{"ody_anna": {"plan": "unlimited"}}', {"ody_anna": AccountSettings(plan="unlimited")}),
    "bypass_privilege": ("False", False),
    "access_token_lifetime": ("60", 60),
    "session_token_lifetime": ("61.5", 61.5),
    "usage_error_form": ("string", "string"),
    "regions": (
        '["here", {"id": "there", "latency": 0.5}, "far=1"]',
        [Region("here"), Region("there", 0.5), Region("far", 1)],
    ),
    "streamers": ("0", 0),
    "dangling_session": ("62", 62),
    "session_grace": ("0", 0),
    "stale_session": ("40", 40),
    "image_to_video": ("false", False),
    "max_image_bytes": ("1000", 1000),
    "end_without_stream": ("error", "error"),
    "channel_delay": ("0", 0),
    "fps": ("10", 10),
    "portrait_size": ("176x320", (176, 320)),
    "landscape_size": ("320x176", (320, 176)),
    "overlay": ("none", "none"),
    "start_image_fit": ("service_crop", "service_crop"),
    "fonts": ("bundled", "bundled"),
    "bitrate": ("500000", 500_000),
    "keyframe_gap": ("1e-1", 0.1),
    "broadcast_spectators": ("0", 0),
    "spectators": ("3", 3),
    "spectator_handshake": ("5", 5),
    "hls": ("false", False),
    "hls_segment_duration": ("2", 2),
    "hls_segments": ("3", 3),
    "hls_linger": ("1", 1),
    "simulation_workers": ("0", 0),
    "simulation_priority": ("high", "high"),
    "simulation_dispatch_delay": ("1", 1),
    "simulation_start_delay": ("1.5", 1.5),
    "simulation_pace": ("0", 0),
    "simulation_duration": ("9", 9),
    "simulation_retries": ("0", 0),
    "cancel_processing": ("false", False),
    "script_url_hosts": ("files.example, localhost", ["files.example", "localhost"]),
    "private_script_urls_from_pages": ("true", True),
    "script_url_timeout": ("1", 1),
    "script_url_bytes": ("1", 1),
    "artifact_url_lifetime": ("1", 1),
    "faults": ('{"at": "stream.start", "do": "silent"}', [{"at": "stream.start", "do": "silent"}]),
    "network_profile": ('{"loss": 0.3, "to_client": {"rate": 2e6}}', {"loss": 0.3, "to_client": {"rate": 2e6}}),
    "jobs_limit": ("1", 1),
    "streams_limit": ("1", 1),
    "journal_limit": ("1", 1),
    "journal_bytes": ("1000", 1000),
    "concurrent_sessions": ("none", None),
    "monthly_hours": ("2.5", 2.5),
    "queued_simulations": ("3", 3),
    "connection_duration": ("none", None),
    "inactivity": ("5", 5),
    "stream_duration": ("9", 9),
}
"""For each setting, a text and the value that it describes."""


def test_table_of_texts_covers_every_setting() -> None:
    assert TEXTS.keys() == SETTINGS.keys()


NEEDED: Mapping[str, Mapping[str, str]] = {"tls_cert": {"tls_key": "key.pem"}, "tls_key": {"tls_cert": "cert.pem"}}
"""For each setting that is invalid without another one: the other one."""


@pytest.mark.parametrize("name", TEXTS)
def test_text_of_every_setting_is_parsed(name: str) -> None:
    text, expected = TEXTS[name]
    assert from_text(name, text) == expected
    Settings().replace(**{name: expected}, **NEEDED.get(name, {}))  # type: ignore[arg-type]  # the name is a variable


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("portrait_size", [176, 320], (176, 320)),
        ("portrait_size", "176x320", (176, 320)),
        ("script_url_hosts", ["files.example"], ["files.example"]),
        ("stream_duration", None, None),
        ("stream_duration", "none", None),
        ("keys", None, None),
        ("keys", ["ody_anna"], {"ody_anna": AccountSettings()}),
        ("keys", {"ody_anna": None}, {"ody_anna": AccountSettings()}),
        ("keys", {"ody_anna": {"stream_duration": "none"}}, {"ody_anna": AccountSettings(stream_duration=None)}),
        ("regions", [{"id": "here"}], [Region("here")]),
        ("network_profile", "tunnel", "tunnel"),
        ("network_profile", "none", None),
        ("network_profile", {"delay": 0.1}, {"delay": 0.1}),
    ],
)
def test_data_of_lists_and_objects_is_parsed(name: str, data: JSON, expected: object) -> None:
    assert from_data(name, data) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("fps", "fast", "fps must be a whole number from 1 to 240, got 'fast'"),
        ("fps", "none", "fps must be a whole number from 1 to 240, got 'none'"),
        ("speed", "nan", "speed must be a number above 0, at most 1000000, got nan"),
        ("speed", "9" * 400, "speed must be a number above 0, at most 1000000, got 9999"),
        ("speed", "9" * 5000, "speed must be a number above 0, at most 1000000, got inf"),
        ("hls", "yes", "hls must be True or False, got 'yes'"),
        ("network_profile", "5g", "network_profile must be None, .*: unknown preset '5g'; known: lossy-wifi, 3g"),
        ("network_profile", '{"loss": 2}', "network_profile must be .*: loss must be a number from 0 to 1; got 2"),
        ("network_profile", "{loss: 2}", "network_profile must be JSON: "),
        ("clock", "sundial", "clock must be 'real' or 'manual', got 'sundial'"),
        ("portrait_size", "705x1280", "portrait_size must be .*, got [(]705, 1280[)]"),
        ("portrait_size", "large", "portrait_size must be .*, got 'large'"),
        ("regions", "here", "regions must be JSON: Expecting value"),
        (
            "regions",
            '[{"id": "here", "id": "there"}]',
            "regions must be JSON: an object must have each name once, got 'id'",
        ),
        ("regions", '["here=soon"]', "a region must be NAME or NAME=SECONDS, got 'here=soon'"),
        ("regions", '[{"id": "here", "latancy": 1}]', "regions: unknown field 'latancy'; did you mean 'latency'"),
        ("regions", '[{"id": "here", "latency": "1"}]', "regions must be a non-empty list of Region"),
        ("script_url_hosts", "http://files", "script_url_hosts must be a list of host names"),
    ],
)
def test_invalid_text_is_rejected_with_name_and_value(name: str, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{message}"):
        from_text(name, text)


@pytest.mark.parametrize(
    "text",
    [
        "ody_hush",
        '["hush"]',
        '{"ody_hush": 5}',
        '{"ody_hush": {"plan": "golden"}}',
        '{"ody_hush": {"plann": "free"}}',
        '{"ody_hush": {"stream_duration": 0}}',
        '{"ody_hush": {"bypass_privilege": "yes"}}',
        '{"ody_hush": {"simulation_priority": "urgent"}}',
        '{"ody_hush": {}',
        '{"accounts": {"ody_hush": {}}}',
        '{"accounts": {"hush": {}}}',
        '{"ody_good": {"plan": "hush"}}',
        '{"ody_good": {"plan": "ody_hush"}}',
        '{"ody_good": {"plan": ["hush"]}}',
        '{"ody_good": {"stream_duration": "hush"}}',
        '{"ody_hush": {}, "ody_hush": {}}',
    ],
)
def test_message_about_keys_contains_no_key(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        from_text("keys", text)
    assert "key" in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("parse", [from_text, from_data])
def test_unknown_name_is_rejected_with_the_nearest_name(parse: object) -> None:
    with pytest.raises(UnknownSettingError, match=r"^unknown setting 'concurent_sessions'; did you mean 'concurrent_s"):
        parse("concurent_sessions", "1")  # type: ignore[operator]  # one of two functions


@pytest.mark.parametrize("name", sorted(SETTINGS.keys() - {"keys", "faults"}))
def test_default_survives_conversion_to_data(name: str) -> None:
    value = getattr(Settings(), name)
    read = from_data(name, json.loads(json.dumps(to_data(value))))
    assert (tuple(read) if isinstance(read, list) else read) == value


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**308, 10**309, -(10**400), 10**4000])
    | st.floats()
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(SETTINGS)), json_values)
def test_any_data_is_valid_or_rejected(name: str, data: JSON) -> None:
    with contextlib.suppress(SettingsError):
        Settings().replace(**{name: from_data(name, data)})


@given(st.sampled_from(sorted(SETTINGS)), st.text(max_size=12) | json_values.map(json.dumps))
def test_any_text_is_valid_or_rejected(name: str, text: str) -> None:
    with contextlib.suppress(SettingsError):
        Settings().replace(**{name: from_text(name, text)})
