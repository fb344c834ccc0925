"""Prompt expansion: the service rewrites a prompt, and says so (`applied_prompt`, `protocol.md` section 4).

What the real model writes nobody can foretell; ours is a function of the prompt alone, so that a test can. With
`bypass_vlm_expansion` a prompt is applied as it came.
"""

import hashlib

_LIGHT = (
    "in soft morning light",
    "under a wide evening sky",
    "lit by a low golden sun",
    "in clear, even daylight",
    "with long blue shadows",
)
_CAMERA = (
    "slow push in",
    "steady wide shot",
    "gentle handheld camera",
    "camera drifting to the right",
    "low angle, calm motion",
)

_LONGEST = 20_000
"""Characters of a prompt that go back on the wire: at twelve bytes each at most, escaped, they stay below the 262,144
of a data channel."""


def expand(prompt: str) -> str:
    """The prompt as the service would rewrite it: the same text for the same prompt, always."""
    words = " ".join(prompt.split())
    digest = hashlib.sha256(words.encode("utf-8", "replace")).digest()
    subject = words.rstrip(".") or "An open scene"
    return f"{subject}, {_LIGHT[digest[0] % len(_LIGHT)]}. {_CAMERA[digest[1] % len(_CAMERA)].capitalize()}."


def applied_prompt(prompt: str, *, bypass: bool) -> str:
    """The prompt that the stream shows and the client is told."""
    applied = prompt if bypass else expand(prompt)
    return applied if len(applied) <= _LONGEST else applied[: _LONGEST - 1] + "…"
