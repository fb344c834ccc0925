"""What can be set on a mock, with the defaults of `protocol.md` section 7."""

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, Self, get_args

from odyssey_mock.plans import LIMIT_NAMES, LIMIT_RULES, PLANS, Limits, Plan
from odyssey_mock.validation import COUNT, COUNT_FROM_0, FLAG, NOT_NEGATIVE, POSITIVE, SIZE, Rule, is_number, is_whole

type PixelSize = tuple[int, int]
"""Width and height in pixels."""

type ClockKind = Literal["real", "manual"]
type UsageErrorForm = Literal["object", "string"]
type Priority = Literal["low", "normal", "high"]


PRIORITIES: tuple[Priority, ...] = get_args(Priority.__value__)
"""Lowest first."""

KEY_PATTERN = r"^ody_[A-Za-z0-9_-]{4,}$"
"""What an API key looks like."""


class _Inherited(Enum):
    """What stands for a limit that an account has no value of its own for: None is a value."""

    INHERITED = "as its plan or the settings say"


INHERITED: Final = _Inherited.INHERITED
type Own[T] = T | Literal[_Inherited.INHERITED] | None
"""A limit of one account: its own value, None for no limit, or as its plan or the settings say."""


class SettingsError(ValueError):
    """A setting has a value it cannot have; the message names the setting, what it expects and what came."""


class UnknownSettingError(TypeError):
    """No setting has that name; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class Region:
    """One place a session can be served from, as `GET /regions` lists it."""

    id: str
    """Name of the region, as sessions carry it."""
    latency: float = 0.0
    """Seconds by which the answer of its ping URL is held back, in real time."""


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


DEFAULT_REGIONS = (Region("us-east-1"), Region("us-west-2"), Region("eu-west-1"))


@dataclass(frozen=True, kw_only=True)
class Settings(Limits):
    """Every setting of a mock: the limits of accounts, and these. Times are on the server's clock where not said.

    Raises:
        SettingsError: a value is out of its range.
    """

    # Where it listens
    host: str = "127.0.0.1"
    """Address that HTTP, WebSocket and STUN listen on."""
    port: int = 0
    """TCP port; 0 takes a free one."""
    loopback_only: bool = False
    """Whether the streamer offers ICE candidates on 127.0.0.1 alone. Firefox needs the machine's own too."""

    # What time and chance are made of
    clock: ClockKind = "real"
    """`real` follows the event loop; `manual` stands still until it is advanced."""
    speed: float = 1.0
    """Seconds that pass on a real clock in one second of the event loop."""
    seed: int | None = None
    """Seed of every id and secret; None draws them from the operating system."""

    # Who may do what
    keys: Mapping[str, AccountSettings] | None = field(default=None, repr=False)
    """The API keys that are accepted, and no others; None accepts every well-formed key."""
    bypass_privilege: bool = True
    """Whether accounts may ask for `bypass_vlm_expansion`."""
    access_token_lifetime: float = 3600.0
    """How long the token of `POST /auth/token` is accepted."""
    session_token_lifetime: float = 600.0
    """How long a session token opens the signaling socket."""
    usage_error_form: UsageErrorForm = "object"
    """Shape of `detail` in a 429; clients of the 1.0 series read the `string` form."""

    # Sessions
    regions: Sequence[Region] = DEFAULT_REGIONS
    """What `GET /regions` lists, in that order."""
    streamers: int = 100
    """Sessions that are served at once by all accounts together; one more is answered 503."""
    dangling_session: float = 900.0
    """How long a session keeps its streamer while nobody is connected to it, with or without a socket."""
    session_grace: float = 10.0
    """How long a session waits for a client that was lost without a goodbye, its stream going on; 0 for not at all."""
    image_to_video: bool = True
    """Whether streamers take an image at the start of a stream."""
    max_image_bytes: int = 25 * 2**20
    """Largest image accepted, in bytes after base64."""
    channel_delay: float = 0.075
    """Seconds of real time between a peer's connection and its data channels; browsers lose messages with less."""

    # Video
    fps: int = 20
    """Frames in a second."""
    portrait_size: PixelSize = (704, 1280)
    """Width and height of a portrait stream, in pixels; both even, as 4:2:0 video needs."""
    landscape_size: PixelSize = (1280, 704)
    """Width and height of a landscape stream, in pixels; both even."""
    bitrate: int = 1_500_000
    """Bits in a second that the encoder aims at."""
    keyframe_gap: float = 0.5
    """Seconds of real time, at least, between key frames for receivers that have lost a picture (PLI, FIR)."""

    # Broadcast
    spectator_handshake: float = 10.0
    """How long a spectator may take from the answer to the connection; then it is dropped."""
    hls: bool = True
    """Whether broadcasts have an HLS playlist as well; without, `broadcast_url` is null."""
    hls_segment_duration: float = 1.0
    """Seconds of video in one HLS segment, to the nearest frame."""
    hls_segments: int = 7
    """Segments that the playlist of a live broadcast lists."""
    hls_linger: float = 60.0
    """How long playlist and segments of a broadcast that has ended can still be fetched."""

    # Simulations
    simulation_workers: int = 4
    """Jobs that are worked on at once; with 0 every job stays pending."""
    simulation_priority: Priority = "normal"
    """The `priority` of jobs; those of a higher one go before the others."""
    simulation_dispatch_delay: float = 0.2
    """From a worker being free for a job to the job being dispatched."""
    simulation_start_delay: float = 0.2
    """From a job being dispatched to its being processed."""
    simulation_pace: float = 0.1
    """How long one second of video takes to simulate."""
    simulation_duration: float = 150.0
    """How long a simulated stream may be; a longer one fails."""
    simulation_retries: int = 2
    """How often a job whose worker was lost is begun anew; after that it fails."""
    cancel_processing: bool = True
    """Whether a job that is being processed can still be cancelled."""
    script_url_hosts: Sequence[str] = ("localhost", "127.0.0.1", "::1")
    """Hosts that a `script_url` may name; those of a private network are better left out."""
    script_url_timeout: float = 10.0
    """Seconds of real time that fetching a script may take."""
    script_url_bytes: int = 64 * 2**20
    """Largest script that is fetched."""

    # Recordings
    artifact_url_lifetime: float = 3600.0
    """How long the presigned URL of an artifact is good."""

    # Failures
    faults: Sequence[Mapping[str, Any]] = field(default=(), repr=False)  # Any: JSON, which `Fault.of` judges
    """What is to fail from the beginning, and again after a reset (`protocol.md` section 10)."""

    # Memory
    jobs_limit: int = 1000
    """Simulation jobs that are remembered after they have ended; the oldest are forgotten."""
    streams_limit: int = 1000
    """Streams that are remembered after they have ended; the oldest are forgotten."""
    journal_limit: int = 10_000
    """Journal entries and telemetry events that are kept; the oldest are dropped."""

    def __post_init__(self) -> None:
        for name, (expected, holds) in _RULES.items():
            value = getattr(self, name)
            if not holds(value):
                # Faults may name API keys, which are secrets and stay out of messages.
                came = f"a {type(value).__name__}" if name == "faults" else repr(value)
                raise SettingsError(f"{name} must be {expected}, not {came}")
        if self.keys is not None and not _keys(self.keys):
            # Nor are they repeated here.
            raise SettingsError(
                f"keys must map one key or more, each matching {KEY_PATTERN}, to its AccountSettings, "
                "or be None to accept every well-formed one"
            )
        for account in (self.keys or {}).values():
            named = {} if account.plan is None else {"plan": account.plan}
            for name, value in {**named, **account.own_limits}.items():
                expected, holds = _ACCOUNT_RULES[name]
                if not holds(value):
                    raise SettingsError(f"{name} of a key must be {expected}, not {value!r}")
        object.__setattr__(self, "regions", tuple(self.regions))
        object.__setattr__(self, "script_url_hosts", tuple(self.script_url_hosts))

    @property
    def limits(self) -> Limits:
        """Those of every account that has none of its own."""
        return Limits(**{name: getattr(self, name) for name in LIMIT_NAMES})

    def replace(self, **changes: Any) -> Self:  # Any: each value is checked against its own setting
        """Make a copy with some changed. `plan`, a name of `PLANS`, sets all limits that are not named beside it.

        Raises:
            UnknownSettingError: a name is no setting.
            SettingsError: a value is out of its range, or there is no such plan.
        """
        plan = changes.pop("plan", None)
        for name in changes:
            if name not in SETTING_NAMES:
                near = difflib.get_close_matches(name, SETTING_NAMES, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise UnknownSettingError(
                    f"there is no setting {name!r}; {hint}The settings are {', '.join(SETTING_NAMES)}"
                )
        if plan is not None:
            expected, holds = _PLAN
            if not holds(plan):
                raise SettingsError(f"plan must be {expected}, not {plan!r}")
            changes = dataclasses.asdict(PLANS[plan]) | changes
        return dataclasses.replace(self, **changes)


SETTING_NAMES = tuple(sorted((each.name for each in dataclasses.fields(Settings)), key=LIMIT_NAMES.__contains__))
"""In the order of `Settings`, the limits of accounts last."""


def _regions(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(isinstance(each, Region) and each.id and NOT_NEGATIVE[1](each.latency) for each in value)
        and len({each.id for each in value}) == len(value)
    )


def _keys(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(key, str) and re.fullmatch(KEY_PATTERN, key) is not None for key in value)
        and all(
            isinstance(each, AccountSettings) and each.simulation_priority in (None, *PRIORITIES)
            for each in value.values()
        )
    )


_PLAN: Rule = (f"one of {', '.join(map(repr, PLANS))}", lambda value: isinstance(value, str) and value in PLANS)
_ACCOUNT_RULES: Mapping[str, Rule] = {"plan": _PLAN, **LIMIT_RULES}

_RULES: Mapping[str, Rule] = {
    **LIMIT_RULES,
    "host": ("an address to listen on", lambda value: isinstance(value, str) and value != ""),
    "port": ("a port from 0 to 65535", lambda value: is_whole(value, 0) and value <= 65535),
    "loopback_only": FLAG,
    "clock": ("'real' or 'manual'", lambda value: value in {"real", "manual"}),
    "speed": ("a number above 0", lambda value: is_number(value) and value > 0),
    "seed": (
        "a whole number or None",
        lambda value: value is None or (isinstance(value, int) and not isinstance(value, bool)),
    ),
    "bypass_privilege": FLAG,
    "access_token_lifetime": POSITIVE,
    "session_token_lifetime": POSITIVE,
    "usage_error_form": ("'object' or 'string'", lambda value: value in {"object", "string"}),
    "regions": ("one Region or more, with different ids and latencies of 0 or more", _regions),
    "streamers": COUNT_FROM_0,
    "dangling_session": POSITIVE,
    "session_grace": NOT_NEGATIVE,
    "image_to_video": FLAG,
    "max_image_bytes": COUNT,
    "channel_delay": NOT_NEGATIVE,
    "fps": COUNT,
    "portrait_size": SIZE,
    "landscape_size": SIZE,
    "bitrate": COUNT,
    "keyframe_gap": NOT_NEGATIVE,
    "spectator_handshake": POSITIVE,
    "hls": FLAG,
    "hls_segment_duration": POSITIVE,
    "hls_segments": COUNT,
    "hls_linger": NOT_NEGATIVE,
    "simulation_workers": COUNT_FROM_0,
    "simulation_priority": ("'low', 'normal' or 'high'", lambda value: value in PRIORITIES),
    "simulation_dispatch_delay": NOT_NEGATIVE,
    "simulation_start_delay": NOT_NEGATIVE,
    "simulation_pace": NOT_NEGATIVE,
    "simulation_duration": POSITIVE,
    "simulation_retries": COUNT_FROM_0,
    "cancel_processing": FLAG,
    "script_url_hosts": (
        "a list of host names, without scheme or port",
        lambda value: (
            isinstance(value, Sequence)
            and not isinstance(value, str)
            and all(isinstance(each, str) and each != "" and "/" not in each for each in value)
        ),
    ),
    "script_url_timeout": POSITIVE,
    "script_url_bytes": COUNT,
    "artifact_url_lifetime": POSITIVE,
    "faults": (
        "a list of faults, each an object with `at` and `do`",
        lambda value: isinstance(value, Sequence) and all(isinstance(each, Mapping) for each in value),
    ),
    "jobs_limit": COUNT,
    "streams_limit": COUNT,
    "journal_limit": COUNT,
}
