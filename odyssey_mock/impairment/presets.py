"""Presets: impaired networks with well-known names, and the sources of their figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.impairment.profile import NetworkProfile, NetworkProfileError

_WEBPAGETEST = "WebPageTest, `connectivity.ini`; half of its round-trip time in each direction"


@dataclass(frozen=True, slots=True)
class NetworkPreset:
    """A network with a name.

    Attributes:
        means: text that describes the network, for documentation.
        profile: the network.
        source: where its figures come from.
    """

    means: str
    profile: NetworkProfile
    source: str


def _preset(means: str, source: str, **data: JSON) -> NetworkPreset:
    return NetworkPreset(means, NetworkProfile.from_data(data), source)


NETWORK_PRESETS: Mapping[str, NetworkPreset] = MappingProxyType(
    {
        "lossy-wifi": _preset(
            "Wi-Fi at the edge of its range: bursts of lost packets, and jitter",
            "assumed: 5 % loss in bursts of 3, as retransmissions of a busy channel give up",
            loss=0.05,
            loss_burst=3,
            delay=0.01,
            jitter=0.01,
            rate=20e6,
        ),
        "3g": _preset(
            "a mobile network whose rate is near the maximum of the video",
            _WEBPAGETEST,
            delay=0.15,
            to_client={"rate": 1.6e6},
            from_client={"rate": 768e3},
        ),
        "slow-3g": _preset(
            "a mobile network whose rate is below the maximum of the video",
            _WEBPAGETEST,
            delay=0.2,
            rate=400e3,
            queue=0.5,
        ),
        "4g": _preset("a mobile network", _WEBPAGETEST, delay=0.085, rate=9e6),
        "lte": _preset("a fast mobile network", _WEBPAGETEST, delay=0.035, rate=12e6),
        "dsl": _preset(
            "a telephone line whose rate is near the maximum of the video",
            _WEBPAGETEST,
            delay=0.025,
            to_client={"rate": 1.5e6},
            from_client={"rate": 384e3},
        ),
        "cable": _preset(
            "a cable modem", _WEBPAGETEST, delay=0.014, to_client={"rate": 5e6}, from_client={"rate": 1e6}
        ),
        "satellite": _preset(
            "a geostationary satellite: more than half a second from a prompt to its picture",
            "RFC 2488 section 2: 279 ms for one hop; rates assumed",
            delay=0.279,
            jitter=0.005,
            to_client={"rate": 20e6},
            from_client={"rate": 3e6},
        ),
        "very-bad-network": _preset(
            "a network that is barely usable",
            "Apple, Network Link Conditioner, `Very Bad Network`",
            loss=0.1,
            delay=0.5,
            rate=1e6,
        ),
        "tunnel": _preset(
            "a train: after 10 seconds, nothing passes for 20 seconds; again each minute",
            "assumed: a tunnel of 800 m at 140 km/h",
            silence=20,
            silence_after=10,
            silence_every=60,
        ),
    }
)
"""All presets by name, in the order in which a form shows them."""


def profile_of(network: str | Mapping[str, JSON] | None) -> NetworkProfile | None:
    """Return the network that the name of a preset, or an object, describes; None for None.

    Raises:
        NetworkProfileError: no preset has this name, or the object is invalid.
    """
    if network is None:
        return None
    if isinstance(network, str):
        return _named(network)
    if not isinstance(network, Mapping):
        raise NetworkProfileError(
            f"expected the name of a preset, or an object such as {{'loss': 0.1}}; got {type(network).__name__}"
        )
    return NetworkProfile.from_data(network)


def profile_error(network: Any) -> NetworkProfileError | None:  # Any: the value has not been validated yet
    """Return the error that `profile_of(network)` raises; None if it returns a profile, or None."""
    try:
        profile_of(network)
    except NetworkProfileError as error:
        return error
    return None


@cache
def _named(name: str) -> NetworkProfile:
    if name not in NETWORK_PRESETS:
        raise NetworkProfileError(f"unknown preset {name[:80]!r}; known: {', '.join(NETWORK_PRESETS)}")
    return NETWORK_PRESETS[name].profile
