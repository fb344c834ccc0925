"""Settings: the vendor's words for what is wrong with them, and where each comes from."""

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


def test_arguments_win_over_the_environment_and_the_environment_over_defaults() -> None:
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
def test_the_vendors_constructor_messages_word_for_word(
    arguments: dict[str, Any], env: dict[str, str], beginning: str
) -> None:
    with pytest.raises(OdysseyConfigError) as caught:
        resolve(env, **arguments)
    assert str(caught.value).startswith(beginning)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, OdysseyError)


def test_an_empty_key_says_where_it_came_from() -> None:
    with pytest.raises(OdysseyConfigError, match="the environment variable ODYSSEY_API_KEY is"):
        resolve({"ODYSSEY_API_KEY": " "}, api_key=None)
    with pytest.raises(OdysseyConfigError, match="the api_key argument is"):
        resolve(api_key="")


def test_white_space_around_a_key_read_from_a_file_is_dropped() -> None:
    assert resolve(api_key="ody_test\n").api_key == "ody_test"


@pytest.mark.parametrize("env", [{}, {"ODYSSEY_API_KEY": ""}])
def test_a_client_without_a_key_is_told_so_by_the_call_that_needs_one(env: dict[str, str]) -> None:
    config = ClientConfig.resolve(env=env, api_key_required=False)
    assert config.api_key is None
    with pytest.raises(OdysseyConfigError, match=r"^Odyssey: api_key is required and must be a string: this call"):
        config.require_api_key()


def test_a_client_that_needs_no_key_uses_one_that_is_there() -> None:
    config = ClientConfig.resolve(env={"ODYSSEY_API_KEY": "ody_env"}, api_key_required=False)
    assert config.require_api_key() == "ody_env"


@pytest.mark.parametrize(
    "url",
    ["", "api.odyssey.ml", "ftp://host", "http://", "http://host:port", "http://host:99999", "http://[::1", 8400],
)
def test_an_api_url_that_is_none_is_refused(url: object) -> None:
    with pytest.raises(OdysseyConfigError, match="api_url"):
        resolve(api_url=url)


@pytest.mark.parametrize("url", ["https://user:s3cret@host", "https://host/?key=s3cret", "https://host/#s3cret"])
def test_an_api_url_with_a_secret_in_it_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(OdysseyConfigError) as caught:
        resolve(api_url=url)
    assert "s3cret" not in str(caught.value)


def test_the_key_is_not_in_the_repr() -> None:
    assert "ody_test" not in repr(resolve())


def test_the_defaults_are_the_protocols() -> None:
    advanced = AdvancedConfig()
    assert (advanced.max_retries, advanced.initial_retry_delay_ms, advanced.max_retry_delay_ms) == (5, 1000, 2000)
    assert (advanced.queue_timeout_s, advanced.connect_timeout_s, advanced.keepalive_interval_s) == (30, 30, 10)
    assert (advanced.peer_timeout_s, advanced.reconnect) == (5, "new_session")
    assert advanced.telemetry


@given(
    name=st.sampled_from([setting.name for setting in fields(AdvancedConfig)]),
    value=st.one_of(st.text(), st.none(), st.just(math.nan), st.just(math.inf), st.floats(max_value=-0.001)),
)
def test_no_setting_takes_text_nothing_infinity_or_a_negative_number(name: str, value: Any) -> None:
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
def test_a_setting_of_the_wrong_type_or_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OdysseyConfigError, match=next(iter(wrong))):
        AdvancedConfig(**wrong)


@pytest.mark.parametrize("name", ["connect_timeout_s", "operation_timeout_s", "request_timeout_s"])
def test_a_time_limit_of_zero_is_refused_but_a_queue_timeout_of_zero_is_not(name: str) -> None:
    zero: dict[str, Any] = {name: 0}
    with pytest.raises(OdysseyConfigError, match="above 0"):
        AdvancedConfig(**zero)
    assert AdvancedConfig(queue_timeout_s=0).queue_timeout_s == 0


def test_retry_delays_that_cross_are_refused() -> None:
    with pytest.raises(OdysseyConfigError, match=r"max_retry_delay_ms \(10\)"):
        AdvancedConfig(initial_retry_delay_ms=20, max_retry_delay_ms=10)
