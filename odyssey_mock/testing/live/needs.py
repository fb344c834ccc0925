"""What a test needs that only a mock has, read from its markers and its fixtures before it runs."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from odyssey_mock.testing import marked_settings
from odyssey_mock.testing.plugin import uses_mock

_OWN = "odyssey_mock.testing"
"""The package of the plugin's fixtures, which need the mock only as the address of a service."""
_OF_MOCKS = ("odyssey_mock", "odyssey_account")
"""Fixtures whose values only a mock has."""
_INSTEAD = "use odyssey_url, odyssey_api_key and the clients if the service is enough"


def needs_mock(item: pytest.Item) -> str | None:
    """Return why a test needs a mock, for the report of its skip; None if it can run against the service."""
    if not isinstance(item, pytest.Function | pytest.DoctestItem):
        return None
    if item.get_closest_marker("odyssey_sim") is not None or "odyssey_sim" in item.fixturenames:
        return "the test runs in simulated time, which needs a mock"
    if not uses_mock(item):
        return None
    if item.get_closest_marker("odyssey_chaos") is not None:
        return "the test is marked odyssey_chaos, and only a mock has faults"
    if settings := marked_settings.marked_settings(item):
        return f"the test is marked odyssey({', '.join(settings)}), and only a mock has settings"
    if (why := _requested(item)) is not None:
        return why
    if marked_settings.ini_faults(item.config) or _is_overridden(item, "odyssey_faults"):
        return "odyssey_faults adds faults to all tests, and only a mock has faults"
    return None


def _requested(item: pytest.Function | pytest.DoctestItem) -> str | None:
    arguments: Sequence[str] = item._fixtureinfo.argnames  # noqa: SLF001 - pytest has no public name for it
    for name in _OF_MOCKS:
        if name in arguments:
            return f"the test has the argument {name}, and needs a mock: {_INSTEAD}"
    for name in item.fixturenames:
        for definition in _definitions(item, name):
            if definition.func.__module__.startswith(_OWN):
                continue
            for wanted in _OF_MOCKS:
                if wanted in definition.argnames:
                    return f"the fixture {name} has the argument {wanted}, and needs a mock: {_INSTEAD}"
    return None


def _definitions(item: pytest.Function | pytest.DoctestItem, name: str) -> Iterator[pytest.FixtureDef[Any]]:
    """Yield the definition of a fixture that a test uses, then those that it overrides and uses."""
    known = item._fixtureinfo.name2fixturedefs.get(name, ())  # noqa: SLF001 - as above
    for definition in reversed(known):
        yield definition
        if name not in definition.argnames:
            return


def _is_overridden(item: pytest.Function | pytest.DoctestItem, name: str) -> bool:
    manager = item.session._fixturemanager  # noqa: SLF001 - as above
    definitions = manager.getfixturedefs(name, item)
    return name in item.fixturenames or definitions is None or len(definitions) != 1
