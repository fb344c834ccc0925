"""Tests of the limits on JSON that the client receives."""

from collections.abc import Callable

import pytest

from odyssey_client.received_json import MAX_DIGITS, MAX_VALUES, JSONLimitError, parse_json


def test_text_and_bytes_are_parsed() -> None:
    assert parse_json('{"a": [1, 2.5, null]}') == parse_json(b'{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}


@pytest.mark.parametrize("text", ["[NaN]", "[-Infinity]", "[" * 50_000, "", "\0", '{"a": 1', b"\xff\xfe\xff"])
def test_invalid_json_is_rejected(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        parse_json(text)
    assert not isinstance(raised.value, JSONLimitError)


@pytest.mark.parametrize("encode", [str, str.encode])
def test_number_of_values_is_limited(encode: Callable[[str], str | bytes]) -> None:
    assert parse_json(encode("[" + "0," * (MAX_VALUES - 2) + "0]")) == [0] * (MAX_VALUES - 1)
    with pytest.raises(JSONLimitError, match="expected JSON of at most 100000 values, got up to 100001") as raised:
        parse_json(encode("[" + "0," * (MAX_VALUES - 1) + "0]"))
    assert (raised.value.expected, raised.value.got) == ("JSON of at most 100000 values", "up to 100001")


@pytest.mark.parametrize("encode", [str, str.encode])
@pytest.mark.parametrize("many", ["[],", "{},", '{"a":[]},', "1,"])
def test_every_kind_of_value_counts(many: str, encode: Callable[[str], str | bytes]) -> None:
    with pytest.raises(JSONLimitError):
        parse_json(encode("[" + many * MAX_VALUES + "0]"))


def test_number_of_digits_is_limited() -> None:
    assert parse_json("9" * MAX_DIGITS) == int("9" * MAX_DIGITS)
    with pytest.raises(JSONLimitError, match="expected integers of at most 1000 digits, got one of 1001"):
        parse_json("9" * (MAX_DIGITS + 1))


def test_last_of_duplicate_keys_counts() -> None:
    assert parse_json('{"a": 1, "a": 2}') == {"a": 2}
