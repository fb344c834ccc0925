"""The settings of a test's mock: from the ini file, from fixtures that a project overrides, and from markers."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

INI_SETTINGS = "odyssey_settings"
INI_PLAN = "odyssey_plan"
INI_CLOCK = "odyssey_clock"
INI_FAULTS = "odyssey_faults"

OPTIONAL = frozenset({"plan", "clock", "faults"})
"""Keyword arguments of the mock for which None has the same effect as leaving the argument out."""


def add_ini_options(parser: pytest.Parser) -> None:
    """Declare the ini options for the settings of all mocks."""
    parser.addini(INI_SETTINGS, "settings of every mock, one per line: name = Python value", "linelist")
    parser.addini(INI_PLAN, "plan of every mock: free or unlimited", "string")
    parser.addini(INI_CLOCK, "clock of every mock: real or manual", "string")
    parser.addini(INI_FAULTS, "faults of every mock, one JSON object per line", "linelist")


def check_ini(config: pytest.Config) -> None:
    """Check the ini options `odyssey_settings` and `odyssey_faults`.

    Raises:
        pytest.UsageError: a line is malformed; see `ini_settings` and `ini_faults`.
    """
    ini_settings(config)
    ini_faults(config)


def ini_settings(config: pytest.Config) -> dict[str, Any]:  # Any: settings have different types
    """Return the settings in the ini option `odyssey_settings`.

    Raises:
        pytest.UsageError: a line is not `name = value`, a value is not a Python literal, or a name occurs twice.
    """
    found: dict[str, Any] = {}  # Any: as above
    for line in config.getini(INI_SETTINGS):
        name, value = _setting(line)
        if name in found:
            raise pytest.UsageError(f"{INI_SETTINGS}: expected each setting once, got {_shown(name)} twice")
        found[name] = value
    return found


def ini_faults(config: pytest.Config) -> Sequence[Mapping[str, Any]]:  # Any: as in the setting `faults`
    """Return the faults in the ini option `odyssey_faults`.

    Raises:
        pytest.UsageError: a line is not a JSON object, or the object has the same name twice.
    """
    return [_fault(line) for line in config.getini(INI_FAULTS)]


def ini_keywords(config: pytest.Config) -> dict[str, Any]:  # Any: settings have different types
    """Return all settings of mocks in the ini file, as keyword arguments of the mock.

    Raises:
        pytest.UsageError: see `ini_settings` and `ini_faults`.
    """
    common = {
        "plan": config.getini(INI_PLAN) or None,
        "clock": config.getini(INI_CLOCK) or None,
        "faults": ini_faults(config) or None,
    }
    return ini_settings(config) | given(common)


def marked_settings(node: pytest.Item, name: str = "odyssey") -> dict[str, Any]:  # Any: settings have different types
    """Return the keywords of a test's markers called `name`; the marker closest to the test takes precedence."""
    settings: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers(name))):
        if marker.args:
            pytest.fail(f"@pytest.mark.{name} accepts only keyword arguments, got {marker.args!r}", pytrace=False)
        settings |= marker.kwargs
    return settings


def checked(settings: object) -> dict[str, Any]:  # Any: settings have different types
    """Return the value of the fixture `odyssey_settings` as a dict. Fail if it is not a mapping with string keys."""
    if not isinstance(settings, Mapping) or not all(isinstance(name, str) for name in settings):
        pytest.fail(
            'the fixture odyssey_settings must return settings by name, such as {"stream_duration": 60}, '
            f"got {settings!r}",
            pytrace=False,
        )
    return dict(settings)


def setting_errors() -> tuple[type[Exception], ...]:
    """Return the exception classes that `MockOdyssey` raises for invalid settings."""
    from odyssey_mock import FaultError, SettingsError, UnknownSettingError  # noqa: PLC0415

    return FaultError, SettingsError, UnknownSettingError


def source(error: Exception, common: Mapping[str, Any]) -> str:  # Any: settings have different types
    """Return which part of a test's configuration contains the invalid setting, for the error message.

    Args:
        error: the error that `MockOdyssey` raised.
        common: the settings from fixtures and ini options, without those from markers.
    """
    from odyssey_mock import MockOdyssey  # noqa: PLC0415

    try:
        MockOdyssey(**common)
    except setting_errors() as same:
        if str(same) != str(error):
            return "@pytest.mark.odyssey"
        return "the fixtures or ini options " + ", ".join((INI_SETTINGS, INI_PLAN, INI_CLOCK, INI_FAULTS))
    return "@pytest.mark.odyssey"


def given(keywords: Mapping[str, Any]) -> dict[str, Any]:  # Any: settings have different types
    """Return `keywords` without the arguments in `OPTIONAL` whose value is None."""
    return {name: value for name, value in keywords.items() if value is not None or name not in OPTIONAL}


def _setting(line: str) -> tuple[str, Any]:
    name, equals, text = line.partition("=")
    try:
        if not equals:
            raise ValueError
        return name.strip(), ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        raise pytest.UsageError(
            f'{INI_SETTINGS}: expected lines such as `stream_duration = 60` or `clock = "manual"`, got {_shown(line)}'
        ) from None


def _shown(text: str) -> str:
    """Return text of the ini file for messages, without API keys."""
    from odyssey_mock.core.redaction import without_keys  # noqa: PLC0415

    return without_keys(repr(text))


def _fault(line: str) -> Mapping[str, Any]:
    from odyssey_mock.core.strict_json import read_json  # noqa: PLC0415

    try:
        fault = read_json(line, unique=True)
    except ValueError:
        fault = None
    if not isinstance(fault, dict):
        raise pytest.UsageError(
            f'{INI_FAULTS}: expected one JSON object per line, such as {{"at": "rest.auth.token", "do": "status", '
            f'"status": 503}}, with each name once, got {_shown(line)}'
        )
    return fault
