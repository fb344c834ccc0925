"""Tests of `odyssey_client.service_errors`: for each error in its table, the client creates the listed exception."""

from collections import Counter

import pytest

from odyssey_client.errors import OdysseyConnectionError, OdysseyError, OdysseyStreamError, OdysseyUsageError
from odyssey_client.models import JSON
from odyssey_client.rest.error_mapping import Failure
from odyssey_client.service_errors import ANY, ROWS, Row, Source, connection_error, row, stream_error

NAMES = {"job_id": "job-1", "stream_id": "stream-1"}
UNKNOWN = {Source.REST: 418, Source.WHEP: 418}


def said(found: Row) -> int | str:
    return UNKNOWN.get(found.source, "of the future") if found.said == ANY else found.said


def made(found: Row) -> OdysseyError:
    """Return the exception that the client creates for the error in the table row `found`.

    The row's `source` decides which of the client's functions creates it.
    """
    match found.source:
        case Source.SIGNALING:
            return connection_error(str(said(found)))
        case Source.STREAM:
            return stream_error(str(said(found)), "why")
        case Source.USAGE:
            detail: JSON = {"error": str(said(found)), "message": "why", "details": {"limit": 5}}
            return Failure("POST /x", 429, detail, "r-1", 7.0).error()
    route = "" if found.call == ANY else found.call
    return Failure("GET /x", int(said(found)), "why", "r-1", None, route, NAMES, found.source).error()


@pytest.mark.parametrize("found", ROWS, ids=lambda found: f"{found.source}: {found.said} {found.call}")
def test_row_gives_its_exception_with_all_attributes(found: Row) -> None:
    error = made(found)
    assert type(error) is found.kind
    assert error.retryable == found.retryable
    assert error.code == (found.code or (said(found) if isinstance(said(found), str) else found.kind.default_code))
    if found.source in {Source.REST, Source.WHEP, Source.USAGE}:
        assert (error.status, error.request_id) == (429 if found.source is Source.USAGE else said(found), "r-1")
        assert error.detail is not None
    if isinstance(error, OdysseyUsageError) and found.source is Source.USAGE:
        assert error.details == {"limit": 5, "retry_after_seconds": 7.0}
    assert str(error).isprintable()
    assert "{" not in str(error)


@pytest.mark.parametrize(
    ("source", "word", "call", "text"),
    [
        (Source.REST, 401, "POST /auth/token", "Invalid API key"),
        (Source.REST, 403, "POST /auth/token", "API key access denied"),
        (Source.REST, 503, "POST /sessions/request", "Timed out waiting for a streamer"),
        (Source.REST, 503, "POST /sessions/request (not queued)", "No available sessions"),
        (Source.USAGE, "CONCURRENT_LIMIT_REACHED", ANY, "Maximum concurrent sessions (5) reached"),
        (Source.SIGNALING, "streamer_not_available", ANY, "Streamer not available"),
        (Source.SIGNALING, "streamer_disconnected", ANY, "Streamer disconnected"),
    ],
)
def test_vendor_messages_are_word_for_word(source: Source, word: int | str, call: str, text: str) -> None:
    assert str(made(row(source, word, call))) == text


def test_rows_are_unique_and_every_source_has_default() -> None:
    assert max(Counter((found.source, found.said, found.call) for found in ROWS).values()) == 1
    assert {found.source for found in ROWS if found.said == ANY} == set(Source)


@pytest.mark.parametrize(
    ("reason", "retryable"),
    [
        ("session_timeout", True),
        ("concurrent_limit_exceeded", True),
        ("lease_denied", True),
        ("quota_exceeded", False),
        ("moderation", False),
    ],
)
def test_stream_error_is_retryable_if_temporary(reason: str, retryable: bool) -> None:
    assert stream_error(reason, "").retryable == retryable


def test_exception_classes_match_their_source() -> None:
    families = {
        Source.USAGE: OdysseyUsageError,
        Source.SIGNALING: OdysseyConnectionError,
        Source.STREAM: OdysseyStreamError,
    }
    for found in ROWS:
        assert issubclass(found.kind, families.get(found.source, OdysseyError))
