"""Stash keys by which the plugin's modules pass values about one test to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from odyssey_mock.core.strict_json import JSON

EXTRA_FAULTS: pytest.StashKey[Sequence[Mapping[str, JSON]]] = pytest.StashKey()
"""Faults that the fixture `odyssey_mock` adds to those of the test's settings; set before the test's setup."""

REACHED_POINTS: pytest.StashKey[Mapping[str, int]] = pytest.StashKey()
"""How often each fault point was reached in the test; set by the fixture `odyssey_mock` at its teardown."""

FIRED: pytest.StashKey[int] = pytest.StashKey()
"""How often the faults of `EXTRA_FAULTS` fired in the test; set by the fixture `odyssey_mock` at its teardown."""
