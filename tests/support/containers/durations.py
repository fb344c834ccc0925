"""Durations as Docker writes them, such as `1m30s`."""

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds_of(text: str) -> float:
    """Return the seconds of a duration."""
    assert re.fullmatch(r"([\d.]+(h|ms|m|s))+", text), f"expected a duration such as 1m30s, got {text!r}"
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(h|ms|m|s)", text))
