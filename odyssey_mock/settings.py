"""All settings of the mock, each with its type, default, validation rule, description and command-line option.

The defaults are those of `protocol.md` section 7. To add a setting, add a field to `Settings`, or to `Limits` if it
depends on the plan. Then add it to the typed keywords at the end of this file; a test compares the two.

`setting_rules.py` has the rules that validate values. `setting_values.py` parses values from text and from data.
`current_settings.py` changes settings while a mock runs.
"""

import dataclasses
import difflib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Literal, NotRequired, Self, TypeAliasType, TypedDict, Unpack, get_args, get_type_hints

from odyssey_mock.core.journal import DEFAULT_BYTES
from odyssey_mock.core.redaction import without_keys
from odyssey_mock.core.udp_ports import PortRange
from odyssey_mock.core.url_parts import BaseUrl
from odyssey_mock.setting_rules import (
    ADDRESS,
    BITRATE,
    BYTES,
    CONTROL_TOKEN,
    COUNT,
    COUNT_FROM_0,
    DIRECTORY,
    FAULTS,
    FILE,
    FLAG,
    FRAME_RATE,
    HOSTS,
    HOURS,
    ICE_SERVERS,
    LARGEST,
    NETWORK,
    NETWORKS,
    PORT,
    PUBLIC_URL,
    REACHABLE,
    SECONDS,
    SECONDS_FROM_0,
    SEED,
    SIZE,
    SPEED,
    UDP_PORTS,
    Rule,
    SettingsError,
    one_of,
    or_none,
)

type PixelSize = tuple[int, int]
"""Width and height in pixels."""

type ClockKind = Literal["real", "manual"]
type UsageErrorForm = Literal["auto", "object", "string"]
type EndWithoutStream = Literal["silent", "ended", "error"]
type Overlay = Literal["full", "stamp", "none"]
type StartImageFit = Literal["crop", "letterbox", "service_crop"]
type Fonts = Literal["machine", "bundled"]
type Priority = Literal["low", "normal", "high"]
type Plan = Literal["free", "unlimited"]
type LatencyProfile = Literal["instant", "realistic", "slow"]
type NetworkSetting = str | Mapping[str, Any] | None  # Any: JSON, which the rule validates
"""The name of a preset of `odyssey_mock/impairment/presets.py`, an object as there, or None for a good network."""
type Applies = Literal[
    "at once",
    "new access tokens",
    "new session tokens",
    "new sessions",
    "new connections",
    "new sessions and jobs",
    "new requests, sessions and jobs",
    "new broadcasts",
    "broadcasts that end later",
    "new jobs",
    "new artifact URLs",
]
"""What a change of a setting at run time applies to. A job is new until a worker takes it from the queue."""

PRIORITIES: tuple[Priority, ...] = get_args(Priority.__value__)
"""The priorities of simulation jobs, lowest first."""


class UnknownSettingError(TypeError):
    """A setting name is unknown. The message lists the known names, and contains no API keys."""

    def __init__(self, message: str) -> None:
        super().__init__(without_keys(message))


class FixedSettingError(SettingsError):
    """A setting cannot change while the mock runs. The message states what to do instead."""


# Declaring a setting


@dataclass(frozen=True, slots=True)
class _Declared:
    """Metadata of a `Settings` field, in addition to its name, type and default."""

    rule: Rule
    description: str
    option: str | None
    served: object
    group: str | None
    applies: Applies | None


def setting[T](
    default: T,
    rule: Rule,
    description: str,
    *,
    option: str | None = None,
    served: T | None = None,
    secret: bool = False,
    group: str | None = None,
    applies: Applies | None = None,
) -> T:
    """Declare a setting: create the value that the class body of `Limits` or `Settings` assigns to its field.

    Args:
        default: the default value.
        rule: validates the value.
        description: the text in `odyssey-mock serve --help`.
        option: the option of `odyssey-mock serve`; None derives it from the name of the setting.
        served: the default of that option; None uses `default`.
        secret: whether `repr` omits the value.
        group: the heading in `--help` above this setting and those declared after it; None keeps the heading of the
            previous setting.
        applies: what a change at run time applies to; None means that the setting cannot change at run time.
    """
    metadata = {_Declared: _Declared(rule, description, option, served, group, applies)}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Setting:
    """One declared setting.

    Attributes:
        name: the name of the field and of the keyword argument.
        type: the type of the value; type aliases are resolved.
        default: the default value.
        rule: validates the value.
        description: the text in `odyssey-mock serve --help`.
        option: the option of `odyssey-mock serve`.
        served: the default of that option.
        group: the heading in `--help` above the setting.
        applies: what a change at run time applies to; None means that the setting cannot change at run time.
    """

    name: str
    type: Any  # Any: `get_type_hints` returns a class or a form such as `int | None`
    default: object
    rule: Rule
    description: str
    option: str
    served: object
    group: str
    applies: Applies | None


# The settings


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one account. Times are seconds on the server's clock; None means no limit.

    The defaults are those of the vendor's free plan.
    """

    concurrent_sessions: int | None = setting(
        5,
        or_none(COUNT),
        "Maximum number of concurrent sessions per account; a further request is rejected with status 429.",
        group="Limits of accounts",
        applies="at once",
    )
    monthly_hours: float | None = setting(
        None,
        or_none(HOURS),
        "Maximum hours of video per account and month (UTC); then sessions and jobs are rejected with status 429.",
        applies="at once",
    )
    queued_simulations: int | None = setting(
        10,
        or_none(COUNT),
        "Maximum number of pending simulation jobs per account; a further job is rejected with status 429.",
        applies="at once",
    )
    connection_duration: float | None = setting(
        3600.0,
        or_none(SECONDS),
        "Maximum seconds of a connection; then the server sends `duration_limit_reached` and ends the session.",
        applies="new sessions",
    )
    inactivity: float | None = setting(
        40.0,
        or_none(SECONDS),
        "Seconds after which a connection is closed, if no stream runs and the client sends no message about a stream.",
        applies="new sessions",
    )
    stream_duration: float | None = setting(
        150.0,
        or_none(SECONDS),
        "Maximum seconds of a live stream; then the stream and its connection end.",
        applies="new sessions",
    )


PLANS: Mapping[Plan, Limits] = MappingProxyType(
    {"free": Limits(), "unlimited": Limits(**{each.name: None for each in dataclasses.fields(Limits)})}
)
"""The limits of each plan, by plan name (`protocol.md` section 7)."""

PLAN = Rule(f"one of {', '.join(map(repr, PLANS))}", lambda value: isinstance(value, str) and value in PLANS)
LIMIT_NAMES = tuple(each.name for each in dataclasses.fields(Limits))


def plan_of(limits: Limits) -> Plan | None:
    """Return the name of the plan that has exactly these limits; None if no plan has them."""
    return next((plan for plan, each in PLANS.items() if each == limits), None)


class _Inherited(Enum):
    """Type of the value `INHERITED`, which marks an unset limit. None means that there is no limit."""

    INHERITED = "inherited from the plan or the settings"


INHERITED: Final = _Inherited.INHERITED
type Own[T] = T | Literal[_Inherited.INHERITED] | None
"""A limit of one account: a value, None for no limit, or `INHERITED` to use the limit of its plan or the settings."""


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Settings of the account that one configured API key belongs to.

    A limit set for the account takes precedence over the limit of its `plan`, which takes precedence over `Settings`.
    """

    bypass_privilege: bool | None = None
    """Whether the account may use `bypass_vlm_expansion`; None uses `Settings.bypass_privilege`."""
    simulation_priority: Priority | None = None
    """The `priority` of the account's simulation jobs; None uses `Settings.simulation_priority`."""
    plan: Plan | None = None
    """A name in `PLANS`; None uses the limits of `Settings`."""
    # The limits, with the same names as in `Limits`
    concurrent_sessions: Own[int] = INHERITED
    monthly_hours: Own[float] = INHERITED
    queued_simulations: Own[int] = INHERITED
    connection_duration: Own[float] = INHERITED
    inactivity: Own[float] = INHERITED
    stream_duration: Own[float] = INHERITED

    @property
    def own_limits(self) -> Mapping[str, Any]:  # Any: limits have different types
        """The limits that are set for this account, by name."""
        named = {name: getattr(self, name) for name in LIMIT_NAMES}
        return {name: value for name, value in named.items() if value is not INHERITED}

    def limits(self, inherited: Limits) -> Limits:
        """Return all limits of the account; `inherited` are the limits of the settings."""
        given = inherited if self.plan is None else PLANS[self.plan]
        return dataclasses.replace(given, **self.own_limits)

    def check(self) -> None:
        """Check the plan, the limits and `bypass_privilege`.

        Raises:
            SettingsError: the plan, a limit or `bypass_privilege` is invalid. The message shows an invalid value only
                if it is a number.
        """
        rules = {name: SETTINGS[name].rule for name in self.own_limits}
        if self.plan is not None:
            rules["plan"] = PLAN
        if self.bypass_privilege is not None:
            rules["bypass_privilege"] = FLAG
        for name, rule in rules.items():
            # The text may be a misplaced API key.
            rule.without_text().check(f"{name} of a key", getattr(self, name))


KEY_HEAD = "ody_"
"""The characters with which every API key begins."""
KEY_PATTERN = r"^ody_[A-Za-z0-9_-]{4,}$"
"""Regular expression for a well-formed API key."""


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


KEYS = Rule(
    f"a non-empty mapping of API keys, each matching {KEY_PATTERN}, to AccountSettings, "
    "or None to accept every well-formed key",
    _are_keys,
    # Keys are secrets and must not appear in messages.
    echo=lambda _: "",
)


@dataclass(frozen=True, slots=True)
class Region:
    """A region that can serve sessions, as listed by `GET /regions`."""

    id: str
    """The region's name, which is also the `region` of its sessions."""
    latency: float = 0.0
    """Seconds of real time by which the response to its ping URL is delayed."""


DEFAULT_REGIONS = (Region("us-east-1"), Region("us-west-2"), Region("eu-west-1"))

REGION_PATTERN = r"[A-Za-z0-9._~-]{1,100}"
"""Regular expression for the id of a region: characters that need no encoding in a URL (RFC 3986 section 2.3)."""


def _are_regions(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(isinstance(each, Region) for each in value)
        and all(_is_region_id(each.id) and SECONDS_FROM_0.holds(each.latency) for each in value)
        and len({each.id for each in value}) == len(value)
    )


def _is_region_id(value: object) -> bool:
    """Return whether `value` can be the last segment of a ping URL without encoding. `.` and `..` cannot."""
    return isinstance(value, str) and re.fullmatch(REGION_PATTERN, value) is not None and value.strip(".") != ""


REGIONS = Rule(
    f"a non-empty list of Region, with distinct ids that match {REGION_PATTERN} and are not only dots, and latencies "
    f"from 0 to {LARGEST}",
    _are_regions,
)


class IceServer(TypedDict):
    """A STUN or TURN server, with the names of the W3C's `RTCIceServer`."""

    urls: str | Sequence[str]
    """Its URL (RFC 7064, RFC 7065), or several."""
    username: NotRequired[str]
    """The user name for a TURN server."""
    credential: NotRequired[str]
    """The password for a TURN server, which is a secret."""


@dataclass(frozen=True, kw_only=True)
class Settings(Limits):
    """All settings of the mock, including the limits of accounts.

    Times are seconds on the server's clock unless a description names real time.

    Raises:
        SettingsError: a value is invalid.
    """

    host: str = setting("127.0.0.1", ADDRESS, "Address on which HTTP, WebSocket and STUN listen.", group="Listening")
    port: int = setting(0, PORT, "TCP port to listen on; 0 picks a free port.", served=8400)
    public_url: str | None = setting(
        None,
        PUBLIC_URL,
        "URL at which clients reach the mock. All URLs that the mock sends begin with it; by default, with the address "
        "that the client used for its request.",
    )
    trusted_proxies: Sequence[str] = setting(
        (),
        NETWORKS,
        "Address or network of a proxy whose headers `Forwarded` and `X-Forwarded-*` state the URL of a request.",
        option="--trusted-proxy",
    )
    tls: bool = setting(
        False,
        FLAG,
        "Serve https and wss. The certificate is issued by a local certificate authority, which is kept between runs.",
    )
    tls_dir: str | None = setting(
        None,
        DIRECTORY,
        "Directory of the local certificate authority; by default `odyssey-mock` in the configuration directory of the "
        "user. Clients must trust the file `root.crt` in it.",
    )
    tls_cert: str | None = setting(
        None,
        FILE,
        "Serve https and wss with the certificate in this PEM file, followed by its intermediate certificates, if any. "
        "Needs `tls_key`.",
    )
    tls_key: str | None = setting(
        None, FILE, "PEM file with the private key of the certificate in `tls_cert`, without a password."
    )
    loopback_only: bool = setting(
        False,
        FLAG,
        "Offer only 127.0.0.1 and ::1 as ICE candidates for WebRTC. Firefox cannot connect then.",
    )

    udp_ports: str | None = setting(
        None,
        UDP_PORTS,
        "Range of UDP ports for STUN and WebRTC, such as 50000-50100. STUN, each session and each spectator use one "
        "port. By default, all use any free ports.",
    )
    udp_addresses: Sequence[str] = setting(
        (),
        REACHABLE,
        "IP address at which clients reach the UDP ports, if it is not an address of this machine, such as the address "
        "of a NAT. By default, the addresses of this machine are ICE candidates.",
        option="--udp-address",
    )

    ice_servers: Sequence[IceServer] = setting(
        (),
        ICE_SERVERS,
        "ICE server that clients use instead of the STUN server of the mock, such as a TURN server for clients whose "
        "UDP is blocked.",
        secret=True,
        option="--ice-server",
    )

    control_hosts: Sequence[str] = setting(
        (),
        HOSTS,
        "Name under which programs and browsers may use the control API (`/_mock`). Loopback names, the address of the "
        "mock and the host of `public_url` are always allowed.",
        option="--control-host",
        group="Control API",
    )
    control_token: str | None = setting(
        None,
        CONTROL_TOKEN,
        "Token for the control API, which requests need if other machines can reach the mock. By default, one is "
        "generated.",
        secret=True,
    )

    clock: ClockKind = setting(
        "real",
        one_of(ClockKind),
        "Server clock: `real` follows real time; `manual` stands still until `POST /_mock/clock/advance` or "
        "`MockOdyssey.advance` moves it. Both also make a real clock jump forward.",
        group="Time and randomness",
    )
    speed: float = setting(1.0, SPEED, "Speed of the real clock: seconds on the server's clock per real second.")
    seed: int | None = setting(None, SEED, "Seed for all ids and secrets; without one they are random.")
    latency: LatencyProfile = setting(
        "instant",
        one_of(LatencyProfile),
        "Time on the server's clock that requests, connections, first frames, acknowledgments, jobs and recordings "
        "take: none with `instant`, seconds as on the real service with `realistic`, many seconds with `slow`.",
        option="--profile",
        applies="new requests, sessions and jobs",
    )

    keys: Mapping[str, AccountSettings] | None = setting(
        None,
        KEYS,
        "API key to accept; all other keys are rejected. By default every well-formed key is accepted.",
        option="--key",
        secret=True,
        group="Accounts and tokens",
    )
    bypass_privilege: bool = setting(
        True,
        FLAG,
        "Allow clients to turn off the expansion of their prompts (`bypass_vlm_expansion`).",
        applies="new access tokens",
    )
    access_token_lifetime: float = setting(
        3600.0, SECONDS, "Seconds until an access token from `POST /auth/token` expires.", applies="new access tokens"
    )
    session_token_lifetime: float = setting(
        600.0,
        SECONDS,
        "Seconds until a session token, which opens the signaling WebSocket, expires.",
        applies="new session tokens",
    )
    usage_error_form: UsageErrorForm = setting(
        "auto",
        one_of(UsageErrorForm),
        "Form of `detail` in responses with status 429: `string` for the npm package 1.0, `object` for later clients; "
        "`auto` recognizes the npm package 1.0.",
        applies="at once",
    )

    regions: Sequence[Region] = setting(
        DEFAULT_REGIONS,
        REGIONS,
        "Regions that `GET /regions` lists, in this order.",
        option="--region",
        group="Sessions",
        applies="at once",
    )
    streamers: int = setting(
        100,
        COUNT_FROM_0,
        "Maximum number of concurrent sessions of all accounts; a further request is rejected with status 503.",
        applies="at once",
    )
    dangling_session: float = setting(
        900.0,
        SECONDS,
        "Seconds until a session ends and frees its streamer if its client establishes no WebRTC connection.",
        applies="new sessions",
    )
    session_grace: float = setting(
        10.0,
        SECONDS_FROM_0,
        "Seconds that a session and its stream continue while a lost client may reconnect; 0 ends them at once.",
        applies="new sessions",
    )
    stale_session: float = setting(
        0.0,
        SECONDS_FROM_0,
        "Seconds until a session ends after its client closed the socket without `client_disconnecting`, as a closed "
        "tab does; 0 ends it at once.",
        applies="new sessions",
    )
    image_to_video: bool = setting(True, FLAG, "Allow streams to start from an image.", applies="new sessions and jobs")
    max_image_bytes: int = setting(
        25 * 2**20, BYTES, "Maximum size of an image in bytes, after base64 decoding.", applies="new sessions and jobs"
    )
    end_without_stream: EndWithoutStream = setting(
        "silent",
        one_of(EndWithoutStream),
        "Reply to `interactive_stream_end` while no stream is running: none with `silent`, `stream_ended` with "
        "`ended`, the error `no_active_stream` with `error`.",
        applies="new sessions",
    )
    channel_delay: float = setting(
        0.075,
        SECONDS_FROM_0,
        "Real seconds after which a connected browser gets its data channels; if too low, browsers lose messages.",
        applies="new connections",
    )

    fps: int = setting(20, FRAME_RATE, "Frames per second.", group="Video", applies="new sessions and jobs")
    portrait_size: PixelSize = setting(
        (704, 1280),
        SIZE,
        "Width and height of portrait streams in pixels; both must be even (4:2:0 video).",
        applies="new sessions and jobs",
    )
    landscape_size: PixelSize = setting(
        (1280, 704),
        SIZE,
        "Width and height of landscape streams in pixels; both must be even.",
        applies="new sessions and jobs",
    )
    bitrate: int = setting(
        1_500_000,
        BITRATE,
        "Maximum bitrate of the encoder in bits per second; scenes without a start image need less than half of it.",
        applies="new sessions",
    )
    overlay: Overlay = setting(
        "full",
        one_of(Overlay),
        "What is drawn over the picture: a panel with the prompt, and a frame stamp (`full`); only the stamp; or "
        "nothing.",
        applies="new sessions and jobs",
    )
    start_image_fit: StartImageFit = setting(
        "crop",
        one_of(StartImageFit),
        "How a start image fills the frame: `crop` cuts off what does not fit, `letterbox` adds black bars, and "
        "`service_crop` cuts off at least 65 % of the image, as reported of the real service.",
        applies="new sessions and jobs",
    )
    fonts: Fonts = setting(
        "machine",
        one_of(Fonts),
        "Fonts for prompts in the picture: `machine` uses the bundled font and those of this machine; `bundled` uses "
        "only the bundled font, which has few scripts but looks the same on every machine.",
    )
    keyframe_gap: float = setting(
        0.5,
        SECONDS_FROM_0,
        "Minimum real seconds between key frames for receivers that lost a frame (PLI, FIR).",
        applies="new sessions",
    )

    broadcast_spectators: int = setting(
        100,
        COUNT_FROM_0,
        "Maximum number of concurrent WebRTC spectators of one broadcast; a further one is rejected with status 503.",
        group="Broadcasts",
        applies="at once",
    )
    spectators: int = setting(
        200,
        COUNT_FROM_0,
        "Maximum number of concurrent WebRTC spectators of all broadcasts; a further one is rejected with status 503. "
        "Each spectator needs a file descriptor for each address of the machine.",
        applies="at once",
    )
    spectator_handshake: float = setting(
        10.0,
        SECONDS,
        "Seconds that a spectator has to connect after its SDP answer; otherwise it is dropped.",
        applies="new broadcasts",
    )
    hls: bool = setting(
        True,
        FLAG,
        "Provide an HLS playlist for broadcasts; without it, `broadcast_url` is null.",
        applies="new broadcasts",
    )
    hls_segment_duration: float = setting(
        1.0, SECONDS, "Seconds of video per HLS segment, rounded to the nearest frame.", applies="new broadcasts"
    )
    hls_segments: int = setting(
        7, COUNT, "Number of segments in the playlist of a live broadcast.", applies="new broadcasts"
    )
    hls_linger: float = setting(
        60.0,
        SECONDS_FROM_0,
        "Seconds that the HLS playlist and segments remain available after a broadcast has ended.",
        applies="broadcasts that end later",
    )

    simulation_workers: int = setting(
        4,
        COUNT_FROM_0,
        "Maximum number of concurrently running simulation jobs; with 0 every job stays pending.",
        group="Simulations",
        applies="at once",
    )
    simulation_priority: Priority = setting(
        "normal",
        one_of(Priority),
        "Priority of simulation jobs; jobs of a higher priority run first.",
        applies="new access tokens",
    )
    simulation_dispatch_delay: float = setting(
        0.2,
        SECONDS_FROM_0,
        "Seconds between a worker becoming free for a pending job and the job's status `dispatched`.",
        applies="new jobs",
    )
    simulation_start_delay: float = setting(
        0.2, SECONDS_FROM_0, "Seconds between a job's statuses `dispatched` and `processing`.", applies="new jobs"
    )
    simulation_pace: float = setting(
        0.1, SECONDS_FROM_0, "Seconds that a job takes for each second of video.", applies="new jobs"
    )
    simulation_duration: float = setting(
        150.0, SECONDS, "Maximum seconds of a simulated video; the job of a longer one fails.", applies="new jobs"
    )
    simulation_retries: int = setting(
        2,
        COUNT_FROM_0,
        "Maximum number of retries of a job whose worker was lost; then the job fails.",
        applies="at once",
    )
    cancel_processing: bool = setting(
        True, FLAG, "Allow cancelling a job with the status `processing`.", applies="at once"
    )
    script_url_hosts: Sequence[str] = setting(
        ("localhost", "127.0.0.1", "::1"),
        HOSTS,
        "Host from which the server may fetch a `script_url`; do not allow hosts of a private network.",
        option="--script-host",
        applies="new jobs",
    )
    private_script_urls_from_pages: bool = setting(
        False,
        FLAG,
        "Allow web pages of other origins to submit a `script_url` that leads to a loopback, link-local or private "
        "address.",
        applies="new jobs",
    )
    script_url_timeout: float = setting(
        10.0, SECONDS, "Timeout for fetching a script from a `script_url`, in real seconds.", applies="new jobs"
    )
    script_url_bytes: int = setting(
        64 * 2**20, BYTES, "Maximum size of a script from a `script_url` in bytes.", applies="new jobs"
    )

    artifact_url_lifetime: float = setting(
        3600.0,
        SECONDS,
        "Seconds until the presigned URL of an artifact expires.",
        group="Recordings",
        applies="new artifact URLs",
    )

    faults: Sequence[Mapping[str, Any]] = setting(
        (),
        FAULTS,
        "Faults to inject from the start, and again after a reset.",
        secret=True,
        group="Failures",
    )
    network_profile: NetworkSetting = setting(
        None,
        NETWORK,
        "Network between the mock and its clients: the name of a preset, such as `lossy-wifi`, `3g` or `tunnel`, or an "
        "object with `loss`, `delay`, `rate` and so on. It impairs media, data channels and signaling.",
        option="--network",
        applies="at once",
    )

    state_dir: str | None = setting(
        None,
        DIRECTORY,
        "Directory in which the mock saves its state, to continue with it when it is started again; by default, "
        "nothing is saved.",
        group="Persistence",
    )

    jobs_limit: int = setting(
        1000, COUNT, "Maximum number of ended simulation jobs to keep; the oldest are forgotten first.", group="Memory"
    )
    streams_limit: int = setting(
        1000, COUNT, "Maximum number of streams to keep; the oldest ended ones are forgotten first, running ones never."
    )
    journal_limit: int = setting(
        10_000, COUNT, "Maximum number of journal entries and of telemetry events; the oldest are dropped first."
    )
    journal_bytes: int = setting(
        DEFAULT_BYTES,
        BYTES,
        "Maximum memory in bytes of the journal, and of the telemetry events; the oldest are dropped first.",
    )

    def __post_init__(self) -> None:
        for name, each in SETTINGS.items():
            each.rule.check(name, getattr(self, name))
        for account in (self.keys or {}).values():
            account.check()
        self._check_tls()
        object.__setattr__(self, "regions", tuple(self.regions))
        object.__setattr__(self, "script_url_hosts", tuple(self.script_url_hosts))
        object.__setattr__(self, "trusted_proxies", tuple(self.trusted_proxies))
        object.__setattr__(self, "control_hosts", tuple(self.control_hosts))
        object.__setattr__(self, "ice_servers", tuple(self.ice_servers))
        object.__setattr__(self, "udp_addresses", tuple(str(ipaddress.ip_address(each)) for each in self.udp_addresses))
        if self.public_url is not None:
            object.__setattr__(self, "public_url", str(BaseUrl.read(self.public_url)))

    def _check_tls(self) -> None:
        """Check that there is at most one certificate, and that it has a private key."""
        if self.tls_cert is not None and self.tls_key is None:
            raise SettingsError(
                "tls_key must be the file with the private key of the certificate in tls_cert, got none; give both "
                "(--tls-cert FILE --tls-key FILE)"
            )
        if self.tls_key is not None and self.tls_cert is None:
            raise SettingsError(
                "tls_cert must be the file with the certificate of the private key in tls_key, got none; give both "
                "(--tls-cert FILE --tls-key FILE)"
            )
        if self.tls and self.tls_cert is not None:
            raise SettingsError(
                "tls must be False with tls_cert, because the mock uses one certificate, got True; give either --tls, "
                "or --tls-cert with --tls-key"
            )

    @property
    def udp_port_range(self) -> PortRange | None:
        """The range of the setting `udp_ports`."""
        return None if self.udp_ports is None else PortRange.read(self.udp_ports)

    @property
    def limits(self) -> Limits:
        """The limits of accounts that do not set their own."""
        return Limits(**{name: getattr(self, name) for name in LIMIT_NAMES})

    def replace(self, *, plan: Plan | None = None, **changes: "Unpack[SettingsOverrides]") -> Self:
        """Return a copy with some settings changed; `plan`, a name in `PLANS`, sets all limits not in `changes`.

        Raises:
            UnknownSettingError: a keyword in `changes` is not the name of a setting.
            SettingsError: a value is invalid, or the plan is unknown.
        """
        for name in changes:
            check_name(name)
        if plan is None:
            return dataclasses.replace(self, **changes)
        PLAN.check("plan", plan)
        return dataclasses.replace(self, **{**dataclasses.asdict(PLANS[plan]), **changes})


def check_name(name: str) -> None:
    """Check that `name` is the name of a setting.

    Raises:
        UnknownSettingError: `name` is not the name of a setting. The message suggests the most similar name.
    """
    if name not in SETTINGS:
        near = difflib.get_close_matches(name, SETTING_NAMES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownSettingError(f"unknown setting {name!r}; {hint}known: {', '.join(SETTING_NAMES)}")


def _declared() -> Mapping[str, Setting]:
    types = get_type_hints(Settings)
    found = {}
    group = ""
    for each in dataclasses.fields(Settings):
        declared: _Declared = each.metadata[_Declared]
        kind = types[each.name]
        group = declared.group or group
        found[each.name] = Setting(
            name=each.name,
            type=kind.__value__ if isinstance(kind, TypeAliasType) else kind,
            default=each.default,
            rule=declared.rule,
            description=declared.description,
            option=declared.option or f"--{each.name.replace('_', '-')}",
            served=each.default if declared.served is None else declared.served,
            group=group,
            applies=declared.applies,
        )
    return MappingProxyType(found)


SETTINGS = _declared()
"""All settings by name. The limits of accounts come first."""

SETTING_NAMES = tuple(sorted(SETTINGS, key=LIMIT_NAMES.__contains__))
"""The names of all settings in the order of `Settings`, with the limits of accounts last."""


# The settings as typed keywords, for type checkers and editors: they cannot be derived from the dataclass fields


class ChangeableSettings(TypedDict, total=False):
    """The settings that can change while a mock runs."""

    latency: LatencyProfile
    bypass_privilege: bool
    access_token_lifetime: float
    session_token_lifetime: float
    usage_error_form: UsageErrorForm
    regions: Sequence[Region]
    streamers: int
    dangling_session: float
    session_grace: float
    stale_session: float
    image_to_video: bool
    max_image_bytes: int
    end_without_stream: EndWithoutStream
    channel_delay: float
    fps: int
    portrait_size: PixelSize
    landscape_size: PixelSize
    overlay: Overlay
    start_image_fit: StartImageFit
    bitrate: int
    keyframe_gap: float
    broadcast_spectators: int
    spectators: int
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
    private_script_urls_from_pages: bool
    script_url_timeout: float
    script_url_bytes: int
    artifact_url_lifetime: float
    network_profile: NetworkSetting
    concurrent_sessions: int | None
    monthly_hours: float | None
    queued_simulations: int | None
    connection_duration: float | None
    inactivity: float | None
    stream_duration: float | None


class SimulatedOverrides(ChangeableSettings, total=False):
    """The settings that a test may change in a simulated world; the world sets the others."""

    keys: Mapping[str, AccountSettings] | None
    faults: Sequence[Mapping[str, Any]]
    jobs_limit: int
    streams_limit: int
    journal_limit: int
    journal_bytes: int


class MockOverrides(SimulatedOverrides, total=False):
    """The settings that `MockOdyssey` accepts as keywords: all except `clock`, which is a separate parameter."""

    host: str
    port: int
    public_url: str | None
    trusted_proxies: Sequence[str]
    tls: bool
    tls_dir: str | None
    tls_cert: str | None
    tls_key: str | None
    loopback_only: bool
    udp_ports: str | None
    udp_addresses: Sequence[str]
    ice_servers: Sequence[IceServer]
    control_hosts: Sequence[str]
    control_token: str | None
    fonts: Fonts
    speed: float
    seed: int | None
    state_dir: str | None


class AccountKeywords(TypedDict, total=False):
    """The fields of `AccountSettings` as keywords."""

    bypass_privilege: bool | None
    simulation_priority: Priority | None
    plan: Plan | None
    concurrent_sessions: Own[int]
    monthly_hours: Own[float]
    queued_simulations: Own[int]
    connection_duration: Own[float]
    inactivity: Own[float]
    stream_duration: Own[float]


class SettingsOverrides(MockOverrides, total=False):
    """All settings as keywords."""

    clock: ClockKind
