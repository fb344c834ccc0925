"""Stash keys by which the plugin's modules pass values about one test to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from odyssey_client.trace import Recording
    from odyssey_mock.core.redaction import Secrets
    from odyssey_mock.core.strict_json import JSON


@dataclass(frozen=True, slots=True)
class SeedRecording:
    """What was recorded in the simulated world of one seed.

    Attributes:
        seed: the seed.
        recording: the events, in virtual time.
        secrets: the secrets of the mock.
    """

    seed: int
    recording: Recording
    secrets: Secrets


EXTRA_FAULTS: pytest.StashKey[Sequence[Mapping[str, JSON]]] = pytest.StashKey()
"""Faults that the fixture `odyssey_mock` adds to those of the test's settings; set before the test's setup."""

REACHED_POINTS: pytest.StashKey[Mapping[str, int]] = pytest.StashKey()
"""How often each fault point was reached in the test; set by the fixture `odyssey_mock` at its teardown."""

FIRED: pytest.StashKey[int] = pytest.StashKey()
"""How often the faults of `EXTRA_FAULTS` fired in the test; set by the fixture `odyssey_mock` at its teardown."""

SEED_RECORDING: pytest.StashKey[SeedRecording] = pytest.StashKey()
"""The recording of the seed with which a simulated test failed, or of its last seed."""

FAILED = "failed"
"""Name of the event in the lane `test` that marks the moment of a failure in a recording."""
