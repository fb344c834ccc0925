"""Arguments of calls, checked before anything is sent."""

from __future__ import annotations

from odyssey_client.errors import OdysseyConfigError, excerpt
from odyssey_client.models import SimulationJobStatus

LARGEST_PAGE = 100
"""The most items that the service gives out at a time (protocol.md section 2)."""
LONGEST_ID = 1000
LONGEST_WAIT_S = 1e12
LARGEST_OFFSET = 2**53 - 1
"""The largest integer that every JSON reader has exactly."""


def check(name: str, value: object, kind: type) -> None:
    """Raise unless ``value`` is of ``kind``."""
    if not isinstance(value, kind):
        raise OdysseyConfigError(f"{name} must be a {kind.__name__}, got {_kind(value)}")


def check_prompt(prompt: object) -> None:
    """Raise unless ``prompt`` is text that can be sent."""
    check("prompt", prompt, str)
    try:
        str(prompt).encode()
    except UnicodeEncodeError as error:
        raise OdysseyConfigError(
            f"prompt must be text that UTF-8 can hold, got half a surrogate pair at index {error.start}. "
            "Such text was decoded wrongly, or cut in the middle of a character: read it as UTF-8."
        ) from None


def check_id(name: str, value: object) -> None:
    """Raise unless ``value`` can be the id of something, and so a part of a path."""
    if not isinstance(value, str) or not value:
        kind = "an empty string" if value == "" else type(value).__name__
        raise OdysseyConfigError(f"{name} must be a non-empty string, got {kind}")
    # A dot or two would lead to another path. The value is not shown whole: it may be a key in the wrong place.
    if value in {".", ".."} or len(value) > LONGEST_ID or not _is_utf8(value):
        raise OdysseyConfigError(f"{name} must be an id as the service gave it, got text that cannot be one")


def check_limit(name: str, value: object) -> None:
    """Raise unless ``value`` can be the number of items of a page."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_PAGE:
        raise OdysseyConfigError(f"{name} must be a whole number from 1 to {LARGEST_PAGE}, got {_describe(value)}")


def check_offset(name: str, value: object) -> None:
    """Raise unless ``value`` can be a place in a list."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_OFFSET:
        raise OdysseyConfigError(f"{name} must be a whole number from 0 to {LARGEST_OFFSET}, got {_describe(value)}")


def check_seconds(name: str, value: object) -> None:
    """Raise unless ``value`` can be a length of time that is not nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_WAIT_S:
        raise OdysseyConfigError(
            f"{name} must be a number of seconds above 0, {LONGEST_WAIT_S:g} at most, got {_describe(value)}"
        )


def check_status(value: object) -> SimulationJobStatus:
    """Return the status of that name.

    Raises:
        OdysseyConfigError: there is none.
    """
    if not isinstance(value, str) or value not in SimulationJobStatus:
        raise OdysseyConfigError(f"status must be one of {', '.join(SimulationJobStatus)}, got {_describe(value)}")
    return SimulationJobStatus(value)


def page_query(limit: int | None, offset: int | None) -> dict[str, str | int | bool]:
    """Return what is asked for a page; what is None is left to the service.

    Raises:
        OdysseyConfigError: a value cannot be used.
    """
    query: dict[str, str | int | bool] = {}
    if limit is not None:
        check_limit("limit", limit)
        query["limit"] = limit
    if offset is not None:
        check_offset("offset", offset)
        query["offset"] = offset
    return query


def _kind(value: object) -> str:
    """The type's name, with its module where there may be another of that name, such as ``numpy.bool``."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _describe(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number beyond all bounds"  # Python refuses to write the very long ones
    return excerpt(repr(value), 60)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
