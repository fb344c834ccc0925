"""`ClientCredentials`: the credentials of one session, and their dictionary form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from odyssey_client.errors import OdysseyConfigError
from odyssey_client.models import JSON, StreamerCapabilities
from odyssey_client.redaction import remember, remember_url


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Credentials that open one session, for a process that does not have the API key.

    A client with the API key creates them (`Odyssey.create_client_credentials`). The dictionary form has the same keys
    as in the vendor's clients, so that clients can exchange credentials.

    Attributes:
        session_id: The id of the session.
        signaling_url: The URL of the signaling socket, ``ws(s)://...``.
        session_token: The JWT that opens the signaling socket (protocol.md section 2).
        expires_in: Lifetime of the token in seconds, from its creation.
        capabilities: The capabilities of the streamer.

    Raises:
        OdysseyConfigError: a field has the wrong type, is empty, or is not a signaling URL.
    """

    session_id: str
    signaling_url: str
    session_token: str = field(repr=False)
    expires_in: int
    capabilities: StreamerCapabilities = field(default_factory=StreamerCapabilities)

    def __post_init__(self) -> None:
        _check_text("session_id", self.session_id)
        _check_text("signaling_url", self.signaling_url)
        if not is_signaling_url(self.signaling_url):
            raise OdysseyConfigError(
                "credentials['signaling_url'] must look like ws://host or wss://host:port/path, got other text"
            )
        _check_text("session_token", self.session_token)
        remember(self.session_token)
        remember_url(self.signaling_url)
        _check_seconds(self.expires_in)
        if not isinstance(self.capabilities, StreamerCapabilities):
            raise _wrong("capabilities", "StreamerCapabilities", self.capabilities)

    def to_dict(self) -> dict[str, JSON]:
        """Return a dictionary for JSON. It contains the session token, which is a secret."""
        return {
            "session_id": self.session_id,
            "signaling_url": self.signaling_url,
            "session_token": self.session_token,
            "expires_in": self.expires_in,
            "capabilities": {"image_to_video": self.capabilities.image_to_video},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Create credentials from a dictionary made by `to_dict` or by a vendor's client. Unknown keys are ignored.

        Raises:
            OdysseyConfigError: a field is missing, has the wrong type, or is empty.
        """
        if not isinstance(data, Mapping):
            raise OdysseyConfigError(
                f"credentials must be a mapping, as from ClientCredentials.to_dict(), got {_kind(data)}"
            )
        capabilities = data.get("capabilities")
        if capabilities is None:
            capabilities = {}
        if not isinstance(capabilities, Mapping):
            raise _wrong("capabilities", "a mapping", capabilities)
        return cls(
            session_id=_text(data, "session_id"),
            signaling_url=_text(data, "signaling_url"),
            session_token=_text(data, "session_token"),
            expires_in=_check_seconds(data.get("expires_in")),
            capabilities=StreamerCapabilities(image_to_video=_flag(capabilities)),
        )


def is_signaling_url(url: str) -> bool:
    """Return whether ``url`` has the form of a signaling URL, without connecting to it."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and not re.search(r"[\s\x00-\x1f]", url) and parts.port != 0
    except ValueError:  # invalid port or invalid IPv6 address
        return False
    return named and parts.scheme in {"ws", "wss", "http", "https"}


def _text(data: Mapping[str, object], name: str) -> str:
    return _check_text(name, data.get(name))


def _check_text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(name, "a non-empty string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong(name, "text that UTF-8 can encode", value) from None
    return value


def _check_seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise _wrong("expires_in", "a number of seconds", value)
    return int(value)


def _flag(capabilities: Mapping[object, object]) -> bool:
    value = capabilities.get("image_to_video", False)
    if not isinstance(value, bool):
        raise _wrong("capabilities']['image_to_video", "a bool", value)
    return value


def _wrong(name: str, expected: str, value: object) -> OdysseyConfigError:
    # The message omits the value: it may be a token passed in the wrong place.
    return OdysseyConfigError(f"credentials['{name}'] must be {expected}, got {_kind(value)}")


def _kind(value: object) -> str:
    return "nothing" if value is None else "an empty string" if value == "" else type(value).__name__
