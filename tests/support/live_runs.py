"""What tests of `pytest --odyssey-live` read from a run, and from the mock that stands for the service."""

import re

import pytest

from odyssey_mock.sync import MockOdyssey

KEY = "ody_4Jx9QmT2vB7cWd3e"
LIVE = "--odyssey-live"
_SUMMARY = re.compile(r"([\d.]+) of ([\d.]+) stream seconds used, ([\d.]+) left")


def used(result: pytest.RunResult) -> float:
    """Return the stream seconds that the summary of a run states."""
    found = _SUMMARY.search(result.stdout.str())
    assert found is not None, "expected a summary of the budget"
    return float(found[1])


def streamed(service: MockOdyssey) -> float:
    """Return the seconds of all live streams of a service, from their starts to their ends."""
    begun: dict[str, float] = {}
    seconds = 0.0
    for entry in service.journal.entries:
        if entry.kind == "state" and entry.name == "stream":
            stream = str(entry.stream)
            begun.setdefault(stream, entry.time)
            if entry.data["to"] in {"idle", "closed"}:
                seconds += entry.time - begun[stream]
    return seconds
