"""`ClientCredentials`: what opens one session, checked, and in the form of a dictionary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from odyssey_client.errors import OdysseyConfigError
from odyssey_client.models import JSON, StreamerCapabilities


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """All that is needed to open one session, made by whoever holds the API key, for a process that does not.

    The dictionary form has the keys that the vendor's clients use, so that credentials can go between clients.

    Attributes:
        session_id: The session's id.
        signaling_url: Where the signaling socket is, ``ws(s)://...``.
        session_token: A JWT that opens that socket (protocol.md section 2).
        expires_in: How long the token is good from its making, in seconds.
        capabilities: What the streamer can do.

    Raises:
        OdysseyConfigError: a field is of the wrong type, empty, or no such URL.
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
            raise OdysseyConfigError("credentials['signaling_url'] must look like ws://host or wss://host:port/path")
        _check_text("session_token", self.session_token)
        _check_seconds(self.expires_in)
        if not isinstance(self.capabilities, StreamerCapabilities):
            raise _wrong("capabilities", "StreamerCapabilities", self.capabilities)

    def to_dict(self) -> dict[str, JSON]:
        """Make a JSON-ready dictionary. It holds the session token: send it only where the session may be opened."""
        return {
            "session_id": self.session_id,
            "signaling_url": self.signaling_url,
            "session_token": self.session_token,
            "expires_in": self.expires_in,
            "capabilities": {"image_to_video": self.capabilities.image_to_video},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Read credentials as `to_dict` or a vendor's client wrote them; keys it does not know are passed over.

        Raises:
            OdysseyConfigError: a field is missing, of the wrong type, or empty.
        """
        if not isinstance(data, Mapping):
            raise OdysseyConfigError(
                f"credentials must be a mapping as made by ClientCredentials.to_dict(), got {_kind(data)}"
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
    """Whether signaling can be opened at ``url``, as far as can be told without trying."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and not re.search(r"[\s\x00-\x1f]", url) and parts.port != 0
    except ValueError:  # no such port, or no such IPv6 address
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
        raise _wrong(name, "text that UTF-8 can hold", value) from None
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
    # The value itself stays out: it may be a token in the wrong place.
    return OdysseyConfigError(f"credentials['{name}'] must be {expected}, got {_kind(value)}")


def _kind(value: object) -> str:
    return "nothing" if value is None else "an empty string" if value == "" else type(value).__name__
