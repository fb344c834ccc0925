"""Every setting of a mock, declared once: type, default, rule, description and option of `odyssey-mock serve`.

The defaults are those of `protocol.md` section 7. To add a setting, add a field to `Settings` (to `Limits` where plans
differ in it) and its line to the keywords at the end of this file; a test compares the two.
"""

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Literal, Self, TypeAliasType, TypedDict, Unpack, get_args, get_type_hints

type PixelSize = tuple[int, int]
"""Width and height in pixels."""

type ClockKind = Literal["real", "manual"]
type UsageErrorForm = Literal["object", "string"]
type Priority = Literal["low", "normal", "high"]
type Plan = Literal["free", "unlimited"]

PRIORITIES: tuple[Priority, ...] = get_args(Priority.__value__)
"""Lowest first."""

KEY_PATTERN = r"^ody_[A-Za-z0-9_-]{4,}$"
"""What an API key looks like."""


class SettingsError(ValueError):
    """A setting has a value it cannot have; the message names the setting, what it expects and what came."""


class UnknownSettingError(TypeError):
    """No setting has that name; the message lists those there are."""


# What a value may be


def _echo(value: object) -> str:
    return f", not {value!r}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value may be.

    Attributes:
        expected: what it must be, as it stands after "must be".
        holds: whether a value is that.
        least: the least number, where it is one.
        above: whether it must be above `least`.
        most: the greatest number.
        unit: what stands for the value in the help of its option; None for its type.
        echo: how the message of an error ends, from the value that came.
    """

    expected: str
    holds: Callable[[Any], bool]  # Any: it is for the rule to judge the value
    least: int | None = None
    above: bool = False
    most: int | None = None
    unit: str | None = None
    echo: Callable[[Any], str] = _echo  # Any: as above

    def check(self, name: str, value: object) -> None:
        """Make sure that `value` is good for what has that name.

        Raises:
            SettingsError: it is not.
        """
        if not self.holds(value):
            raise SettingsError(f"{name} must be {self.expected}{self.echo(value)}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(expected: str, unit: str, *, above: bool = False) -> Rule:
    """A finite number, 0 or more, or `above` 0."""

    def holds(value: Any) -> bool:  # Any: as in `Rule`
        return _is_number(value) and (value > 0 if above else value >= 0)

    return Rule(expected, holds, least=0, above=above, unit=unit)


def _whole(expected: str, least: int, most: int | None = None) -> Rule:
    """A whole number in that range."""

    def holds(value: Any) -> bool:  # Any: as in `Rule`
        return _is_whole(value) and value >= least and (most is None or value <= most)

    return Rule(expected, holds, least=least, most=most, unit="NUMBER")


def _one_of(choices: TypeAliasType) -> Rule:
    """One of the texts of a `Literal`."""
    texts = get_args(choices.__value__)
    *others, last = map(repr, texts)
    return Rule(f"{', '.join(others)} or {last}", lambda value: isinstance(value, str) and value in texts)


def _or_none(rule: Rule) -> Rule:
    """The same of a limit, which there may be none of."""
    expected, holds = f"{rule.expected}, or None for no limit", rule.holds
    return dataclasses.replace(rule, expected=expected, holds=lambda value: value is None or holds(value))


def _is_size(value: object) -> bool:
    """Whether a frame of that size can be coded in 4:2:0, and has room for its stamp either way up."""
    if not (isinstance(value, tuple) and len(value) == 2):
        return False
    return all(_is_whole(side) and side >= 88 and side % 2 == 0 for side in value) and bool(max(value) >= 160)


def _are_hosts(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(each, str) and each != "" and "/" not in each for each in value)
    )


def _are_regions(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(isinstance(each, Region) and each.id and SECONDS_FROM_0.holds(each.latency) for each in value)
        and len({each.id for each in value}) == len(value)
    )


def _are_keys(value: object) -> bool:
    if value is None:
        return True
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(key, str) and re.fullmatch(KEY_PATTERN, key) is not None for key in value)
        and all(
            isinstance(each, AccountSettings) and each.simulation_priority in (None, *PRIORITIES)
            for each in value.values()
        )
    )


SECONDS = _number("a number of seconds above 0", "SECONDS", above=True)
SECONDS_FROM_0 = _number("a number of seconds, 0 or more", "SECONDS")
HOURS = _number("a number of hours, 0 or more", "HOURS")
SPEED = _number("a number above 0", "NUMBER", above=True)
COUNT = _whole("a whole number above 0", 1)
COUNT_FROM_0 = _whole("a whole number, 0 or more", 0)
PORT = _whole("a port from 0 to 65535", 0, 65535)
SEED = Rule("a whole number or None", lambda value: value is None or _is_whole(value), unit="NUMBER")
FLAG = Rule("True or False", lambda value: isinstance(value, bool))
ADDRESS = Rule("an address to listen on", lambda value: isinstance(value, str) and value != "")
SIZE = Rule("(width, height) in pixels, both even, at least 88x160 or 160x88", _is_size, least=88, unit="W H")
HOSTS = Rule("a list of host names, without scheme or port", _are_hosts)
REGIONS = Rule("one Region or more, with different ids and latencies of 0 or more", _are_regions)
KEYS = Rule(
    f"a mapping of one key or more, each matching {KEY_PATTERN}, to its AccountSettings, "
    "or None to accept every well-formed one",
    _are_keys,
    # Keys are secrets, and stay out of messages.
    echo=lambda _: "",
)
FAULTS = Rule(
    "a list of faults, each an object with `at` and `do`",
    lambda value: isinstance(value, Sequence) and all(isinstance(each, Mapping) for each in value),
    # Faults may name API keys.
    echo=lambda value: f", not a {type(value).__name__}",
)


# How a setting is declared


@dataclass(frozen=True, slots=True)
class _Declared:
    """What a field of `Settings` carries beside its name, its type and its default."""

    rule: Rule
    description: str
    option: str | None
    served: object


def setting[T](
    default: T,
    rule: Rule,
    description: str,
    *,
    option: str | None = None,
    served: T | None = None,
    secret: bool = False,
) -> T:
    """Declare a setting: the right side of a field of `Settings`.

    Args:
        default: its value where none is given.
        rule: what its value may be.
        description: what it is, as `odyssey-mock serve --help` shows it.
        option: its option of `odyssey-mock serve`, where that is not `--` and the name.
        served: the default of that option, where it is another.
        secret: whether its value stays out of `repr`.
    """
    metadata = {_Declared: _Declared(rule, description, option, served)}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as it was declared.

    Attributes:
        name: of the field and of the keyword.
        type: of its value; a type alias is resolved.
        default: its value where none is given.
        rule: what its value may be.
        description: what it is.
        option: its option of `odyssey-mock serve`.
        served: the default of that option.
    """

    name: str
    type: Any  # Any: what `get_type_hints` gives: a class, or a form such as `int | None`
    default: object
    rule: Rule
    description: str
    option: str
    served: object


# The settings


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one account may use, as its plan says. Times are seconds on the server's clock; None is no limit.

    The defaults are those of the vendor's free plan.
    """

    concurrent_sessions: int | None = setting(
        5, _or_none(COUNT), "Sessions that one account may hold at once; one more is answered 429."
    )
    monthly_hours: float | None = setting(
        None,
        _or_none(HOURS),
        "Hours of video that one account may have made in a calendar month (UTC); with none left, new ones are 429.",
    )
    queued_simulations: int | None = setting(
        10, _or_none(COUNT), "Pending jobs that one account may have; one more is answered 429."
    )
    connection_duration: float | None = setting(
        3600.0,
        _or_none(SECONDS),
        "How long a connection may be; at the limit the client is told `duration_limit_reached`, and the session ends.",
    )
    inactivity: float | None = setting(
        40.0,
        _or_none(SECONDS),
        "How long a connection may be without a stream and without a message of its client; then it is closed.",
    )
    stream_duration: float | None = setting(
        150.0, _or_none(SECONDS), "How long a live stream may be; at the limit it ends, and its connection with it."
    )


PLANS: Mapping[Plan, Limits] = MappingProxyType(
    {"free": Limits(), "unlimited": Limits(**{each.name: None for each in dataclasses.fields(Limits)})}
)
"""The limits of each plan, by its name (`protocol.md` section 7)."""

PLAN = Rule(f"one of {', '.join(map(repr, PLANS))}", lambda value: isinstance(value, str) and value in PLANS)
LIMIT_NAMES = tuple(each.name for each in dataclasses.fields(Limits))


class _Inherited(Enum):
    """What stands for a limit that an account has no value of its own for: None is a value."""

    INHERITED = "as its plan or the settings say"


INHERITED: Final = _Inherited.INHERITED
type Own[T] = T | Literal[_Inherited.INHERITED] | None
"""A limit of one account: its own value, None for no limit, or as its plan or the settings say."""


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """What differs for the account of one configured key.

    Its limits are those it names itself, then those of its `plan`, then those of the `Settings`.
    """

    bypass_privilege: bool | None = None
    """Whether it may ask for `bypass_vlm_expansion`; None: as `Settings.bypass_privilege` says."""
    simulation_priority: Priority | None = None
    """The `priority` of its simulation jobs; None: as `Settings.simulation_priority` says."""
    plan: Plan | None = None
    """A name of `PLANS`; None: as the settings say."""
    # Those of `Limits`, each by its name there
    concurrent_sessions: Own[int] = INHERITED
    monthly_hours: Own[float] = INHERITED
    queued_simulations: Own[int] = INHERITED
    connection_duration: Own[float] = INHERITED
    inactivity: Own[float] = INHERITED
    stream_duration: Own[float] = INHERITED

    @property
    def own_limits(self) -> Mapping[str, Any]:  # Any: each of its own type
        """The limits that it names itself."""
        named = {name: getattr(self, name) for name in LIMIT_NAMES}
        return {name: value for name, value in named.items() if value is not INHERITED}

    def limits(self, inherited: Limits) -> Limits:
        """All its limits; `inherited` are those of the settings."""
        given = inherited if self.plan is None else PLANS[self.plan]
        return dataclasses.replace(given, **self.own_limits)

    def check(self) -> None:
        """Make sure that its plan and its limits are such.

        Raises:
            SettingsError: one is not.
        """
        if self.plan is not None:
            PLAN.check("plan of a key", self.plan)
        for name, value in self.own_limits.items():
            SETTINGS[name].rule.check(f"{name} of a key", value)


@dataclass(frozen=True, slots=True)
class Region:
    """One place a session can be served from, as `GET /regions` lists it."""

    id: str
    """Name of the region, as sessions carry it."""
    latency: float = 0.0
    """Seconds by which the answer of its ping URL is held back, in real time."""


DEFAULT_REGIONS = (Region("us-east-1"), Region("us-west-2"), Region("eu-west-1"))


@dataclass(frozen=True, kw_only=True)
class Settings(Limits):
    """Every setting of a mock: the limits of accounts, and these. Times are on the server's clock where not said.

    Raises:
        SettingsError: a value is out of its range.
    """

    # Where it listens
    host: str = setting("127.0.0.1", ADDRESS, "Address that HTTP, WebSocket and STUN listen on.")
    port: int = setting(0, PORT, "TCP port; 0 takes a free one.", served=8400)
    loopback_only: bool = setting(
        False,
        FLAG,
        "Whether the streamer offers ICE candidates on 127.0.0.1 alone. Firefox needs the machine's own too.",
    )

    # What time and chance are made of
    clock: ClockKind = setting(
        "real", _one_of(ClockKind), "`real` follows the event loop; `manual` stands still until it is advanced."
    )
    speed: float = setting(1.0, SPEED, "Seconds that pass on a real clock in one second of the event loop.")
    seed: int | None = setting(None, SEED, "Seed of every id and secret; None draws them from the operating system.")

    # Who may do what
    keys: Mapping[str, AccountSettings] | None = setting(
        None,
        KEYS,
        "The API keys that are accepted, and no others; None accepts every well-formed key.",
        option="--key",
        secret=True,
    )
    bypass_privilege: bool = setting(True, FLAG, "Whether accounts may ask for `bypass_vlm_expansion`.")
    access_token_lifetime: float = setting(3600.0, SECONDS, "How long the token of `POST /auth/token` is accepted.")
    session_token_lifetime: float = setting(600.0, SECONDS, "How long a session token opens the signaling socket.")
    usage_error_form: UsageErrorForm = setting(
        "object",
        _one_of(UsageErrorForm),
        "Shape of `detail` in a 429; clients of the 1.0 series read the `string` form.",
    )

    # Sessions
    regions: Sequence[Region] = setting(
        DEFAULT_REGIONS, REGIONS, "What `GET /regions` lists, in that order.", option="--region"
    )
    streamers: int = setting(
        100, COUNT_FROM_0, "Sessions that are served at once by all accounts together; one more is answered 503."
    )
    dangling_session: float = setting(
        900.0,
        SECONDS,
        "How long a session keeps its streamer while nobody is connected to it, with or without a socket.",
    )
    session_grace: float = setting(
        10.0,
        SECONDS_FROM_0,
        "How long a session waits for a client that was lost without a goodbye, its stream going on; 0 for not at all.",
    )
    image_to_video: bool = setting(True, FLAG, "Whether streamers take an image at the start of a stream.")
    max_image_bytes: int = setting(25 * 2**20, COUNT, "Largest image accepted, in bytes after base64.")
    channel_delay: float = setting(
        0.075,
        SECONDS_FROM_0,
        "Seconds of real time between a peer's connection and its data channels; browsers lose messages with less.",
    )

    # Video
    fps: int = setting(20, COUNT, "Frames in a second.")
    portrait_size: PixelSize = setting(
        (704, 1280), SIZE, "Width and height of a portrait stream, in pixels; both even, as 4:2:0 video needs."
    )
    landscape_size: PixelSize = setting(
        (1280, 704), SIZE, "Width and height of a landscape stream, in pixels; both even."
    )
    bitrate: int = setting(1_500_000, COUNT, "Bits in a second that the encoder aims at.")
    keyframe_gap: float = setting(
        0.5,
        SECONDS_FROM_0,
        "Seconds of real time, at least, between key frames for receivers that have lost a picture (PLI, FIR).",
    )

    # Broadcast
    spectator_handshake: float = setting(
        10.0, SECONDS, "How long a spectator may take from the answer to the connection; then it is dropped."
    )
    hls: bool = setting(
        True, FLAG, "Whether broadcasts have an HLS playlist as well; without, `broadcast_url` is null."
    )
    hls_segment_duration: float = setting(1.0, SECONDS, "Seconds of video in one HLS segment, to the nearest frame.")
    hls_segments: int = setting(7, COUNT, "Segments that the playlist of a live broadcast lists.")
    hls_linger: float = setting(
        60.0, SECONDS_FROM_0, "How long playlist and segments of a broadcast that has ended can still be fetched."
    )

    # Simulations
    simulation_workers: int = setting(
        4, COUNT_FROM_0, "Jobs that are worked on at once; with 0 every job stays pending."
    )
    simulation_priority: Priority = setting(
        "normal", _one_of(Priority), "The `priority` of jobs; those of a higher one go before the others."
    )
    simulation_dispatch_delay: float = setting(
        0.2, SECONDS_FROM_0, "From a worker being free for a job to the job being dispatched."
    )
    simulation_start_delay: float = setting(0.2, SECONDS_FROM_0, "From a job being dispatched to its being processed.")
    simulation_pace: float = setting(0.1, SECONDS_FROM_0, "How long one second of video takes to simulate.")
    simulation_duration: float = setting(150.0, SECONDS, "How long a simulated stream may be; a longer one fails.")
    simulation_retries: int = setting(
        2, COUNT_FROM_0, "How often a job whose worker was lost is begun anew; after that it fails."
    )
    cancel_processing: bool = setting(True, FLAG, "Whether a job that is being processed can still be cancelled.")
    script_url_hosts: Sequence[str] = setting(
        ("localhost", "127.0.0.1", "::1"),
        HOSTS,
        "Hosts that a `script_url` may name; those of a private network are better left out.",
        option="--script-host",
    )
    script_url_timeout: float = setting(10.0, SECONDS, "Seconds of real time that fetching a script may take.")
    script_url_bytes: int = setting(64 * 2**20, COUNT, "Largest script that is fetched.")

    # Recordings
    artifact_url_lifetime: float = setting(3600.0, SECONDS, "How long the presigned URL of an artifact is good.")

    # Failures
    faults: Sequence[Mapping[str, Any]] = setting(
        (),
        FAULTS,
        "What is to fail from the beginning, and again after a reset (`protocol.md` section 10).",
        secret=True,
    )

    # Memory
    jobs_limit: int = setting(
        1000, COUNT, "Simulation jobs that are remembered after they have ended; the oldest are forgotten."
    )
    streams_limit: int = setting(
        1000, COUNT, "Streams that are remembered after they have ended; the oldest are forgotten."
    )
    journal_limit: int = setting(
        10_000, COUNT, "Journal entries and telemetry events that are kept; the oldest are dropped."
    )

    def __post_init__(self) -> None:
        for name, each in SETTINGS.items():
            each.rule.check(name, getattr(self, name))
        for account in (self.keys or {}).values():
            account.check()
        object.__setattr__(self, "regions", tuple(self.regions))
        object.__setattr__(self, "script_url_hosts", tuple(self.script_url_hosts))

    @property
    def limits(self) -> Limits:
        """Those of every account that has none of its own."""
        return Limits(**{name: getattr(self, name) for name in LIMIT_NAMES})

    def replace(self, *, plan: Plan | None = None, **changes: "Unpack[SettingsOverrides]") -> Self:
        """Make a copy with some changed. `plan`, a name of `PLANS`, sets all limits that are not named beside it.

        Raises:
            UnknownSettingError: a name is no setting.
            SettingsError: a value is out of its range, or there is no such plan.
        """
        for name in changes:
            if name not in SETTINGS:
                near = difflib.get_close_matches(name, SETTING_NAMES, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise UnknownSettingError(
                    f"there is no setting {name!r}; {hint}The settings are {', '.join(SETTING_NAMES)}"
                )
        if plan is None:
            return dataclasses.replace(self, **changes)
        PLAN.check("plan", plan)
        return dataclasses.replace(self, **{**dataclasses.asdict(PLANS[plan]), **changes})


def _declared() -> Mapping[str, Setting]:
    types = get_type_hints(Settings)
    found = {}
    for each in dataclasses.fields(Settings):
        declared: _Declared = each.metadata[_Declared]
        kind = types[each.name]
        found[each.name] = Setting(
            name=each.name,
            type=kind.__value__ if isinstance(kind, TypeAliasType) else kind,
            default=each.default,
            rule=declared.rule,
            description=declared.description,
            option=declared.option or f"--{each.name.replace('_', '-')}",
            served=each.default if declared.served is None else declared.served,
        )
    return MappingProxyType(found)


SETTINGS = _declared()
"""Every setting by its name; the limits of accounts first."""

SETTING_NAMES = tuple(sorted(SETTINGS, key=LIMIT_NAMES.__contains__))
"""In the order of `Settings`, the limits of accounts last."""


# The same as keywords, for type checkers and editors: no type can be derived from the fields of a dataclass


class SimulatedOverrides(TypedDict, total=False):
    """Settings by name, of a mock in a simulated world: those that the world does not decide."""

    keys: Mapping[str, AccountSettings] | None
    bypass_privilege: bool
    access_token_lifetime: float
    session_token_lifetime: float
    usage_error_form: UsageErrorForm
    regions: Sequence[Region]
    streamers: int
    dangling_session: float
    session_grace: float
    image_to_video: bool
    max_image_bytes: int
    channel_delay: float
    fps: int
    portrait_size: PixelSize
    landscape_size: PixelSize
    bitrate: int
    keyframe_gap: float
    spectator_handshake: float
    hls: bool
    hls_segment_duration: float
    hls_segments: int
    hls_linger: float
    simulation_workers: int
    simulation_priority: Priority
    simulation_dispatch_delay: float
    simulation_start_delay: float
    simulation_pace: float
    simulation_duration: float
    simulation_retries: int
    cancel_processing: bool
    script_url_hosts: Sequence[str]
    script_url_timeout: float
    script_url_bytes: int
    artifact_url_lifetime: float
    faults: Sequence[Mapping[str, Any]]
    jobs_limit: int
    streams_limit: int
    journal_limit: int
    concurrent_sessions: int | None
    monthly_hours: float | None
    queued_simulations: int | None
    connection_duration: float | None
    inactivity: float | None
    stream_duration: float | None


class MockOverrides(SimulatedOverrides, total=False):
    """Settings by name, as `MockOdyssey` takes them: all but `clock`, which it takes as an object too."""

    host: str
    port: int
    loopback_only: bool
    speed: float
    seed: int | None


class SettingsOverrides(MockOverrides, total=False):
    """Every setting, by name."""

    clock: ClockKind
