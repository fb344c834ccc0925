"""What a value of a setting may be: each rule in words, and as a function that says whether it holds."""

import math
from collections.abc import Callable
from typing import Any

type Rule = tuple[str, Callable[[Any], bool]]  # Any: it is for the rule to say what comes
"""What is expected, as it stands after "must be", and whether a value is that."""


def is_number(value: object) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: object, least: int) -> bool:
    """Whether it is a whole number, `least` or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_size(value: object) -> bool:
    """Whether a frame of that size can be coded in 4:2:0, and has room for its stamp either way up."""
    if not (
        isinstance(value, tuple) and len(value) == 2 and all(is_whole(side, 88) and side % 2 == 0 for side in value)
    ):
        return False
    return bool(max(value) >= 160)


def or_none(rule: Rule) -> Rule:
    """The same of a limit, which there may be none of."""
    expected, holds = rule
    return f"{expected}, or None for no limit", lambda value: value is None or holds(value)


POSITIVE: Rule = ("a number of seconds above 0", lambda value: is_number(value) and value > 0)
NOT_NEGATIVE: Rule = ("a number of seconds, 0 or more", lambda value: is_number(value) and value >= 0)
HOURS: Rule = ("a number of hours, 0 or more", lambda value: is_number(value) and value >= 0)
COUNT: Rule = ("a whole number above 0", lambda value: is_whole(value, 1))
COUNT_FROM_0: Rule = ("a whole number, 0 or more", lambda value: is_whole(value, 0))
FLAG: Rule = ("True or False", lambda value: isinstance(value, bool))
SIZE: Rule = ("(width, height) in pixels, both even, at least 88x160 or 160x88", _is_size)
