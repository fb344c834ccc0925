"""Tests of `without_keys`, which removes API keys from text."""

import pytest

from odyssey_mock.accounts.accounts import TEST_KEYS
from odyssey_mock.core.redaction import TEST_KEY_PREFIXES, without_keys


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("keys: [ody_hush", "keys: [ody_..."),
        ("ody_a-b_C ody_d", "ody_... ody_..."),
        ("api_key_ody_hush", "api_key_ody_..."),
        ("ody_suspended_hush", "ody_..."),
        ("keys that begin with ody_suspended are", "keys that begin with ody_suspended are"),
        ("melody_maker", "melody_maker"),
        ("odyssey_mock", "odyssey_mock"),
    ],
)
def test_keys_are_replaced_and_other_words_kept(message: str, expected: str) -> None:
    assert without_keys(message) == expected


def test_prefixes_are_those_of_the_test_keys() -> None:
    assert set(TEST_KEY_PREFIXES) == set(TEST_KEYS)
