import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.impairment.presets import NETWORK_PRESETS, profile_of
from odyssey_mock.impairment.profile import TRAFFIC, Impairment, NetworkProfile, NetworkProfileError

VALUES = {
    "delay": st.floats(0, 60),
    "jitter": st.floats(0, 60),
    "duplicate": st.floats(0, 1),
    "loss": st.floats(0, 0.5),
    "loss_burst": st.none() | st.floats(1, 1000),
    "rate": st.none() | st.floats(1000, 1e9),
    "queue": st.floats(0.001, 60),
    "silence": st.floats(0, 10),
    "silence_after": st.floats(0, 86_400),
    "silence_every": st.none() | st.floats(11, 86_400),
}
SIDE: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({}, optional=VALUES)  # Any: JSON


@given(SIDE, SIDE, st.lists(st.sampled_from(TRAFFIC), min_size=1, unique=True))
def test_data_describe_equal_profile(one: dict[str, Any], other: dict[str, Any], traffic: list[Any]) -> None:
    profile = NetworkProfile.from_data({"to_client": one, "from_client": other, "traffic": traffic})
    assert NetworkProfile.from_data(profile.to_data()) == profile
    assert profile.of("to_client") == Impairment(**one)
    assert profile.of("from_client") == Impairment(**other)


def test_direction_may_have_its_own_values() -> None:
    profile = NetworkProfile.from_data({"loss": 0.1, "delay": 0.2, "from_client": {"loss": 0, "rate": 1e6}})
    assert profile.to_client == Impairment(loss=0.1, delay=0.2)
    assert profile.from_client == Impairment(loss=0, delay=0.2, rate=1e6)
    assert profile.traffic == TRAFFIC


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"los": 0.1}, "unknown field 'los'; did you mean 'loss'? known: loss, loss_burst, delay,"),
        ({"to_client": {"traffic": ["media"]}}, "unknown field 'traffic'; "),
        ({"to_client": 3}, "to_client must be an object, got int"),
        ({"loss": 1.5}, "loss must be a number from 0 to 1; got 1.5"),
        ({"loss": True}, "loss must be a number from 0 to 1; got True"),
        ({"loss": float("nan")}, "loss must be a number from 0 to 1; got nan"),
        ({"delay": "1s"}, "delay must be a number from 0 to 60; got '1s'"),
        ({"queue": 0}, "queue must be a number above 0, at most 60; got 0"),
        ({"rate": 5}, "rate must be a number from 1000 to 1e+10, or null; got 5"),
        (
            {"loss": 0.9, "loss_burst": 2},
            "loss_burst must be at least 9 with a loss of 0.9, because shorter bursts lose less; got 2",
        ),
        (
            {"reorder": 0.1},
            "reorder requires a delay above 0, because reordered packets overtake delayed ones; got a delay of 0",
        ),
        ({"silence": 20, "silence_every": 20}, "silence_every must be greater than silence, which is 20; got 20"),
        ({"traffic": []}, "traffic must be a non-empty list with some of media, data_channels, stun, signaling; got"),
        ({"traffic": "media"}, "traffic must be a non-empty list"),
    ],
)
def test_invalid_conditions_are_rejected(data: Mapping[str, JSON], message: str) -> None:
    with pytest.raises(NetworkProfileError, match=re.escape(message)):
        NetworkProfile.from_data(data)


def test_unknown_preset_is_rejected() -> None:
    with pytest.raises(NetworkProfileError, match=r"^unknown preset 'lossy-wifii'; known: lossy-wifi, 3g, "):
        profile_of("lossy-wifii")


def test_well_known_presets_exist() -> None:
    assert {"lossy-wifi", "3g", "4g", "dsl", "satellite", "tunnel"} <= {*NETWORK_PRESETS}
    tunnel = NETWORK_PRESETS["tunnel"].profile
    assert (tunnel.to_client.silence, tunnel.from_client.silence) == (20, 20)
