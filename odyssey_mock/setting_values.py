"""Conversion of setting values from text (`--set`) and from data (JSON, TOML and YAML), and back to data."""

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, NoneType
from typing import Any, get_args, get_origin

from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.setting_rules import SettingsError
from odyssey_mock.settings import (
    LIMIT_NAMES,
    SETTINGS,
    AccountSettings,
    PixelSize,
    Region,
    Setting,
    check_name,
)

NO_LIMIT = "none"
"""The text for None. TOML and the command line have no null."""


def from_data(name: str, data: JSON) -> Any:  # Any: settings differ in type
    """Return the value of the setting `name` that `data` describes.

    A size is a list of two numbers, or text such as `1280x704`. `regions` is a list of names, or of objects with `id`
    and `latency`. `keys` is a list of keys, or an object with the account settings of each key. None is null or `none`.

    Raises:
        UnknownSettingError: `name` is not the name of a setting.
        SettingsError: the value is invalid. The message contains no API key.
    """
    check_name(name)
    setting = SETTINGS[name]
    if data == NO_LIMIT and _accepts_none(setting):
        data = None
    read = _READERS.get(name) or _READERS_OF_TYPES.get(_type(setting))
    value = data if read is None or data is None else read(data)
    setting.rule.check(name, value)
    return value


def from_text(name: str, text: str) -> Any:  # Any: settings differ in type
    """Return the value of the setting `name` that `text` describes.

    A flag is `true` or `false`, a size is `1280x704`, None is `none`. Lists and objects are JSON. The items of a list
    of strings may also be separated by commas. Where a value is a name or an object, text that begins with `{` is JSON.

    Raises:
        UnknownSettingError: `name` is not the name of a setting.
        SettingsError: the value is invalid. The message contains no API key.
    """
    check_name(name)
    setting = SETTINGS[name]
    if text == NO_LIMIT and _accepts_none(setting):
        return from_data(name, None)
    kind = _type(setting)
    if kind is bool:
        return from_data(name, {"true": True, "false": False}.get(text.lower(), text))
    if kind in {int, float}:
        return from_data(name, _number(text))
    if kind == Sequence[str] and not text.lstrip().startswith("["):
        return from_data(name, [each.strip() for each in text.split(",") if each.strip()])
    if kind in {Sequence[str], *_STRUCTURES} or (_accepts_object(setting) and text.lstrip().startswith("{")):
        try:
            return from_data(name, read_json(text, unique=True))
        except SettingsError:
            raise
        except ValueError as error:
            # The text is not repeated, because it may contain API keys.
            raise SettingsError(f"{name} must be JSON: {error}") from None
    return from_data(name, text)


def to_data(value: object) -> JSON:
    """Return the value of a setting as data. The values of `keys` cannot be converted.

    Raises:
        TypeError: the value, or an item of it, is not a number, text, a `Region`, a sequence, a mapping or None.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Region():
            return {"id": value.id, "latency": value.latency}
        case Sequence():
            return [to_data(each) for each in value]
        case Mapping():
            return {str(name): to_data(each) for name, each in value.items()}
        case _:
            raise TypeError(
                f"expected a number, a string, a Region, or a sequence or mapping of them, got {type(value).__name__}"
            )


def region_of(text: str) -> Region:
    """Return the region that text such as `eu-west-1` or `eu-west-1=0.08` describes: a name, and seconds of latency.

    Raises:
        SettingsError: `text` is not a region.
    """
    name, equals, latency = text.partition("=")
    try:
        return Region(name, float(latency) if equals else 0.0)
    except ValueError:
        raise SettingsError(f"a region must be NAME or NAME=SECONDS, got {text!r}") from None


def _type(setting: Setting) -> object:
    """Return the type of a setting; if the setting may also be None, the type of its other values."""
    types = [each for each in get_args(setting.type) if each is not NoneType]
    return types[0] if _accepts_none(setting) and len(types) == 1 else setting.type


def _accepts_none(setting: Setting) -> bool:
    return NoneType in get_args(setting.type)


def _accepts_object(setting: Setting) -> bool:
    """Return whether a value may be an object, as one of several types."""
    return any(get_origin(each) is Mapping for each in get_args(setting.type))


def _number(text: str) -> int | float | str:
    """Return the number in `text`. Return other text unchanged; the setting's rule then rejects it."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _size(data: JSON) -> object:
    if isinstance(data, str) and (sides := re.fullmatch(r"(\d{1,9})x(\d{1,9})", data)):
        return int(sides[1]), int(sides[2])
    return tuple(data) if isinstance(data, list) else data


def _regions(data: JSON) -> object:
    if not isinstance(data, list):
        return data
    return [region_of(each) if isinstance(each, str) else _region(each) for each in data]


def _region(data: JSON) -> object:
    """Return the region that an object describes. Return other data unchanged; the setting's rule then rejects it."""
    if not isinstance(data, Mapping) or not isinstance(data.get("id"), str):
        return data
    for name in data:
        _check_field("regions", name, ("id", "latency"))
    return Region(**{"latency": 0.0, **data})  # type: ignore[arg-type]  # the rule checks the types


def _keys(data: JSON) -> object:
    if isinstance(data, list) and all(isinstance(each, str) for each in data):
        return {key: AccountSettings() for key in data}
    if not isinstance(data, Mapping):
        return data
    return {key: _account(configured) for key, configured in data.items()}


def _account(data: JSON) -> object:
    """Return the account settings that an object describes. Return other data unchanged; the rule then rejects it."""
    if data is None:
        return AccountSettings()
    if not isinstance(data, Mapping):
        return data
    for name in data:
        _check_field("keys", name, _ACCOUNT_FIELDS)
    fields = {name: None if name in LIMIT_NAMES and value == NO_LIMIT else value for name, value in data.items()}
    account = AccountSettings(**fields)  # type: ignore[arg-type]  # `check` checks the types
    account.check()
    return account


def _check_field(setting: str, name: str, known: Sequence[str]) -> None:
    """Check that an object of a setting may have a field called `name`."""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        # Text in `keys` may be a misplaced key.
        shown = "" if setting == "keys" else f" {name!r}"
        raise SettingsError(f"{setting}: unknown field{shown}; {hint}known fields: {', '.join(known)}")


def _faults(data: JSON) -> object:
    return [data] if isinstance(data, Mapping) else data


_ACCOUNT_FIELDS = tuple(each.name for each in dataclasses.fields(AccountSettings))


def _unchanged(data: JSON) -> object:
    return data


_READERS: Mapping[str, Callable[[JSON], object]] = MappingProxyType(
    {"ice_servers": _unchanged, "regions": _regions, "keys": _keys, "faults": _faults}
)
"""For settings that consist of objects: the function that converts data. The rule of the setting checks the result."""
_READERS_OF_TYPES: Mapping[object, Callable[[JSON], object]] = MappingProxyType({PixelSize.__value__: _size})
_STRUCTURES = frozenset(_type(SETTINGS[name]) for name in _READERS)
"""The types of these settings."""
