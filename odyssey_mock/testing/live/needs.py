"""What a test needs that only a mock has, read from its markers, its fixtures and its code before it runs.

A test that is interrupted when it first needs the mock may already have used stream seconds.
"""

import ast
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from odyssey_mock.testing import marked_settings
from odyssey_mock.testing.around_test import original_test
from odyssey_mock.testing.live.service import OF_SERVICE
from odyssey_mock.testing.plugin import uses_mock

_OWN = "odyssey_mock.testing"
"""The package of the plugin's fixtures, which need the mock only as the address of a service."""
_MOCK, _ACCOUNT = "odyssey_mock", "odyssey_account"
_INSTEAD = "use odyssey_url, odyssey_api_key and the clients if the service is enough"
_NAMED = 3
"""Maximum number of attributes that a reason names."""


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
    if _is_overridden(item, "odyssey_faults"):  # its value is not known before the test runs
        return "the project overrides odyssey_faults, and only a mock has faults"
    if marked_settings.ini_faults(item.config):
        return "odyssey_faults adds faults to all tests, and only a mock has faults"
    return None


def _requested(item: pytest.Function | pytest.DoctestItem) -> str | None:
    arguments: Sequence[str] = item._fixtureinfo.argnames  # noqa: SLF001 - pytest has no public name for it
    function = original_test(item) if isinstance(item, pytest.Function) else None
    if (why := _needed_by(function, arguments)) is not None:
        return f"the test {why}"
    for name in item.fixturenames:
        for definition in _definitions(item, name):
            if definition.func.__module__.startswith(_OWN):
                continue
            if (why := _needed_by(definition.func, definition.argnames)) is not None:
                return f"the fixture {name} {why}"
    return None


def _needed_by(function: Callable[..., object] | None, arguments: Sequence[str]) -> str | None:
    """Return what a function with these arguments needs of a mock; None if the address and the key are enough."""
    if _ACCOUNT in arguments:
        return f"has the argument {_ACCOUNT}, and only a mock creates accounts"
    if _MOCK not in arguments:
        return None
    used = _attributes(function)
    if not used:
        return f"has the argument {_MOCK}, and needs a mock: {_INSTEAD}"
    only_of_mock = [f"{_MOCK}.{name}" for name in used if name not in OF_SERVICE]
    if not only_of_mock:
        return None
    return f"uses {', '.join(only_of_mock[:_NAMED])}, and only a mock has {'it' if len(only_of_mock) == 1 else 'them'}"


def _attributes(function: Callable[..., object] | None) -> Sequence[str]:
    """Return the attributes of `odyssey_mock` that a function uses, in alphabetical order.

    Return nothing if it also uses the mock as a whole, for example as an argument of a call, or if there is no source.
    """
    if function is None:
        return ()
    try:
        source = inspect.getsource(function)
        # Text in triple quotes may have less indentation than the function, so that `textwrap.dedent` is of no use.
        tree = ast.parse(f"if True:\n{source}" if source[0].isspace() else source)
    except (OSError, TypeError, SyntaxError):
        return ()
    mentions = sum(isinstance(node, ast.Name) and node.id == _MOCK for node in ast.walk(tree))
    used = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == _MOCK
    ]
    return sorted(set(used)) if len(used) == mentions else ()


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
