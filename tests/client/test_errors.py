"""The error tree: what it holds, that it survives copying, and the words of the wire's reasons."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client import errors
from odyssey_client.errors import (
    CONNECTION_REASONS,
    ConcurrentLimitReachedError,
    OdysseyConnectionError,
    OdysseyError,
    OdysseyStreamError,
    OdysseyUsageError,
    RateLimitError,
    SignalingError,
    StreamerDisconnectedError,
    StreamerNotAvailableError,
    connection_error,
    excerpt,
)


def all_classes(kind: type[OdysseyError] = OdysseyError) -> list[type[OdysseyError]]:
    return [kind, *(below for direct in kind.__subclasses__() for below in all_classes(direct))]


OWN = sorted({kind for kind in all_classes() if kind.__module__ == errors.__name__}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", OWN)
def test_every_error_is_drawn_in_the_tree_and_explained(kind: type[OdysseyError]) -> None:
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__
    assert kind.__doc__


@pytest.mark.parametrize("kind", OWN)
def test_every_error_survives_pickle_and_copy_with_all_it_carries(kind: type[OdysseyError]) -> None:
    error = kind("what happened")
    error.detail = {"said": "so"}
    error.request_id = "r-1"
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is kind
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)


def test_a_plain_error_carries_code_status_detail_request_id_and_retryable() -> None:
    error = OdysseyError("no", code="c", status=418, detail=["d"], request_id="r", retryable=True)
    assert (str(error), error.code, error.status, error.detail, error.request_id, error.retryable) == (
        ("no", "c", 418, ["d"], "r", True)
    )
    assert OdysseyConnectionError("x").retryable
    assert not OdysseyError("x").retryable


def test_a_stream_error_has_reason_and_message_as_the_handlers_get_them() -> None:
    error = OdysseyStreamError("session_timeout", "Stream ended: credit lease expired")
    assert (error.reason, error.message, error.code) == (
        "session_timeout",
        "Stream ended: credit lease expired",
        "session_timeout",
    )
    assert str(error) == "session_timeout: Stream ended: credit lease expired"
    assert str(OdysseyStreamError("quota_exceeded")) == "quota_exceeded"


@pytest.mark.parametrize(
    ("reason", "kind", "message"),
    [
        ("streamer_not_available", StreamerNotAvailableError, "Streamer not available"),
        ("streamer_disconnected", StreamerDisconnectedError, "Streamer disconnected"),
        ("duration_limit_reached", errors.ConnectionLimitReachedError, "Connection duration limit reached"),
    ],
)
def test_known_reasons_of_signaling_have_the_vendors_words(reason: str, kind: type[OdysseyError], message: str) -> None:
    error = connection_error(reason)
    assert type(error) is kind
    assert str(error) == message
    assert error.code == reason


@given(st.text())
def test_any_other_reason_of_signaling_is_a_readable_error(reason: str) -> None:
    error = connection_error(reason)
    assert isinstance(error, SignalingError) or reason in CONNECTION_REASONS
    assert str(error).isprintable()
    assert len(str(error)) < 400


def test_usage_errors_give_their_numbers_and_none_for_what_is_missing_or_wrong() -> None:
    error = ConcurrentLimitReachedError("m", details={"active_count": 5, "limit": "five"}, action="a", action_url="u")
    assert (error.active_count, error.limit) == (5, None)
    assert (error.action, error.action_url, error.status, error.code) == ("a", "u", 429, "CONCURRENT_LIMIT_REACHED")
    assert RateLimitError("m", details={"retry_after_seconds": True}).retry_after_seconds is None
    assert RateLimitError("m", details={"retry_after_seconds": 1.5}).retry_after_seconds == 1.5
    assert OdysseyUsageError("m").details == {}


@given(st.text(), st.integers(1, 50))
def test_an_excerpt_is_one_printable_line_within_its_limit(text: str, limit: int) -> None:
    line = excerpt(text, limit)
    assert line.isprintable()
    assert len(line) <= limit
