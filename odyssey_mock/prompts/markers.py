"""Prompt markers: parts of a prompt that cause faults without any setup (`protocol.md` section 10)."""

import re
from dataclasses import dataclass

SLOWEST_MS = 3_600_000
"""The maximum MS of `[slow:MS]`: one hour in milliseconds."""

_ERROR = re.compile(r"\[error:([^\[\]]{1,200})\]")
_SLOW = re.compile(r"\[slow:([0-9]{1,7})\]")
_STALL = "[stall]"
_MODERATED = "[moderated]"
_MODERATED_END = "[moderated:end]"

MODERATED = "moderation_failed"
"""The reason with which content moderation rejects a prompt."""


@dataclass(frozen=True, slots=True)
class PromptMarkers:
    """The markers of a prompt.

    If a prompt has several markers of one kind, the first applies. A malformed marker is treated as plain text.
    """

    error: str | None = None
    """REASON of `[error:REASON]`, a marker that makes the prompt fail; 1 to 200 characters without brackets."""
    stall: bool = False
    """Whether the prompt contains `[stall]`, which prevents its acknowledgment."""
    moderated: bool = False
    """Whether the prompt contains `[moderated]` or `[moderated:end]`: content moderation rejects it."""
    ends_stream: bool = False
    """Whether an interaction with this prompt also ends the stream: `[moderated:end]`."""
    slow_ms: int | None = None
    """MS of `[slow:MS]`, the delay of the acknowledgment in whole milliseconds: 0 to `SLOWEST_MS`."""


def markers_of(prompt: str) -> PromptMarkers:
    """Return the markers of a prompt."""
    error = next((reason for found in _ERROR.finditer(prompt) if (reason := found[1].strip())), None)
    slow_ms = next((ms for found in _SLOW.finditer(prompt) if (ms := int(found[1])) <= SLOWEST_MS), None)
    ends_stream = _MODERATED_END in prompt
    return PromptMarkers(
        error=error,
        stall=_STALL in prompt,
        moderated=ends_stream or _MODERATED in prompt,
        ends_stream=ends_stream,
        slow_ms=slow_ms,
    )
