"""Settings of a client, from arguments and environment variables. They are checked when the client is created.

Messages with the prefix ``Odyssey:`` start with the exact text of the vendor's messages, except that they say
``api_key`` instead of ``apiKey`` (protocol.md section 9).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

from odyssey_client.errors import OdysseyConfigError

DEFAULT_API_URL = "https://api.odyssey.ml"
API_KEY_VARIABLE = "ODYSSEY_API_KEY"
API_URL_VARIABLE = "ODYSSEY_API_URL"

type Reconnect = Literal["off", "same_session", "new_session"]

_NOT_IN_A_URL = re.compile(r"[\s\x00-\x1f\x7f\ud800-\udfff]")
"""White space, control characters and lone surrogates. Python decodes bytes that are not UTF-8 as lone surrogates."""

_HOW_TO_GIVE_A_KEY = f"Pass Odyssey(api_key=...) or set the environment variable {API_KEY_VARIABLE}."


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvancedConfig:
    """Retries, time limits and other settings of a client. The defaults suit most programs.

    ``max_retries``, the settings of retry delays and ``queue_timeout_s`` have the names of the vendor's Python SDK. The
    name of each setting that is a time ends with its unit. Retries of HTTP requests use the same delays as signaling,
    each shortened at random by up to half.

    Raises:
        OdysseyConfigError: a value has the wrong type or is out of range.
    """

    max_retries: int = 5
    """Maximum number of retries of signaling before the connection is up (protocol.md section 3); 0 for none.

    The value is also the maximum number of attempts to restore a lost connection.
    """
    reconnect: Reconnect = "new_session"
    """How to restore a connection that is lost after it was up; a connection that the service ends is not restored.

    ``off``: do not restore it. ``same_session``: resume the session. ``new_session``: resume the session, or open a new
    session if the old one no longer exists.
    """
    initial_retry_delay_ms: int = 1000
    """Delay before the first retry. The first attempt to reconnect has no delay; the second one has this delay."""
    max_retry_delay_ms: int = 2000
    """Maximum delay between two retries."""
    retry_backoff_multiplier: float = 2.0
    """Factor by which the delay grows from one retry to the next."""
    queue_timeout_s: float = 30.0
    """Maximum time to wait for a free streamer; 0 to fail at once if none is free."""
    connect_timeout_s: float = 30.0
    """Time limit for signaling and the peer connection together, and for each attempt to reconnect."""
    peer_timeout_s: float = 5.0
    """Time without a video frame after which the peer of an open connection is considered lost."""
    operation_timeout_s: float = 30.0
    """Time limit for the streamer's reply to the start, an interaction or the end of a stream."""
    keepalive_interval_s: float = 10.0
    """Time between two ``keepalive`` messages on the signaling socket."""
    request_timeout_s: float = 30.0
    """Time limit for one HTTP request, from connecting to the last byte of the response.

    For the file of a download, it limits the time without new data.
    """
    download_timeout_s: float = 3600.0
    """Time limit for one download, with all its retries."""
    max_download_bytes: int = 10 * 2**30
    """Maximum size of a downloaded file, so that an endless response cannot fill the disk.

    The default is several times the size of an hour of video.
    """
    request_max_retries: int = 3
    """Maximum number of retries of an HTTP request after a transient error; 0 for none.

    Only requests that are safe to repeat are retried: those for tokens and recordings, and most for simulations.
    """
    max_retry_after_s: float = 60.0
    """Longest ``Retry-After`` for which a call is retried; if the service asks for a longer wait, the call fails."""
    region_ping_timeout_s: float = 1.0
    """Time limit for a region's response to a ping; a region that does not respond is considered unreachable."""
    telemetry: bool = True
    """Whether to send telemetry about connecting to the service. It never contains prompts, keys or images."""

    def __post_init__(self) -> None:
        for setting in fields(self):
            rule = _RULES[setting.name]
            value = getattr(self, setting.name)
            if not rule.allows(value):
                raise OdysseyConfigError(f"AdvancedConfig.{setting.name} must be {rule.expected}, got {value!r}")
        if self.max_retry_delay_ms < self.initial_retry_delay_ms:
            raise OdysseyConfigError(
                f"AdvancedConfig.max_retry_delay_ms ({self.max_retry_delay_ms}) must be at least "
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
        if not isinstance(value, int if self.kind is int else int | float) or not abs(value) <= sys.float_info.max:
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
    "download_timeout_s": _LIMIT,
    "max_download_bytes": _Rule("a whole number above 0", int, exclusive=True),
    "request_max_retries": _COUNT,
    "max_retry_after_s": _DURATION,
    "region_ping_timeout_s": _LIMIT,
    "telemetry": _Rule("True or False", bool),
}


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Complete configuration of a client: API key, URL of the service, and advanced settings."""

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
        """Read the settings from the arguments, else from ``env``, else from the defaults.

        Args:
            api_key: The API key; surrounding whitespace is removed, since keys are often read from files.
            api_url: URL of the service, ``http(s)://host[:port][/prefix]``.
            advanced: The advanced settings.
            env: The environment variables, normally ``os.environ``.
            api_key_required: False for a process that receives `ClientCredentials` from another process; calls that
                need the key then raise `OdysseyConfigError`.

        Raises:
            OdysseyConfigError: an argument is invalid. If the vendor documents a message for the error, it is used.
        """
        if advanced is not None and not isinstance(advanced, AdvancedConfig):
            raise OdysseyConfigError(
                "Odyssey: config object is required: advanced= takes an AdvancedConfig, "
                f"got {type(advanced).__name__}. For example: Odyssey(advanced=AdvancedConfig(queue_timeout_s=5))."
            )
        return cls(
            api_key=_api_key(api_key, env, required=api_key_required),
            api_url=_api_url(api_url, env),
            advanced=advanced or AdvancedConfig(),
        )

    def require_api_key(self) -> str:
        """Return the API key, for a call that needs it.

        Raises:
            OdysseyConfigError: this client has no API key.
        """
        if self.api_key is None:
            raise OdysseyConfigError(
                "Odyssey: api_key is required and must be a string: this call needs a key, but the client was created "
                f"without one. {_HOW_TO_GIVE_A_KEY} Without a key, only connect_with_credentials() works."
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
        raise OdysseyConfigError(f"Odyssey: api_key cannot be empty, but {source} is empty. {_HOW_TO_GIVE_A_KEY}")
    try:
        key.encode()
    except UnicodeEncodeError as error:
        # Python decodes a byte of an environment variable that is not UTF-8 as a lone surrogate (PEP 383).
        raise OdysseyConfigError(
            f"Odyssey: api_key must be text that UTF-8 can encode, got a lone surrogate at index {error.start} in "
            f"{source}: a byte that is not UTF-8. Copy the key again."
        ) from None
    return key


def _api_url(given: object, env: Mapping[str, str]) -> str:
    source = "api_url"
    if given is None:
        given, source = env.get(API_URL_VARIABLE) or DEFAULT_API_URL, API_URL_VARIABLE
    if not isinstance(given, str):
        raise OdysseyConfigError(f"Odyssey: {source} must be a string, got {type(given).__name__}")
    url = given.strip().rstrip("/")
    if _NOT_IN_A_URL.search(url):
        raise OdysseyConfigError(
            f"Odyssey: {source} must be a URL without spaces, control characters and bytes that are not UTF-8, got one "
            "with such a character"
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # .port raises ValueError for an invalid port
    except ValueError as error:
        raise OdysseyConfigError(f"Odyssey: {source} is not a valid URL: {error}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise OdysseyConfigError(f"Odyssey: {source} must look like https://host or http://host:port, got {given!r}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        # The message omits the URL: a password or a query is probably a secret.
        raise OdysseyConfigError(f"Odyssey: {source} must not contain a user name, password, query or fragment")
    return url
