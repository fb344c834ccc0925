"""Masks what a report and its trace must not contain: keys, tokens, signed URLs, fingerprints and addresses."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address

from odyssey_client.models import JSON
from odyssey_client.redaction import (
    MASK,
    NAME_PREFIX,
    WORD_BEGIN,
    names_secret,
    received,
    redacted_json,
    remember,
    remember_url,
)
from odyssey_client.trace.recorder import Recording

_FINGERPRINT = re.compile(r"(?<![0-9A-Fa-f:])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){15,}")
_ICE = re.compile(r"((?:a=ice-(?:ufrag|pwd):|\bufrag ))\S+")
_FOUNDATION = re.compile(r"(\bcandidate:)[A-Za-z0-9+/]{1,64}(?=[ \t])")
"""Matches the foundation of a candidate: many programs compute it from the address."""
_PERSONAL_NAME = "(?:(?:ice_?)?ufrag|user_?name(?:_?fragment)?|foundation)"
_PERSONAL = re.compile(rf"{NAME_PREFIX}{_PERSONAL_NAME}", re.IGNORECASE | re.DOTALL)
"""Names of fields that may identify an account or a machine, and are no secrets in themselves."""
_PERSONAL_NAMED = re.compile(
    rf"""
    ( {WORD_BEGIN} {_PERSONAL_NAME} (?: \\*["'] )? \s{{0,3}} [:=] \s{{0,3}} )
    (?: (?P<quote> \\*["'] ) (?: (?! (?P=quote) ) . )* (?P=quote)? | [^\s"'\\,;<>()]+ )
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
"""Matches such fields in text: parameters of a header, and JSON."""

_IPV6_RUN = re.compile(r"[0-9A-Fa-f]{0,8}:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?<![.])(?![0-9A-Za-z])")
"""Matches what may contain an address of IPv6, also with a port after it. Times such as 12:30:45 contain none."""
_IPV6_HOST = re.compile(r"[0-9A-Fa-f]{0,8}(?:-[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z])")
_IPV4 = re.compile(r"(?:(?<!\d)(?<!\d\.)|(?<=\\u[0-9A-Fa-f]{4}))\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)")
_IPV4_HOSTS = (
    re.compile(r"(?<![0-9A-Za-z])\d{1,3}(?:[-_]\d{1,3}){3,}(?!\d)"),
    re.compile(r"(?<!\d)\d{1,3}(?:[-_]\d{1,3}){3,}(?!\d)"),
)
"""Match an address in a host name, such as `ec2-9-9-9-9.example`: at first after a hyphen, then after a letter."""


def remember_secrets(values: Iterable[JSON]) -> None:
    """Remember every secret in received or sent JSON, so that it is masked wherever else it occurs.

    Keys and tokens are remembered after signed URLs. A long list of recordings has more of these than are kept.
    """
    kept = [*values]
    for value in kept:
        for name, text in _texts(value):
            if "://" in text and not names_secret(name):
                remember_url(text)
    remember(*(text for value in kept for name, text in _texts(value) if names_secret(name)))


def _texts(value: JSON, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in JSON with the name of its field."""
    match value:
        case str():
            yield name, value
        case list():
            for each in value:
                yield from _texts(each, name)
        case dict():
            for key, each in value.items():
                yield from _texts(each, key)


def masked_text(text: str) -> str:
    """Return ``text`` without secrets and addresses. The kind of an address stays, such as `public-IPv4`."""
    text = _ICE.sub(rf"\1{MASK}", _FINGERPRINT.sub(MASK, received(text)))
    text = _PERSONAL_NAMED.sub(
        lambda match: f"{match[1]}{match['quote'] or ''}{MASK}{match['quote'] or ''}",
        _FOUNDATION.sub(rf"\1{MASK}", text),
    )
    text = _IPV6_RUN.sub(_without_ipv6, text)
    text = _IPV6_HOST.sub(_without_ipv6, text)
    for pattern in (_IPV4, *_IPV4_HOSTS):
        text = pattern.sub(_without_ipv4, text)
    return text


def masked(value: JSON) -> JSON:
    """Return JSON without secrets and addresses."""
    return _without_addresses(redacted_json(value))


def masked_recording(recording: Recording) -> Recording:
    """Return a recording without the lines of the code that ran: their paths are those of this machine."""
    return replace(recording, events=tuple(replace(event, source=None) for event in recording.events))


def _without_addresses(value: JSON) -> JSON:
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, list):
        return [_without_addresses(each) for each in value]
    if isinstance(value, Mapping):
        return {
            masked_text(key): MASK if _PERSONAL.fullmatch(key) and each is not None else _without_addresses(each)
            for key, each in value.items()
        }
    return value


def _without_ipv6(match: re.Match[str]) -> str:
    """Return a run of groups without an address. The whole run is masked: its ends may be part of the address."""
    run = match[0].replace("-", ":")
    if "-" in match[0] and len([group for group in run.split(":") if group]) < _HOST_GROUPS:
        return match[0]
    # The colon after a scheme, as in `stun:2620:fe::9`.
    head = ":" if run.startswith(":") and not run.startswith("::") else ""
    groups = run.removeprefix(head).split(":")[:_GROUPS]
    groups[0] = groups[0][-4:]  # a word may be before the address, or an escape such as `\u000a`
    sizes = range(min(len(groups), 8), 2, -1)
    parts = (":".join(groups[at : at + size]) for size in sizes for at in range(len(groups) - size + 1))
    kind = next(filter(None, map(_kind_of, parts)), None)
    return match[0] if kind is None else f"{match[0][: len(head)]}{kind}"


_HOST_GROUPS = 3
"""Minimum number of groups with digits between hyphens. Fewer occur in ordinary text, such as `--add` and rules."""
_GROUPS = 24
"""Number of groups of a run in which an address is searched. An address has at most 8."""


def _without_ipv4(match: re.Match[str]) -> str:
    """Return four or more numbers with separators without an address."""
    numbers = [int(number) for number in re.findall(r"\d+", match[0])]
    parts = (".".join(map(str, numbers[at : at + 4])) for at in range(len(numbers) - 3))
    return next(filter(None, map(_kind_of, parts)), match[0])


def _kind_of(text: str) -> str | None:
    """Return the kind of an address, such as `public-IPv4`; None if the text is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    kinds = (
        ("unspecified", address.is_unspecified),
        ("loopback", address.is_loopback),
        ("link-local", address.is_link_local),
        ("private", address.is_private),
    )
    return f"{next((name for name, holds in kinds if holds), 'public')}-IPv{address.version}"
