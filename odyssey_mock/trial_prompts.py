"""Test prompts: what a prompt brings about with no set-up, by a mark anywhere in it (`protocol.md` section 8)."""

import re

_ERROR = re.compile(r"\[error:([^\[\]]{1,200})\]")


def error_in(prompt: str) -> str | None:
    """REASON of the first `[error:REASON]` in a prompt, without blanks around it; None where there is no such mark.

    A reason has 1 to 200 characters, no brackets among them, and not only blanks.
    """
    return next((reason for found in _ERROR.finditer(prompt) if (reason := found[1].strip())), None)
