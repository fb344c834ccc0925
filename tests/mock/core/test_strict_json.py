"""Tests that JSON from clients is parsed strictly (RFC 8259)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.strict_json import items_in, read_json

DEEP = "the JSON is nested too deeply: expected at most 100 levels of arrays and objects, got more"


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
        ("[" * 90_000, DEEP),
        ("[" * 101 + "]" * 101, DEEP),
        (b'[1, {"a":' * 51 + b"1" + b"}]" * 51, DEEP),
        (b'{"n": ' + b"9" * 501 + b"}", "expected an integer of at most 500 digits, got 501 digits"),
    ],
    ids=["commas", "brackets in text", "brackets", "arrays", "objects", "digits"],
)
def test_json_above_a_limit_is_rejected(text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        read_json(text)


def test_json_at_the_limits_is_parsed() -> None:
    assert read_json(b"[" + b"1," * 99_999 + b"1]") == [1] * 100_000
    assert read_json("9" * 500) == 10**500 - 1
    beside = f"[{'[],' * 100}{'[' * 99 + ']' * 99}]"
    assert json.dumps(read_json(beside), separators=(",", ":")) == beside
    assert json.dumps(read_json("[" * 100 + "]" * 100)) == "[" * 100 + "]" * 100
    assert read_json(json.dumps(["[" * 500] * 100)) == ["[" * 500] * 100


@pytest.mark.parametrize("text", ['[1, {"a": [2, 3]}]', '{"a": {"b": 1}, "c": []}', "[[[]]]", "7"])
def test_items_are_commas_and_opening_brackets(text: str) -> None:
    number = sum(character in ",[{" for character in text)
    assert items_in(text) == items_in(text.encode()) == items_in(bytearray(text, "ascii")) == number


def test_last_value_of_a_repeated_name_counts() -> None:
    assert read_json('{"a": 1, "b": 2, "a": 3}') == {"a": 3, "b": 2}


def test_repeated_names_are_rejected_on_demand() -> None:
    assert read_json('{"a": 1, "b": {"a": 2}}', unique=True) == {"a": 1, "b": {"a": 2}}
    with pytest.raises(ValueError, match=r"^an object must have each name once, got 'b' twice$"):
        read_json('{"a": {"b": 1, "b": 2}}', unique=True)


def test_message_about_repeated_names_contains_no_key() -> None:
    with pytest.raises(ValueError, match="each name once") as error:
        read_json('{"ody_secretsecretsecret": 1, "ody_secretsecretsecret": 2}', unique=True)
    assert "secret" not in str(error.value)


@given(st.binary(max_size=40))
def test_any_bytes_parse_or_raise_value_error(text: bytes) -> None:
    try:
        read_json(text)
    except ValueError:
        return
