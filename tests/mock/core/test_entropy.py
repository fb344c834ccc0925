"""Tests that generated ids and secrets are well-formed, and the same for the same seed."""

import base64
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.entropy import Entropy, SeededEntropy, SystemEntropy


@pytest.fixture(params=[SystemEntropy, lambda: SeededEntropy(7)], ids=["system", "seeded"])
def entropy(request: pytest.FixtureRequest) -> Entropy:
    made: Entropy = request.param()
    return made


def test_uuids_have_version_4(entropy: Entropy) -> None:
    drawn = [entropy.uuid() for _ in range(100)]
    assert {uuid.UUID(text).version for text in drawn} == {4}
    assert len(set(drawn)) == 100


@pytest.mark.parametrize("nbytes", [1, 2, 3, 32])
def test_token_has_the_requested_length(entropy: Entropy, nbytes: int) -> None:
    token = entropy.token(nbytes)
    assert len(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))) == nbytes


@pytest.mark.parametrize("bits", [1, 16, 128])
def test_number_fits_the_requested_bits(entropy: Entropy, bits: int) -> None:
    assert all(0 <= entropy.number(bits) < 2**bits for _ in range(50))


@given(st.integers(), st.lists(st.sampled_from(["uuid", "token", "number"]), max_size=8))
def test_same_seed_gives_the_same_values(seed: int, draws: list[str]) -> None:
    def run() -> list[object]:
        entropy = SeededEntropy(seed)
        table: dict[str, Callable[[], object]] = {
            "uuid": entropy.uuid,
            "token": lambda: entropy.token(16),
            "number": lambda: entropy.number(64),
        }
        return [table[draw]() for draw in draws]

    assert run() == run()


def test_another_seed_gives_other_values() -> None:
    assert SeededEntropy(1).token(32) != SeededEntropy(2).token(32)
