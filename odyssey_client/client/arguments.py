"""Checks of call arguments. They run before anything is sent."""

from __future__ import annotations

from odyssey_client.errors import OdysseyConfigError, excerpt
from odyssey_client.models import SimulationJobStatus

LARGEST_PAGE = 100
"""Largest number of items that the service returns in one page (protocol.md section 2)."""
LONGEST_ID = 1000
LONGEST_WAIT_S = 1e12
LARGEST_OFFSET = 2**53 - 1
"""Largest integer that every JSON parser represents exactly."""


def check(name: str, value: object, kind: type) -> None:
    """Raise `OdysseyConfigError` unless ``value`` is an instance of ``kind``."""
    if not isinstance(value, kind):
        raise OdysseyConfigError(f"{name} must be a {kind.__name__}, got {_kind(value)}")


def check_prompt(prompt: object) -> None:
    """Raise `OdysseyConfigError` unless ``prompt`` is a string that UTF-8 can encode."""
    check("prompt", prompt, str)
    try:
        str(prompt).encode()
    except UnicodeEncodeError as error:
        raise OdysseyConfigError(
            f"prompt must be text that UTF-8 can encode, got a lone surrogate at index {error.start}. "
            "The text was decoded with the wrong encoding or cut in the middle of a character. Decode it as UTF-8."
        ) from None


def check_id(name: str, value: object) -> None:
    """Raise `OdysseyConfigError` unless ``value`` can be an id, which becomes one segment of a URL path."""
    if not isinstance(value, str) or not value:
        kind = "an empty string" if value == "" else type(value).__name__
        raise OdysseyConfigError(f"{name} must be a non-empty string, got {kind}")
    # "." and ".." would change the URL path. The message omits the value: it may be an API key passed by mistake.
    if value in {".", ".."} or len(value) > LONGEST_ID or not _is_utf8(value):
        raise OdysseyConfigError(
            f"{name} must be an id from the service, got text that cannot be an id: '.', '..', more than {LONGEST_ID} "
            "characters, or text that UTF-8 cannot encode"
        )


def check_limit(name: str, value: object) -> None:
    """Raise `OdysseyConfigError` unless ``value`` can be the number of items in a page."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_PAGE:
        raise OdysseyConfigError(f"{name} must be a whole number from 1 to {LARGEST_PAGE}, got {_describe(value)}")


def check_offset(name: str, value: object) -> None:
    """Raise `OdysseyConfigError` unless ``value`` can be an offset in a list."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_OFFSET:
        raise OdysseyConfigError(f"{name} must be a whole number from 0 to {LARGEST_OFFSET}, got {_describe(value)}")


def check_seconds(name: str, value: object) -> None:
    """Raise `OdysseyConfigError` unless ``value`` is a number of seconds above 0 and at most `LONGEST_WAIT_S`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_WAIT_S:
        raise OdysseyConfigError(
            f"{name} must be a number of seconds above 0 and at most {LONGEST_WAIT_S:g}, got {_describe(value)}"
        )


def check_status(value: object) -> SimulationJobStatus:
    """Return ``value`` as a `SimulationJobStatus`.

    Raises:
        OdysseyConfigError: ``value`` is not a status.
    """
    if not isinstance(value, str) or value not in SimulationJobStatus:
        raise OdysseyConfigError(f"status must be one of {', '.join(SimulationJobStatus)}, got {_describe(value)}")
    return SimulationJobStatus(value)


def page_query(limit: int | None, offset: int | None) -> dict[str, str | int | bool]:
    """Return the query parameters for one page. Arguments that are None are left out: the service's defaults apply.

    Raises:
        OdysseyConfigError: an argument is invalid.
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
    """Return the name of the type of ``value``. Unless the type is a builtin, include its module: ``numpy.bool``."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _describe(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 64:
        return "a very large number"  # Python refuses to format very large integers
    return excerpt(repr(value), 60)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
