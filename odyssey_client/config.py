"""Settings of a client, from arguments and the environment, checked once at construction.

Messages that begin with ``Odyssey:`` begin word for word as the vendor's (protocol.md section 9), with ``api_key`` for
``apiKey``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

from odyssey_client.errors import OdysseyConfigError

DEFAULT_API_URL = "https://api.odyssey.ml"
API_KEY_VARIABLE = "ODYSSEY_API_KEY"
API_URL_VARIABLE = "ODYSSEY_API_URL"

type Reconnect = Literal["off", "same_session", "new_session"]

_HOW_TO_GIVE_A_KEY = f"Pass Odyssey(api_key=...) or set the environment variable {API_KEY_VARIABLE}."


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvancedConfig:
    """Retries, limits and habits of a client; the defaults are right for most.

    The first five are named as in the vendor's Python SDK. Times are in the unit their name ends with. Retries of calls
    for simulations and recordings share the delays with signaling; theirs are by up to a half shorter, by chance.

    Raises:
        OdysseyConfigError: a value is of the wrong type or out of its range.
    """

    max_retries: int = 5
    """How often signaling is tried again before the connection is up (protocol.md section 3), and how many tries there
    are to get a lost connection back; 0 for none."""
    reconnect: Reconnect = "new_session"
    """What to do about a connection that was up and is lost without an end by the service: nothing (``off``); take the
    session up again (``same_session``); or that, and where it is gone take a new one (``new_session``)."""
    initial_retry_delay_ms: int = 1000
    """The wait before the first retry; before the second try to reconnect, as the first is made at once."""
    max_retry_delay_ms: int = 2000
    """The longest wait between two retries."""
    retry_backoff_multiplier: float = 2.0
    """How much longer each wait is than the one before."""
    queue_timeout_s: float = 30.0
    """How long to wait for a free streamer; 0 to take what is free at once or give up."""
    connect_timeout_s: float = 30.0
    """How long an offer, an answer and the peer connection may take together, and each try to reconnect."""
    peer_timeout_s: float = 5.0
    """How long a connection that is up may go without a frame before its peer counts as lost."""
    operation_timeout_s: float = 30.0
    """How long a start, an interaction or an end may go unanswered."""
    keepalive_interval_s: float = 10.0
    """The time between two keepalives on the signaling socket."""
    request_timeout_s: float = 30.0
    """How long one HTTP call may take, from connecting to the last byte of the answer."""
    request_max_retries: int = 3
    """How often an HTTP call is tried again, if that is safe and may help: for tokens, simulations, recordings; 0 for
    never."""
    max_retry_after_s: float = 60.0
    """The longest wait that the service may ask for before such a retry; one that is longer fails the call at once."""
    region_ping_timeout_s: float = 1.0
    """How long a region may take to answer before it counts as out of reach."""
    telemetry: bool = True
    """Whether to tell the service how connecting went (never prompts, keys or images)."""

    def __post_init__(self) -> None:
        for setting in fields(self):
            rule = _RULES[setting.name]
            value = getattr(self, setting.name)
            if not rule.allows(value):
                raise OdysseyConfigError(f"AdvancedConfig.{setting.name} must be {rule.expected}, got {value!r}")
        if self.max_retry_delay_ms < self.initial_retry_delay_ms:
            raise OdysseyConfigError(
                f"AdvancedConfig.max_retry_delay_ms ({self.max_retry_delay_ms}) must not be less than "
                f"initial_retry_delay_ms ({self.initial_retry_delay_ms})"
            )


@dataclass(frozen=True, slots=True)
class _Rule:
    expected: str
    kind: type[int] | type[float] | type[bool]
    minimum: float = 0.0
    exclusive: bool = False

    def allows(self, value: object) -> bool:
        if self.kind is bool or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
        if not isinstance(value, int if self.kind is int else int | float) or not math.isfinite(value):
            return False
        return value > self.minimum if self.exclusive else value >= self.minimum


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple[str, ...]

    @property
    def expected(self) -> str:
        return f"one of {', '.join(map(repr, self.options))}"

    def allows(self, value: object) -> bool:
        return isinstance(value, str) and value in self.options


_COUNT = _Rule("a whole number, 0 or more", int)
_DURATION = _Rule("a number, 0 or more", float)
_LIMIT = _Rule("a number above 0", float, exclusive=True)

_RULES: Mapping[str, _Rule | _Choice] = {
    "max_retries": _COUNT,
    "reconnect": _Choice(get_args(Reconnect.__value__)),
    "initial_retry_delay_ms": _DURATION,
    "max_retry_delay_ms": _DURATION,
    "retry_backoff_multiplier": _Rule("a number, 1 or more", float, minimum=1.0),
    "queue_timeout_s": _DURATION,
    "connect_timeout_s": _LIMIT,
    "peer_timeout_s": _LIMIT,
    "operation_timeout_s": _LIMIT,
    "keepalive_interval_s": _LIMIT,
    "request_timeout_s": _LIMIT,
    "request_max_retries": _COUNT,
    "max_retry_after_s": _DURATION,
    "region_ping_timeout_s": _LIMIT,
    "telemetry": _Rule("True or False", bool),
}


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What a client works with: where the service is, who asks, and the finer settings."""

    api_key: str | None = field(repr=False)
    api_url: str
    advanced: AdvancedConfig

    @classmethod
    def resolve(
        cls,
        api_key: str | None = None,
        api_url: str | None = None,
        advanced: AdvancedConfig | None = None,
        *,
        env: Mapping[str, str],
        api_key_required: bool = True,
    ) -> Self:
        """Take settings from arguments, else from ``env``, else the defaults.

        Args:
            api_key: The API key; white space around it is dropped (keys are often read from files).
            api_url: Where the service is, ``http(s)://host[:port][/prefix]``.
            advanced: The finer settings.
            env: The environment, normally ``os.environ``.
            api_key_required: False for a process that only gets `ClientCredentials` from elsewhere; calls that need
                the key then raise `OdysseyConfigError`.

        Raises:
            OdysseyConfigError: with the vendor's words where it has some.
        """
        if advanced is not None and not isinstance(advanced, AdvancedConfig):
            raise OdysseyConfigError(
                "Odyssey: config object is required: advanced= takes an AdvancedConfig, "
                f"got {type(advanced).__name__}. Write for example Odyssey(advanced=AdvancedConfig(queue_timeout_s=5))."
            )
        return cls(
            api_key=_api_key(api_key, env, required=api_key_required),
            api_url=_api_url(api_url, env),
            advanced=advanced or AdvancedConfig(),
        )

    def require_api_key(self) -> str:
        """Return the API key, for a call that cannot do without.

        Raises:
            OdysseyConfigError: this client has none.
        """
        if self.api_key is None:
            raise OdysseyConfigError(
                "Odyssey: api_key is required and must be a string: this call needs one, and this client was made "
                f"without. {_HOW_TO_GIVE_A_KEY} Without a key only connect_with_credentials() works."
            )
        return self.api_key


def _api_key(given: object, env: Mapping[str, str], *, required: bool) -> str | None:
    source = "the api_key argument"
    if given is None:
        given, source = env.get(API_KEY_VARIABLE), f"the environment variable {API_KEY_VARIABLE}"
        if given is None or (not required and not given.strip()):
            if required:
                raise OdysseyConfigError(f"Odyssey: api_key is required and must be a string. {_HOW_TO_GIVE_A_KEY}")
            return None
    if not isinstance(given, str):
        raise OdysseyConfigError(
            f"Odyssey: api_key is required and must be a string, got {type(given).__name__}. {_HOW_TO_GIVE_A_KEY}"
        )
    key = given.strip()
    if not key:
        raise OdysseyConfigError(f"Odyssey: api_key cannot be empty, and {source} is. {_HOW_TO_GIVE_A_KEY}")
    return key


def _api_url(given: object, env: Mapping[str, str]) -> str:
    source = "api_url"
    if given is None:
        given, source = env.get(API_URL_VARIABLE) or DEFAULT_API_URL, API_URL_VARIABLE
    if not isinstance(given, str):
        raise OdysseyConfigError(f"Odyssey: {source} must be a string, got {type(given).__name__}")
    url = given.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # .port raises ValueError when it is no port number
    except ValueError as error:
        raise OdysseyConfigError(f"Odyssey: {source} is no URL: {error}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise OdysseyConfigError(f"Odyssey: {source} must look like https://host or http://host:port, got {given!r}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        # The URL is not repeated: what does not belong in it is likely to be a secret.
        raise OdysseyConfigError(f"Odyssey: {source} must have no user, password, query or fragment")
    return url
