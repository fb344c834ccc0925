"""Tests of the validation rules for values of settings: what each rule accepts, and the messages of its errors."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock import setting_rules
from odyssey_mock.setting_rules import (
    CONTROL_TOKEN,
    COUNT,
    FAULTS,
    HOSTS,
    ICE_SERVERS,
    NETWORK,
    PORT,
    PUBLIC_URL,
    SIZE,
    Rule,
    SettingsError,
    one_of,
    or_none,
)

type Fit = Literal["crop", "letterbox", "stretch"]

FIT = one_of(Fit)

ACCESS = {"username": "anna", "credential": "open sesame"}

HOST_NAMES = ["::1", "[::1]", "127.0.0.1", "files.example", "bücher.example", "build_host"]
NOT_HOST_NAMES = [
    "",
    "http://localhost",
    "localhost:80",
    "\ud800",
    "a b",
    "a?b",
    "a@b",
    "[::1",
    "a::1]",
    "[a?b]",
    "[1::g]",
    "::1%1",
    "::1/64",
    8080,
]

VALID: Mapping[str, Sequence[object]] = {
    "ADDRESS": ["127.0.0.1", "::1", "localhost", "a", "a" * 253],
    "BITRATE": [1000, 10**8],
    "BYTES": [1, 10**12],
    "COUNT": [1, 10**9],
    "COUNT_FROM_0": [0, 10**9],
    "CONTROL_TOKEN": [None, "0123456789abcdef", "AZaz09-._~" * 20],
    "FILE": [None, "cert.pem", "/etc/ssl/my mock.pem"],
    "DIRECTORY": [None, ".", "/var/lib/odyssey mock", "bücher"],
    "FAULTS": [[], [{"at": "rest.*", "do": "error"}]],
    "FLAG": [True, False],
    "FRAME_RATE": [1, 240],
    "HOSTS": [[], *([each] for each in HOST_NAMES), tuple(HOST_NAMES)],
    "HOURS": [0, 0.5, 10**9],
    "NETWORK": [None, "lossy-wifi", {}, {"loss": 0.3, "from_client": {"loss": 0}, "traffic": ["media"]}],
    "NETWORKS": [[], ["10.0.0.1"], ["10.0.0.0/8", "::1", "fe80::/10"], ["10.0.0.1/8"]],
    "PORT": [0, 65535],
    "PUBLIC_URL": [None, "http://a", "https://example.com:8443/mock", "https://example.com/mock/"],
    "SECONDS": [1e-9, 1, 10**9],
    "SECONDS_FROM_0": [0, 0.0, 1e-9, 10**9],
    "SEED": [None, 0, 10**300 - 1, 1 - 10**300],
    "SIZE": [(88, 160), (160, 88), (2304, 4096), (4096, 2304)],
    "SPEED": [1e-9, 1, 10**6],
    "REACHABLE": [[], ["127.0.0.1"], ["192.0.2.1", "2001:db8::1"]],
    "ICE_SERVERS": [
        [],
        [{"urls": "stun:192.0.2.1"}, {"urls": ["stuns:stun.lan:5349", "stun:[::1]:1"]}],
        [{"urls": "turn:192.0.2.1:3478?transport=tcp", **ACCESS}],
        [{"urls": ["turns:turn.lan:65535?transport=udp", "stun:turn.lan"], **ACCESS}],
        [{"urls": "turn:turn.lan", "username": "1767225600:anna", "credential": "~" * 500}],
    ],
    "UDP_PORTS": [None, "50000-50100", "1-2", "65534-65535"],
}
"""For each rule: valid values, among them the first and the last ones."""

INVALID: Mapping[str, Sequence[object]] = {
    "ADDRESS": ["", None, "\ud800", "a b", "a" * 254],
    "BITRATE": [0, 999, 10**8 + 1, 1000.0],
    "BYTES": [0, 10**12 + 1, 1.0],
    "COUNT": [0, 10**9 + 1, 1.0, True, "1", None],
    "COUNT_FROM_0": [-1, 10**9 + 1, 0.0, False],
    "CONTROL_TOKEN": ["", "0123456789abcde", "a" * 201, "0123456789 abcdef", "0123456789abcdef\n", "\u00e9" * 16, 1],
    "FILE": ["", "a\0b", "\ud800", b"cert.pem", 1],
    "DIRECTORY": ["", "a\0b", "\ud800", b"state", 1],
    "FAULTS": [None, "rest.*", [1]],
    "FLAG": [1, 0, "yes", None],
    "FRAME_RATE": [0, 241, 29.97],
    "HOSTS": [None, "localhost", *([each] for each in NOT_HOST_NAMES)],
    "HOURS": [-0.5, 10**9 + 1, "10", float("inf")],
    "NETWORK": ["", "5g", 3, [], {"los": 0.1}, {"loss": 2}, {"to_client": None}, {"reorder": 0.5}],
    "NETWORKS": [None, "10.0.0.1", ["proxy"], ["fe80::1%\ud800"], ["10.0.0.0/33"], [1], [None]],
    "PORT": [-1, 65536, "8400", True, 80.0],
    "PUBLIC_URL": ["", "/mock", "ftp://a", "http://a?b", "http://a#b", "http://a:b@c", "http://a/b c", "http://[a]", 1],
    "SECONDS": [0, -1, 10**9 + 1, "1", True, None, float("inf"), float("nan")],
    "SECONDS_FROM_0": [-1e-9, 10**9 + 1, "0", float("nan")],
    "SEED": ["x", 1.5, True, 10**300, -(10**400)],
    "SIZE": [
        "704x1280",
        [704, 1280],
        (704,),
        (704, 1280, 2),
        (0, 0),
        (62, 62),
        (86, 160),
        (88, 158),
        (705, 1280),
        (704.0, 1280.0),
        (4098, 88),
        (2306, 2306),
        (10**8, 10**8),
    ],
    "REACHABLE": [None, "192.0.2.1", ["mock.lan"], ["0.0.0.0"], ["::"], ["224.0.0.1"], ["fe80::1%eth0"], [1]],
    "ICE_SERVERS": [
        None,
        "stun:192.0.2.1",
        ["stun:192.0.2.1"],
        [{}],
        *([{"urls": urls}] for urls in ([], "", "http://192.0.2.1", ["stun:192.0.2.1", 1], 1, "stun:a\n")),
        *([{"urls": f"stun:{rest}"}] for rest in ("", "//a", "a:0", "a:65536", "a?transport=tcp", "a:b@c", "[::1")),
        *([{"urls": "turn:turn.lan?transport=sctp", **ACCESS}], [{"urls": "stun:turn.lan", **ACCESS}]),
        [{"urls": "stun:192.0.2.1", "credentialType": "password"}],
        *(
            [{"urls": "turn:turn.lan", **ACCESS, "credential": each}]
            for each in ("", "x" * 501, "\n", '"', "\\", "\u00e9", 1)
        ),
        *([{"urls": "turn:turn.lan", **each}] for each in ({}, {"username": "anna"}, {"credential": "open sesame"})),
    ],
    "UDP_PORTS": ["", "50000", "50000-50000", "50001-50000", "0-1", "65535-65536", "1 - 2", "1-\u0662", 50000, (1, 2)],
    "SPEED": [0, -1.0, 1_000_001, 10**400, float("inf"), float("nan")],
}
"""For each rule: invalid values, among them those next to the first and the last valid ones."""

DESCRIPTIONS: Mapping[str, tuple[str, str | None]] = {
    "ADDRESS": ("an address to listen on, of at most 253 printable characters, without spaces", None),
    "BITRATE": ("a whole number from 1000 to 100000000", "NUMBER"),
    "BYTES": ("a whole number from 1 to 1000000000000", "NUMBER"),
    "CONTROL_TOKEN": ("None, or 16 to 200 letters, digits and characters of `-._~`", "TOKEN"),
    "COUNT": ("a whole number from 1 to 1000000000", "NUMBER"),
    "COUNT_FROM_0": ("a whole number from 0 to 1000000000", "NUMBER"),
    "FILE": ("None, or the path of a file, without null characters", "FILE"),
    "DIRECTORY": ("None, or the path of a directory, without null characters", "DIR"),
    "FAULTS": ("a list of faults, each an object with `at` and `do`", None),
    "FLAG": ("True or False", None),
    "FRAME_RATE": ("a whole number from 1 to 240", "NUMBER"),
    "HOSTS": ("a list of host names and IP addresses, without scheme or port", None),
    "HOURS": ("a number of hours from 0 to 1000000000", "HOURS"),
    "NETWORK": (
        (
            "None, the name of a preset (lossy-wifi, 3g, slow-3g, 4g, lte, dsl, cable, satellite, very-bad-network, "
            "tunnel), or an object such as {'loss': 0.1, 'delay': 0.05}"
        ),
        None,
    ),
    "NETWORKS": ("a list of IP addresses and networks, such as 10.0.0.0/8", None),
    "PORT": ("a port from 0 to 65535", "NUMBER"),
    "PUBLIC_URL": (
        (
            "None, or an http or https URL with a host, and optionally a port and a path, such as "
            "https://example.com/mock; the path must not begin with the first segment of a path of the service, such "
            "as /auth"
        ),
        "URL",
    ),
    "SECONDS": ("a number of seconds above 0, at most 1000000000", "SECONDS"),
    "SECONDS_FROM_0": ("a number of seconds from 0 to 1000000000", "SECONDS"),
    "SEED": ("None, or a whole number of at most 300 digits", "NUMBER"),
    "SIZE": (
        "(width, height) in pixels, both even, at least 88x160 or 160x88, at most 2304x4096 or 4096x2304",
        "W H",
    ),
    "SPEED": ("a number above 0, at most 1000000", "NUMBER"),
    "REACHABLE": ("a list of IP addresses at which clients reach the mock, such as 192.0.2.1", None),
    "ICE_SERVERS": (
        (
            "a list of objects with `urls`: a URL of a STUN or TURN server such as "
            "turn:192.0.2.1:3478?transport=tcp, or a list of them; for TURN also with `username` and `credential`: 1 "
            "to 500 printable ASCII characters, no quotes or backslashes"
        ),
        None,
    ),
    "UDP_PORTS": (
        (
            "None, or a range of at least 2 ports from 1 to 65535, such as 50000-50100: one port for STUN, and one for "
            "each session and each spectator"
        ),
        "FIRST-LAST",
    ),
}
"""For each rule: the valid values in error messages, and the placeholder in `serve --help`."""

RULES: Mapping[str, Rule] = {name: rule for name, rule in vars(setting_rules).items() if isinstance(rule, Rule)}
NUMBERS = sorted(name for name, rule in RULES.items() if rule.most is not None and rule is not SIZE)
WHOLE_NUMBERS = {"BITRATE", "BYTES", "COUNT", "COUNT_FROM_0", "FRAME_RATE", "PORT"}


def test_values_cover_every_rule() -> None:
    assert set(VALID) == set(INVALID) == set(DESCRIPTIONS) == set(RULES)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in VALID.items() for value in values])
def test_valid_value_is_accepted(name: str, value: object) -> None:
    RULES[name].check("x", value)
    assert RULES[name].holds(value) is True


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in INVALID.items() for value in values], ids=repr
)
def test_invalid_value_is_rejected(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"^x must be {re.escape(DESCRIPTIONS[name][0])}"):
        RULES[name].check("x", value)
    assert RULES[name].holds(value) is False


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [10**400, 10**5000, 1e308], ids=["400 digits", "5000 digits", "1e308"])
def test_number_above_every_use_is_rejected(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=r"^x must be .*, got "):
        RULES[name].check("x", value)


@given(st.integers() | st.floats())
def test_number_rule_states_its_range(value: float) -> None:
    """`least`, `above` and `most`, which `--help` shows, are the range of the values that the rule accepts."""
    for name in NUMBERS:
        rule = RULES[name]
        assert rule.least is not None
        assert rule.most is not None
        above_least = value > rule.least if rule.above else value >= rule.least
        expected = above_least and value <= rule.most and (isinstance(value, int) or name not in WHOLE_NUMBERS)
        assert rule.holds(value) == expected, f"expected {name} to return {expected} for {value}"


def test_choice_is_one_of_the_strings() -> None:
    for choice in ("crop", "letterbox", "stretch"):
        FIT.check("fit", choice)
    for value in ("CROP", "", None, ["crop"], 1):
        with pytest.raises(SettingsError, match=r"^fit must be 'crop', 'letterbox' or 'stretch', got "):
            FIT.check("fit", value)


def test_optional_value_may_be_none() -> None:
    rule = or_none(COUNT)
    for value in (None, 1):
        rule.check("limit", value)
    with pytest.raises(
        SettingsError, match=r"^limit must be a whole number from 1 to 1000000000, or None for no limit"
    ):
        rule.check("limit", 0)


def test_message_repeats_the_invalid_value() -> None:
    with pytest.raises(SettingsError, match=r"^port must be a port from 0 to 65535, got '8400'$"):
        PORT.check("port", "8400")


@pytest.mark.parametrize(
    ("value", "end"), [(-1, ", got -1"), (True, ", got True"), (0.5, ", got 0.5"), ("hush", ""), (["hush"], "")]
)
def test_rule_without_text_repeats_only_numbers(value: object, end: str) -> None:
    with pytest.raises(SettingsError, match=f"^limit must be a whole number from 2 to 3{end}$"):
        Rule("a whole number from 2 to 3", lambda _: False).without_text().check("limit", value)


@pytest.mark.parametrize("name", RULES)
def test_rule_describes_its_values(name: str) -> None:
    assert (RULES[name].expected, RULES[name].unit) == DESCRIPTIONS[name]


def test_sides_of_sizes_have_a_range() -> None:
    assert (SIZE.least, SIZE.most, SIZE.above) == (88, 4096, False)


def test_control_token_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match=r"^x must be None, or 16 to 200 letters, digits and characters of `-._~`$"):
        CONTROL_TOKEN.check("x", "hush")


@pytest.mark.parametrize("rule", [FIT, HOSTS, PORT], ids=["FIT", "HOSTS", "PORT"])
def test_misplaced_key_is_not_repeated(rule: Rule) -> None:
    with pytest.raises(SettingsError, match=r", got 'ody_\.\.\.'$") as error:
        rule.check("x", "ody_hush")
    assert "hush" not in str(error.value)


def test_fault_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match=r", got str$"):
        FAULTS.check("faults", "hush")


def test_password_in_public_url_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match=r"^public_url must be None, or an http or https URL .* such as /auth$"):
        PUBLIC_URL.check("public_url", "https://user:hush@example.com")


def test_password_of_turn_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match=r"^ice_servers must be a list .* no quotes or backslashes$"):
        ICE_SERVERS.check("ice_servers", [{"urls": "turn:a", "username": "hush"}])


def test_message_about_a_network_names_the_fault() -> None:
    with pytest.raises(SettingsError, match=r": unknown field 'los'; did you mean 'loss'\?"):
        NETWORK.check("network_profile", {"los": 0.1})


@pytest.mark.parametrize("path", ["/auth", "/auth/", "/sessions/a", "/_mock"])
def test_public_url_rejects_service_paths(path: str) -> None:
    with pytest.raises(
        SettingsError,
        match="the path must not begin with the first segment of a path of the service, such as /auth, got ",
    ):
        PUBLIC_URL.check("public_url", f"http://example.com{path}")
