"""`NetworkProfile`, the description of an impaired network, and its conversion from data.

The names are those of `tc netem` and of the simulated network in WebRTC's own tests. Times are seconds, rates are bits
per second, and probabilities are numbers from 0 to 1.
"""

import dataclasses
import difflib
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, Self, get_args

from odyssey_mock.core.clock import GRAIN
from odyssey_mock.core.strict_json import JSON

type Direction = Literal["to_client", "from_client"]
type TrafficKind = Literal["media", "data_channels", "stun", "signaling"]
"""What a packet carries: SRTP and SRTCP, DTLS and SCTP, STUN, or messages of the signaling WebSocket.

STUN has the connectivity checks of ICE and the consent checks, without which a peer connection ends (RFC 7675).
"""

DIRECTIONS: tuple[Direction, ...] = get_args(Direction.__value__)
TRAFFIC: tuple[TrafficKind, ...] = get_args(TrafficKind.__value__)

_DTLS, _RTP = 20, 128
"""The smallest first byte of a datagram of DTLS, and of one of SRTP or SRTCP (RFC 7983 section 7)."""

LONGEST_DELAY = 60.0
"""Maximum of `delay`, `jitter` and `queue` in seconds: every protocol of a session gives up earlier."""
LONGEST_SILENCE = 86_400.0
"""Maximum of the times of a silence in seconds: one day, as the longest delay of a fault."""
LONGEST_BURST = 1000.0
"""Maximum of `loss_burst` in packets: several seconds of video."""
SLOWEST, FASTEST = 1000.0, 10e9
"""Range of `rate`. At 1000 bits per second, one datagram takes ten seconds."""

_ECHO = reprlib.Repr(maxstring=80, maxother=80)


class NetworkProfileError(ValueError):
    """A network is described incorrectly. The message states the field, the expected values and what was received."""


def _limited(least: float, most: float, *, above: bool = False) -> Any:  # Any: as `dataclasses.field`
    """Return metadata of a field for numbers from `least` to `most`; with `above`, for numbers greater than `least`."""
    return MappingProxyType({"least": least, "most": most, "above": above})


_PROBABILITY = _limited(0, 1)
_DELAY = _limited(0, LONGEST_DELAY)
_SILENCE = _limited(0, LONGEST_SILENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """What a network does to the packets of one direction.

    Raises:
        NetworkProfileError: a value is out of its range, or two values contradict each other.
    """

    loss: float = field(default=0.0, metadata=_PROBABILITY)
    """The fraction of packets that are lost."""
    loss_burst: float | None = field(default=None, metadata=_limited(1, LONGEST_BURST))
    """The mean number of media packets that are lost in a row (simple Gilbert model); None loses each independently.

    Packets of other kinds are always lost independently: they are rare, so that a burst would last for seconds.
    """
    delay: float = field(default=0.0, metadata=_DELAY)
    """Seconds that a packet takes, in addition to those of the real network."""
    jitter: float = field(default=0.0, metadata=_DELAY)
    """Maximum deviation from `delay` in seconds. The deviations are distributed uniformly, and keep the order."""
    reorder: float = field(default=0.0, metadata=_PROBABILITY)
    """The fraction of packets that are delivered without the delay, ahead of earlier ones; requires a `delay`."""
    duplicate: float = field(default=0.0, metadata=_PROBABILITY)
    """The fraction of packets that are delivered twice."""
    rate: float | None = field(default=None, metadata=_limited(SLOWEST, FASTEST))
    """Bits per second; None is no limit. IP and UDP headers count."""
    queue: float = field(default=0.25, metadata=_limited(0, LONGEST_DELAY, above=True))
    """Seconds of data at `rate` that wait at most. Further packets are lost (tail drop)."""
    silence: float = field(default=0.0, metadata=_SILENCE)
    """Seconds without any traffic, as in a tunnel; 0 is none."""
    silence_after: float = field(default=0.0, metadata=_SILENCE)
    """Seconds until the silence begins, counted from the beginning of the impairment."""
    silence_every: float | None = field(default=None, metadata=_limited(0, LONGEST_SILENCE, above=True))
    """Seconds from the beginning of a silence to the beginning of the next one; None is a single silence."""

    def __post_init__(self) -> None:
        for name, each in _fields().items():
            _check(name, getattr(self, name), each)
        if self.loss_burst is not None and self.loss < 1 and self.loss > self.loss_burst * (1 - self.loss):
            raise NetworkProfileError(
                f"loss_burst must be at least {self.loss / (1 - self.loss):g} with a loss of {self.loss:g}, because "
                f"shorter bursts lose less; got {self.loss_burst:g}"
            )
        if self.reorder and not self.delay:
            raise NetworkProfileError(
                "reorder requires a delay above 0, because reordered packets overtake delayed ones; got a delay of 0"
            )
        if self.silence_every is not None and self.silence_every <= self.silence:
            raise NetworkProfileError(
                f"silence_every must be greater than silence, which is {self.silence:g}; got {self.silence_every:g}"
            )

    def silence_left(self, elapsed: float) -> float:
        """Return how many seconds the silence continues, `elapsed` seconds after the beginning; 0 if there is none.

        A silence begins and ends up to `GRAIN` early, because the times of a clock are rounded.
        """
        since = elapsed - self.silence_after
        if not self.silence or since < -GRAIN:
            return 0.0
        if self.silence_every is not None:
            since %= self.silence_every
            if since >= self.silence_every - GRAIN:
                since = 0.0
        left = self.silence - since
        return left if left > GRAIN else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkProfile:
    """The network between the mock and a client.

    Attributes:
        to_client: the impairment of packets from the mock to the client.
        from_client: the impairment of packets from the client to the mock.
        traffic: the kinds of packets that are impaired. Others pass at once.
    """

    to_client: Impairment = field(default_factory=Impairment)
    from_client: Impairment = field(default_factory=Impairment)
    traffic: tuple[TrafficKind, ...] = TRAFFIC

    def of(self, direction: Direction) -> Impairment:
        """Return the impairment of one direction."""
        return self.to_client if direction == "to_client" else self.from_client

    @classmethod
    def from_data(cls, data: Mapping[str, JSON]) -> Self:
        """Parse an object with the fields of `Impairment`, which apply to both directions.

        `to_client` and `from_client` are objects with other values for one direction. `traffic` is a list of kinds.

        Raises:
            NetworkProfileError: a field is unknown, or a value is invalid.
        """
        both = {name: value for name, value in data.items() if name not in _NOT_OF_BOTH}
        _check_names(both, (*_fields(), *_NOT_OF_BOTH))
        impairments = {name: _impairment(both, name, data.get(name, {})) for name in DIRECTIONS}
        return cls(**impairments, traffic=_traffic(data.get("traffic", list(TRAFFIC))))

    def to_data(self) -> dict[str, JSON]:
        """Return an object from which `from_data` creates an equal description."""
        sides: dict[str, JSON] = {name: _changed(self.of(name)) for name in DIRECTIONS}
        return {**sides, "traffic": list(self.traffic)}


_NOT_OF_BOTH = (*DIRECTIONS, "traffic")


@cache
def _fields() -> Mapping[str, "dataclasses.Field[Any]"]:  # Any: the types of the fields differ
    return MappingProxyType({each.name: each for each in dataclasses.fields(Impairment)})


def field_names() -> Sequence[str]:
    """Return the names of the fields of an `Impairment`."""
    return tuple(_fields())


def field_range(name: str) -> tuple[float, float, bool]:
    """Return the least and the greatest value of a field of `Impairment`, and whether the least one is excluded."""
    limits = _fields()[name].metadata
    return limits["least"], limits["most"], limits["above"]


def may_be_none(name: str) -> bool:
    """Return whether a field of `Impairment` may be None."""
    return _fields()[name].default is None


def _check(name: str, value: object, declared: "dataclasses.Field[Any]") -> None:
    least, most, above = field_range(name)
    if value is None and declared.default is None:
        return
    if not (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and least <= value <= most
        and (value > least or not above)
    ):
        expected = f"above {least:g}, at most {most:g}" if above else f"from {least:g} to {most:g}"
        none = ", or null" if declared.default is None else ""
        raise NetworkProfileError(f"{name} must be a number {expected}{none}; got {_ECHO.repr(value)}")


def _impairment(both: Mapping[str, JSON], direction: Direction, own: JSON) -> Impairment:
    if not isinstance(own, Mapping):
        raise NetworkProfileError(f"{direction} must be an object, got {type(own).__name__}")
    _check_names(own, tuple(_fields()))
    return Impairment(**{**both, **own})  # type: ignore[arg-type]  # `Impairment` checks the types


def _traffic(data: JSON) -> tuple[TrafficKind, ...]:
    if not isinstance(data, list | tuple) or not data or not all(each in TRAFFIC for each in data):
        raise NetworkProfileError(
            f"traffic must be a non-empty list with some of {', '.join(TRAFFIC)}; got {_ECHO.repr(data)}"
        )
    return tuple(kind for kind in TRAFFIC if kind in data)


def _check_names(data: Mapping[str, JSON], known: Sequence[str]) -> None:
    for name in data:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise NetworkProfileError(f"unknown field {_ECHO.repr(name)}; {hint}known: {', '.join(known)}")


def _changed(impairment: Impairment) -> dict[str, JSON]:
    """Return the values of `impairment` that are not the defaults."""
    values = {name: getattr(impairment, name) for name in _fields()}
    return {name: value for name, value in values.items() if value != _fields()[name].default}


def kind_of(datagram: bytes) -> TrafficKind:
    """Return what a datagram of a peer connection carries, which its first byte tells (RFC 7983 section 7)."""
    first = datagram[0] if datagram else 0
    if first < _DTLS:
        return "stun"
    return "data_channels" if first < _RTP else "media"
