"""Tests of the client's settings: arguments, environment variables, validation, and the vendor's error messages."""

import math
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.config import AdvancedConfig, ClientConfig
from odyssey_client.errors import OdysseyConfigError, OdysseyError


def resolve(env: dict[str, str] | None = None, **arguments: Any) -> ClientConfig:
    return ClientConfig.resolve(**{"api_key": "ody_test", **arguments}, env=env or {})


def test_arguments_override_environment_and_defaults() -> None:
    env = {"ODYSSEY_API_KEY": "ody_env", "ODYSSEY_API_URL": "http://env:8400/"}
    assert resolve(env, api_key=None).api_key == "ody_env"
    assert resolve(env).api_key == "ody_test"
    assert resolve(env).api_url == "http://env:8400"
    assert resolve(env, api_url="https://argument/prefix/").api_url == "https://argument/prefix"
    assert resolve().api_url == "https://api.odyssey.ml"


@pytest.mark.parametrize(
    ("arguments", "env", "beginning"),
    [
        ({"api_key": None}, {}, "Odyssey: api_key is required and must be a string"),
        ({"api_key": 42}, {}, "Odyssey: api_key is required and must be a string, got int"),
        ({"api_key": b"ody_x"}, {}, "Odyssey: api_key is required and must be a string, got bytes"),
        ({"api_key": ""}, {"ODYSSEY_API_KEY": "ody_env"}, "Odyssey: api_key cannot be empty"),
        ({"api_key": " \n"}, {}, "Odyssey: api_key cannot be empty"),
        ({"api_key": None}, {"ODYSSEY_API_KEY": ""}, "Odyssey: api_key cannot be empty"),
        ({"advanced": {"max_retries": 1}}, {}, "Odyssey: config object is required"),
        ({"advanced": 3}, {}, "Odyssey: config object is required"),
    ],
)
def test_constructor_errors_use_the_vendors_messages(
    arguments: dict[str, Any], env: dict[str, str], beginning: str
) -> None:
    with pytest.raises(OdysseyConfigError) as caught:
        resolve(env, **arguments)
    assert str(caught.value).startswith(beginning)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, OdysseyError)


def test_error_for_empty_key_names_source() -> None:
    with pytest.raises(OdysseyConfigError, match="the environment variable ODYSSEY_API_KEY is empty"):
        resolve({"ODYSSEY_API_KEY": " "}, api_key=None)
    with pytest.raises(OdysseyConfigError, match="the api_key argument is empty"):
        resolve(api_key="")


@pytest.mark.parametrize(
    ("key", "env", "source"),
    [
        ("ody_h\udcffnter", {}, "the api_key argument"),
        (None, {"ODYSSEY_API_KEY": " ody_h\udcffnter"}, "the environment variable ODYSSEY_API_KEY"),
    ],
)
def test_key_that_utf_8_cannot_encode_is_rejected(key: str | None, env: dict[str, str], source: str) -> None:
    with pytest.raises(OdysseyConfigError, match=f"got a lone surrogate at index 5 in {source}") as caught:
        resolve(env, api_key=key)
    assert "ody_" not in str(caught.value)


@given(key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_every_other_key_is_accepted(key: str) -> None:
    assert resolve(api_key=key).api_key == key.strip()


def test_whitespace_around_key_is_removed() -> None:
    assert resolve(api_key="ody_test\n").api_key == "ody_test"


@pytest.mark.parametrize("env", [{}, {"ODYSSEY_API_KEY": ""}])
def test_call_that_needs_missing_key_raises(env: dict[str, str]) -> None:
    config = ClientConfig.resolve(env=env, api_key_required=False)
    assert config.api_key is None
    with pytest.raises(OdysseyConfigError, match=r"^Odyssey: api_key is required and must be a string: this call"):
        config.require_api_key()


def test_optional_key_is_read_from_environment() -> None:
    config = ClientConfig.resolve(env={"ODYSSEY_API_KEY": "ody_env"}, api_key_required=False)
    assert config.require_api_key() == "ody_env"


@pytest.mark.parametrize(
    "url",
    [
        *("", "api.odyssey.ml", "ftp://host", "http://", "http://host:port", "http://host:99999", "http://[::1", 8400),
        *("http://h\udcffst", "http://host/a\udcffb", "http://a host", "http://ho\nst", "http://host/\0"),
    ],
)
def test_invalid_api_url_is_rejected(url: object) -> None:
    with pytest.raises(OdysseyConfigError, match="api_url"):
        resolve(api_url=url)


@pytest.mark.parametrize("url", ["https://user:s3cret@host", "https://host/?key=s3cret", "https://host/#s3cret"])
def test_error_for_api_url_omits_its_secret(url: str) -> None:
    with pytest.raises(OdysseyConfigError) as caught:
        resolve(api_url=url)
    assert "s3cret" not in str(caught.value)


def test_repr_does_not_contain_key() -> None:
    assert "ody_test" not in repr(resolve())


def test_defaults_are_those_of_the_protocol() -> None:
    advanced = AdvancedConfig()
    assert (advanced.max_retries, advanced.initial_retry_delay_ms, advanced.max_retry_delay_ms) == (5, 1000, 2000)
    assert (advanced.queue_timeout_s, advanced.connect_timeout_s, advanced.keepalive_interval_s) == (30, 30, 10)
    assert (advanced.peer_timeout_s, advanced.reconnect) == (5, "new_session")
    assert advanced.telemetry


@given(
    name=st.sampled_from([setting.name for setting in fields(AdvancedConfig)]),
    value=st.one_of(st.text(), st.none(), st.sampled_from([math.nan, math.inf, 10**400]), st.floats(max_value=-0.001)),
)
def test_every_setting_rejects_text_none_nan_and_negatives(name: str, value: Any) -> None:
    with pytest.raises(OdysseyConfigError, match=rf"^AdvancedConfig\.{name} must be "):
        AdvancedConfig(**{name: value})


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_retries": 1.5},
        {"max_retries": True},
        {"telemetry": 1},
        {"retry_backoff_multiplier": 0.5},
        {"reconnect": "always"},
        {"reconnect": True},
        {"peer_timeout_s": 0},
    ],
)
def test_setting_of_wrong_type_or_range_is_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(OdysseyConfigError, match=next(iter(wrong))):
        AdvancedConfig(**wrong)


@pytest.mark.parametrize("name", ["connect_timeout_s", "operation_timeout_s", "request_timeout_s"])
def test_zero_time_limit_is_rejected_except_queue_timeout(name: str) -> None:
    zero: dict[str, Any] = {name: 0}
    with pytest.raises(OdysseyConfigError, match="above 0"):
        AdvancedConfig(**zero)
    assert AdvancedConfig(queue_timeout_s=0).queue_timeout_s == 0


def test_initial_delay_above_maximum_is_rejected() -> None:
    with pytest.raises(OdysseyConfigError, match=r"max_retry_delay_ms \(10\)"):
        AdvancedConfig(initial_retry_delay_ms=20, max_retry_delay_ms=10)
