"""Prompt expansion: the service rewrites a prompt and returns the result (`applied_prompt`, `protocol.md` section 4).

The real model's output is unpredictable. The mock's output depends only on the prompt, so that a test can predict it.
With `bypass_vlm_expansion` a prompt is applied unchanged.
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
"""Maximum number of characters of an applied prompt: twelve bytes for each must fit into a message of 262,144 bytes."""


def expand(prompt: str) -> str:
    """Return the expanded prompt. The same prompt always has the same expansion."""
    words = " ".join(prompt.split())
    digest = hashlib.sha256(words.encode("utf-8", "replace")).digest()
    subject = words.rstrip(".") or "An open scene"
    return f"{subject}, {_LIGHT[digest[0] % len(_LIGHT)]}. {_CAMERA[digest[1] % len(_CAMERA)].capitalize()}."


def applied_prompt(prompt: str, *, bypass: bool) -> str:
    """Return the expanded prompt, or `prompt` unchanged if `bypass` is true, cut to `_LONGEST` characters."""
    applied = prompt if bypass else expand(prompt)
    return applied if len(applied) <= _LONGEST else applied[: _LONGEST - 1] + "…"
