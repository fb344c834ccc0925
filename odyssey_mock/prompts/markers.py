"""Test prompts: what a prompt brings about with no set-up, by marks anywhere in it (`protocol.md` section 10)."""

import re
from dataclasses import dataclass

SLOWEST_MS = 3_600_000
"""An hour: the most that `[slow:MS]` takes."""

_ERROR = re.compile(r"\[error:([^\[\]]{1,200})\]")
_SLOW = re.compile(r"\[slow:([0-9]{1,7})\]")
_STALL = "[stall]"


@dataclass(frozen=True, slots=True)
class PromptMarkers:
    """What the marks in a prompt ask for; of several of a kind the first counts. What is malformed is just text."""

    error: str | None = None
    """REASON of `[error:REASON]`, to fail with: 1 to 200 characters, no brackets among them, and not only blanks."""
    stall: bool = False
    """Whether there is a `[stall]`: it is never to be acknowledged."""
    slow_ms: int | None = None
    """MS of `[slow:MS]`, by which the acknowledgement is to be late: whole milliseconds, 0 to `SLOWEST_MS`."""


def markers_of(prompt: str) -> PromptMarkers:
    """Read the marks in a prompt; most have none."""
    error = next((reason for found in _ERROR.finditer(prompt) if (reason := found[1].strip())), None)
    slow_ms = next((ms for found in _SLOW.finditer(prompt) if (ms := int(found[1])) <= SLOWEST_MS), None)
    return PromptMarkers(error, _STALL in prompt, slow_ms)
