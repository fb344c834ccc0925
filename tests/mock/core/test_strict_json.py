"""Tests that JSON from clients is parsed strictly (RFC 8259)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.strict_json import read_json


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_valid_json_is_parsed(value: object) -> None:
    assert read_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"a": NaN}', b"-Infinity", b"\xff\xfe\xfd", b"[" * 200_000], ids=lambda text: repr(text[:9])
)
def test_invalid_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[" + b"1," * 99_999 + b"1,1]", "expected at most 100000 commas and opening brackets, got 100001"),
        ("{" * 100_001, "expected at most 100000 commas and opening brackets, got 100001"),
        (b'{"n": ' + b"9" * 501 + b"}", "expected an integer of at most 500 digits, got 501 digits"),
    ],
    ids=["commas", "brackets in text", "digits"],
)
def test_json_above_a_limit_is_rejected(text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        read_json(text)


def test_json_at_the_limits_is_parsed() -> None:
    assert read_json(b"[" + b"1," * 99_999 + b"1]") == [1] * 100_000
    assert read_json("9" * 500) == 10**500 - 1


@given(st.binary(max_size=40))
def test_any_bytes_parse_or_raise_value_error(text: bytes) -> None:
    try:
        read_json(text)
    except ValueError:
        return
