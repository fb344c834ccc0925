"""Tests of parsing the headers of range requests and conditional requests (RFC 9110 sections 13 and 14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from odyssey_mock.http.ranges import UnsatisfiableError, is_known, is_other, wanted_parts

ETAG = '"abc"'
SIZE = 100


def wanted(value: str, size: int = SIZE, if_range: str | None = None) -> list[range] | None:
    condition = {} if if_range is None else {"if-range": if_range}
    parts = wanted_parts(Headers({"range": value, **condition}), ETAG, size)
    return None if parts is None else list(parts)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("bytes=0-9", [range(10)]),
        ("BYTES=0-0", [range(1)]),
        ("bytes=99-99", [range(99, 100)]),
        ("bytes=10-", [range(10, 100)]),
        ("bytes=-1", [range(99, 100)]),
        ("bytes=-1000", [range(100)]),
        ("bytes=90-1000", [range(90, 100)]),
        (f"bytes=1-{'9' * 5000}", [range(1, 100)]),
        ("bytes=000-009", [range(10)]),
        ("bytes= 0-1 ,\t5-6,", [range(2), range(5, 7)]),
        ("bytes=5-6,0-1", [range(5, 7), range(2)]),
        ("bytes=0-1,200-", [range(2)]),
    ],
)
def test_ranges_are_clipped_to_the_file(value: str, parts: list[range]) -> None:
    assert wanted(value) == parts


@pytest.mark.parametrize(
    "value",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=,", "bytes=5-2", "bytes=0-1,5-2", "bytes=a-b", "bytes=1"),
        *("bytes=1-2-3", "bytes=+1-2", "bytes=1_0-20", "bytes=²-³", "bytes=0x1-2", "bytes=0 - 1", "lines=0-9"),
    ],
)
def test_invalid_range_is_ignored(value: str) -> None:
    assert wanted(value) is None


@pytest.mark.parametrize("value", ["bytes=100-", "bytes=100-200,500-", "bytes=-0", f"bytes={'9' * 5000}-"])
def test_ranges_beyond_the_end_are_unsatisfiable(value: str) -> None:
    with pytest.raises(UnsatisfiableError):
        wanted(value)


def test_too_many_ranges_get_the_whole_file() -> None:
    assert wanted("bytes=0-,0-") is None
    few = ",".join(f"{place}-{place}" for place in range(16))
    assert wanted(f"bytes={few}") == [range(place, place + 1) for place in range(16)]
    assert wanted(f"bytes={few},50-50") is None


@given(size=st.integers(1, 300), first=st.integers(0, 400), last=st.integers(0, 400))
def test_parsed_range_equals_the_slice(size: int, first: int, last: int) -> None:
    content = bytes(index % 251 for index in range(size))
    for value, expected in [
        (f"{first}-{last}", content[first : last + 1] if first <= last else None),
        (f"{first}-", content[first:]),
        (f"-{last}", content[-last:] if last else b""),
    ]:
        if expected == b"":
            with pytest.raises(UnsatisfiableError):
                wanted(f"bytes={value}", size)
        elif expected is None:
            assert wanted(f"bytes={value}", size) is None
        else:
            parts = wanted(f"bytes={value}", size)
            assert parts is not None
            assert [content[part.start : part.stop] for part in parts] == [expected]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [(ETAG, True), ('"other"', False), (f"W/{ETAG}", False), ("Wed, 21 Oct 2026 07:28:00 GMT", False), ("abc", False)],
)
def test_if_range_must_match_the_etag(condition: str, holds: bool) -> None:
    assert wanted("bytes=0-9", if_range=condition) == ([range(10)] if holds else None)


@pytest.mark.parametrize(
    ("given_tags", "known"),
    [
        (None, False),
        (ETAG, True),
        (f"W/{ETAG}", True),
        ("*", True),
        (f'"x", {ETAG}', True),
        ('"x"', False),
        ("abc", False),
    ],
)
def test_if_none_match_compares_tags_weakly(given_tags: str | None, known: bool) -> None:
    assert is_known(Headers({} if given_tags is None else {"if-none-match": given_tags}), ETAG) is known


@pytest.mark.parametrize(
    ("given_tags", "other"),
    [
        (None, False),
        (ETAG, False),
        (f"W/{ETAG}", True),
        ("*", False),
        (f'"x", {ETAG}', False),
        ('"x"', True),
        ("", True),
    ],
)
def test_if_match_compares_tags_strongly(given_tags: str | None, other: bool) -> None:
    assert is_other(Headers({} if given_tags is None else {"if-match": given_tags}), ETAG) is other
