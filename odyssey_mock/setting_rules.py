"""Validation rules for values of settings, and the error that they raise.

`settings.py` assigns a rule to each setting. It has further rules for API keys, plans and regions, with their types.
"""

import dataclasses
import ipaddress
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAliasType, get_args

from odyssey_mock.core.redaction import without_keys
from odyssey_mock.core.udp_ports import FEWEST, PortRange
from odyssey_mock.core.url_parts import BaseUrl
from odyssey_mock.impairment.presets import NETWORK_PRESETS, profile_error


class SettingsError(ValueError):
    """A setting has an invalid value. The message states the setting and the expected values, without API keys."""

    def __init__(self, message: str) -> None:
        super().__init__(without_keys(message))


def _echo(value: object) -> str:
    try:
        return f", got {value!r}"
    except ValueError:
        # Python refuses to convert whole numbers with thousands of digits to text.
        return f", got {type(value).__name__} with a number that is too long to show"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that validates the value of a setting.

    Attributes:
        expected: a description of the valid values, for error messages: the words after "must be".
        holds: function that returns whether a value is valid.
        least: for numbers, the minimum.
        above: for numbers, whether the value must be greater than `least`.
        most: for numbers, the maximum.
        unit: the placeholder for the value in `serve --help`; None shows the type.
        echo: function that returns the end of the error message for an invalid value: `, got ...`, or an empty string
            if the value may contain a secret.
    """

    expected: str
    holds: Callable[[Any], bool]  # Any: the value has not been validated yet
    least: int | None = None
    above: bool = False
    most: int | None = None
    unit: str | None = None
    echo: Callable[[Any], str] = _echo  # Any: as above

    def check(self, name: str, value: object) -> None:
        """Check that `value` is valid for the setting `name`.

        Raises:
            SettingsError: `value` is invalid.
        """
        if not self.holds(value):
            raise SettingsError(f"{name} must be {self.expected}{self.echo(value)}")

    def without_text(self) -> Self:
        """Return a copy of this rule whose messages show an invalid value only if it is a number."""
        return dataclasses.replace(self, echo=lambda value: _echo(value) if isinstance(value, int | float) else "")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(what: str, unit: str, most: int, *, above: bool = False) -> Rule:
    """Create a rule for numbers from 0 to `most`; with `above`, for numbers greater than 0."""

    def holds(value: Any) -> bool:  # Any: as in `Rule`
        return _is_number(value) and (value > 0 if above else value >= 0) and value <= most

    expected = f"{what} above 0, at most {most}" if above else f"{what} from 0 to {most}"
    return Rule(expected, holds, least=0, above=above, most=most, unit=unit)


def _whole(what: str, least: int, most: int) -> Rule:
    """Create a rule for whole numbers from `least` to `most`."""

    def holds(value: Any) -> bool:  # Any: as in `Rule`
        return _is_whole(value) and least <= value <= most

    return Rule(f"{what} from {least} to {most}", holds, least=least, most=most, unit="NUMBER")


def one_of(choices: TypeAliasType) -> Rule:
    """Create a rule that accepts the strings of a `Literal` type."""
    texts = get_args(choices.__value__)
    *others, last = map(repr, texts)
    return Rule(f"{', '.join(others)} or {last}", lambda value: isinstance(value, str) and value in texts)


def or_none(rule: Rule) -> Rule:
    """Create a rule that accepts None (no limit) and all values that `rule` accepts."""
    expected, holds = f"{rule.expected}, or None for no limit", rule.holds
    return dataclasses.replace(rule, expected=expected, holds=lambda value: value is None or holds(value))


def _is_size(value: object) -> bool:
    """Return whether `value` is a size that is large enough for a frame stamp. 4:2:0 video requires even sides."""
    if not (isinstance(value, tuple) and len(value) == 2):
        return False
    return (
        all(_is_whole(side) and side >= 88 and side % 2 == 0 for side in value)
        and 160 <= max(value) <= LONG_SIDE
        and min(value) <= SHORT_SIDE
    )


def _is_address(value: object) -> bool:
    """Return whether `value` can be a host name or an IP address: printable text, without surrogates and spaces."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable() and " " not in value


def _are_hosts(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_is_host, value))


def _is_host(value: object) -> bool:
    """Return whether a URL may have `value` as its host: a name, or an IP address with or without brackets."""
    if not (isinstance(value, str) and _is_address(value)):
        return False
    if value.startswith("[") and value.endswith("]"):
        value = value[1:-1]
    return not set(value) & set("/?#@:[]\\%") or (not set(value) & set("/%") and _is_network(value))


def _is_public_url(value: object) -> bool:
    return value is None or (isinstance(value, str) and BaseUrl.read(value) is not None)


def _is_udp_range(value: object) -> bool:
    return value is None or (isinstance(value, str) and PortRange.read(value) is not None)


def _are_reachable(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_is_reachable, value))


def _is_reachable(value: object) -> bool:
    """Return whether `value` is an IP address at which a client can reach a socket; clients ignore one with a zone."""
    if not (isinstance(value, str) and value.isascii() and "%" not in value):
        return False
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_multicast)


def _are_ice_servers(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_is_ice_server, value))


def _is_ice_server(value: object) -> bool:
    """Return whether `value` is an `RTCIceServer`. Browsers reject one without URLs, and TURN without a password."""
    if not (isinstance(value, Mapping) and value.keys() <= {"urls", "username", "credential"}):
        return False
    urls = value.get("urls")
    listed = [urls] if isinstance(urls, str) else urls
    if not (isinstance(listed, Sequence) and listed and all(map(_is_ice_url, listed))):
        return False
    access = [value[name] for name in ("username", "credential") if name in value]
    needed = any(url.startswith("turn") for url in listed)
    return len(access) == (2 if needed else 0) and all(map(_is_access, access))


def _is_ice_url(value: object) -> bool:
    match = _ICE_URL.fullmatch(value) if isinstance(value, str) else None
    return match is not None and (match["port"] is None or 0 < int(match["port"]) < 2**16)


def _is_access(value: object) -> bool:
    return isinstance(value, str) and _ACCESS.fullmatch(value) is not None


def _is_path(value: object) -> bool:
    if value is None:
        return True
    try:
        return isinstance(value, str) and value != "" and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _are_networks(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_is_network, value))


def _is_network(value: object) -> bool:
    if not (isinstance(value, str) and value.isascii()):
        return False
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True


_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")
"""Matches a control token: characters that need no encoding in a URL (RFC 3986), too many to guess."""

_ICE_URL = re.compile(
    r"(?:stuns?|(?P<turn>turns?)):(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]{1,253})(?::(?P<port>[0-9]{1,5}))?"
    r"(?(turn)(?:\?transport=(?:udp|tcp))?)"
)
"""Matches the URL of a STUN server (RFC 7064) or a TURN server (RFC 7065)."""

_ACCESS = re.compile(r"[ !#-\[\]-~]{1,500}")
"""Matches a user name or password for a TURN server: characters that need no escapes in a header (RFC 9110 5.6.4)."""

# The maxima are above every useful value, and below those with which a calculation or a library fails.
LARGEST = 10**9
LONG_SIDE, SHORT_SIDE = 4096, 2304
LONGEST_NAME = 253

SECONDS = _number("a number of seconds", "SECONDS", LARGEST, above=True)
SECONDS_FROM_0 = _number("a number of seconds", "SECONDS", LARGEST)
HOURS = _number("a number of hours", "HOURS", LARGEST)
SPEED = _number("a number", "NUMBER", 10**6, above=True)
COUNT = _whole("a whole number", 1, LARGEST)
COUNT_FROM_0 = _whole("a whole number", 0, LARGEST)
BYTES = _whole("a whole number", 1, 10**12)
FRAME_RATE = _whole("a whole number", 1, 240)
BITRATE = _whole("a whole number", 1000, 10**8)
PORT = _whole("a port", 0, 65535)
SEED = Rule(
    "None, or a whole number of at most 300 digits",
    lambda value: value is None or (_is_whole(value) and abs(value) < 10**300),
    unit="NUMBER",
)
FLAG = Rule("True or False", lambda value: isinstance(value, bool))
ADDRESS = Rule(f"an address to listen on, of at most {LONGEST_NAME} printable characters, without spaces", _is_address)
PUBLIC_URL = Rule(
    "None, or an http or https URL with a host, and optionally a port and a path, such as https://example.com/mock; "
    "the path must not begin with the first segment of a path of the service, such as /auth",
    _is_public_url,
    unit="URL",
    # A URL that contains a password is invalid, and the message must not show the password.
    echo=lambda value: "" if isinstance(value, str) and "@" in value else _echo(value),
)
UDP_PORTS = Rule(
    f"None, or a range of at least {FEWEST} ports from 1 to 65535, such as 50000-50100: one port for STUN, and one for "
    "each session and each spectator",
    _is_udp_range,
    unit="FIRST-LAST",
)
REACHABLE = Rule("a list of IP addresses at which clients reach the mock, such as 192.0.2.1", _are_reachable)
ICE_SERVERS = Rule(
    "a list of objects with `urls`: a URL of a STUN or TURN server such as turn:192.0.2.1:3478?transport=tcp, or a "
    "list of them; for TURN also with `username` and `credential`: 1 to 500 printable ASCII characters, no quotes or "
    "backslashes",
    _are_ice_servers,
    # The message must not show a password.
    echo=lambda _: "",
)
DIRECTORY = Rule("None, or the path of a directory, without null characters", _is_path, unit="DIR")
FILE = Rule("None, or the path of a file, without null characters", _is_path, unit="FILE")
NETWORKS = Rule("a list of IP addresses and networks, such as 10.0.0.0/8", _are_networks)
SIZE = Rule(
    f"(width, height) in pixels, both even, at least 88x160 or 160x88, at most "
    f"{SHORT_SIDE}x{LONG_SIDE} or {LONG_SIDE}x{SHORT_SIDE}",
    _is_size,
    least=88,
    most=LONG_SIDE,
    unit="W H",
)
CONTROL_TOKEN = Rule(
    "None, or 16 to 200 letters, digits and characters of `-._~`",
    lambda value: value is None or (isinstance(value, str) and _TOKEN.fullmatch(value) is not None),
    unit="TOKEN",
    # The message must not show a secret.
    echo=lambda _: "",
)
HOSTS = Rule("a list of host names and IP addresses, without scheme or port", _are_hosts)
NETWORK = Rule(
    f"None, the name of a preset ({', '.join(NETWORK_PRESETS)}), or an object such as {{'loss': 0.1, 'delay': 0.05}}",
    lambda value: profile_error(value) is None,
    echo=lambda value: f": {profile_error(value)}",
)
FAULTS = Rule(
    "a list of faults, each an object with `at` and `do`",
    lambda value: isinstance(value, Sequence) and all(isinstance(each, Mapping) for each in value),
    # Faults may contain API keys, so the message gives only the type.
    echo=lambda value: f", got {type(value).__name__}",
)
