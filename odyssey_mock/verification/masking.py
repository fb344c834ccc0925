"""Masks what a report and its trace must not contain: keys, tokens, signed URLs, fingerprints and addresses."""

import re
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

from odyssey_client.models import JSON
from odyssey_client.redaction import MASK, names_secret, received, redacted_json, remember, remember_url
from odyssey_client.trace.recorder import Recording

_FINGERPRINT = re.compile(r"(?<![0-9A-Fa-f:])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){15,}")
_ICE = re.compile(r"((?:a=ice-(?:ufrag|pwd):|\bufrag ))\S+")
_ADDRESSES = (
    re.compile(r"(?<![0-9A-Fa-f:.])(?:[0-9A-Fa-f]{0,4}:){2,8}[0-9A-Fa-f.]{0,15}(?<!\.)(?![\w:])"),
    re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)"),
)
"""Match what may be an address of IPv6 or IPv4; `ip_address` decides. Times such as 12:30:45 are none."""
_PERSONAL = frozenset({"username"})
"""Fields that may identify an account, and are no secrets in themselves."""


def remember_secrets(value: JSON) -> None:
    """Remember every secret in received or sent JSON, so that it is masked wherever else it occurs."""
    match value:
        case str() if "://" in value:
            remember_url(value)
        case list():
            for each in value:
                remember_secrets(each)
        case dict():
            for name, each in value.items():
                if names_secret(name) and isinstance(each, str):
                    remember(each)
                remember_secrets(each)


def masked_text(text: str) -> str:
    """Return ``text`` without secrets and addresses. The kind of an address stays, such as `public-IPv4`."""
    text = _ICE.sub(rf"\1{MASK}", _FINGERPRINT.sub(MASK, received(text)))
    for pattern in _ADDRESSES:
        text = pattern.sub(lambda match: _kind_of(match[0]), text)
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
            key: MASK if key in _PERSONAL and isinstance(each, str) else _without_addresses(each)
            for key, each in value.items()
        }
    return value


def _kind_of(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        # The colon after a scheme, as in `stun:2620:fe::9`.
        return f":{_kind_of(text[1:])}" if text.startswith(":") else text
    kinds = (
        ("unspecified", address.is_unspecified),
        ("loopback", address.is_loopback),
        ("link-local", address.is_link_local),
        ("private", address.is_private),
    )
    return f"{next((name for name, holds in kinds if holds), 'public')}-IPv{address.version}"
