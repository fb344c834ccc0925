"""Strategies and checks of the tests with hostile input, and their number of examples."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from odyssey_mock import MockOdyssey

json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
"""Any value of JSON. Python writes infinity as `Infinity`, which is invalid JSON."""


def examples(few: int) -> int:
    """Return the number of examples of a test: `few` in the suite, that of the profile in a campaign."""
    return settings().max_examples if settings.get_current_profile_name() == "campaign" else few


@st.composite
def mutated(draw: st.DrawFn, original: bytes, *, most: int = 4) -> bytes:
    """Draw `original` with up to `most` changes: bytes replaced, inserted, deleted, repeated or cut off."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        match draw(st.sampled_from(["replace", "insert", "delete", "repeat", "cut"])):
            case "replace":
                data[start:end] = draw(st.binary(min_size=end - start, max_size=end - start))
            case "insert":
                data[start:start] = draw(st.binary(max_size=40))
            case "delete":
                del data[start:end]
            case "repeat":
                data[start:start] = data[start:end] * draw(st.integers(1, 20))
            case "cut":
                del data[start:]
    return bytes(data)


@contextmanager
def unharmed(mock: MockOdyssey, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that the block causes no defect in the mock and no error in the log."""
    caplog.clear()
    since = mock.journal.next_index
    yield
    defects = mock.journal.find("note", "defect", since=since)
    assert defects == [], f"expected no defect, got {[entry.data for entry in defects]}"
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == [], f"expected no error in the log, got {errors}"
