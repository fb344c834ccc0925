"""`without_keys`, which removes API keys from messages and from the journal."""

import re

TEST_KEY_PREFIXES = (
    "ody_invalid",
    "ody_suspended",
    "ody_monthly_limit",
    "ody_concurrent_limit",
    "ody_rate_limited",
    "ody_no_capacity",
    "ody_no_bypass",
)
"""The documented prefixes of test keys (`protocol.md` section 2). They are not secret."""

_KEY = re.compile(rf"(?<![A-Za-z0-9])(?!(?:{'|'.join(TEST_KEY_PREFIXES)})(?![A-Za-z0-9_-]))ody_[A-Za-z0-9_-]+")
"""Matches an API key, but not the middle of a word such as `melody_maker`, and not the bare prefix of a test key."""


def without_keys(message: str) -> str:
    """Return the message with `ody_...` in place of everything that looks like an API key."""
    return _KEY.sub("ody_...", message) if "ody_" in message else message
