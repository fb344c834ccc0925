"""Command-line options for the settings of the mock, generated from `odyssey_mock/settings.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, override

import click
from click.core import ParameterSource

from odyssey_mock.settings import (
    LIMIT_NAMES,
    PLANS,
    SETTINGS,
    AccountSettings,
    PixelSize,
    Region,
    Setting,
    Settings,
)

NO_LIMIT = "none"
"""The option value for None (no limit)."""


class Number(click.FloatRange):
    """An option type for numbers. `--help` shows the range, but only `Settings` checks it."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # Any: as in click
        return click.FLOAT.convert(value, param, ctx)


class NumberOrNone(Number):
    """An option type like `Number` that also accepts the value `NO_LIMIT` and converts this value to None."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # Any: as in click
        return None if value == NO_LIMIT else super().convert(value, param, ctx)


class WholeOrNone(click.ParamType[Any]):
    """An option type for whole numbers that also accepts the value `NO_LIMIT` and converts this value to None."""

    def __init__(self, whole: click.ParamType[Any]) -> None:
        self.name = whole.name
        self._whole = whole

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # Any: as in click
        return None if value in (None, NO_LIMIT) else self._whole.convert(value, param, ctx)


@dataclass(frozen=True, slots=True)
class Collection:
    """The option of a setting that is a list or a mapping, and the conversion of its values.

    Attributes:
        kind: the type of one option value.
        metavar: the placeholder for one option value in `--help`.
        note: text that `--help` shows after the description.
        read: function that converts all option values to the value of the setting.
        many: whether the option may be repeated.
    """

    kind: click.ParamType[Any]  # Any: each has its own type
    metavar: str
    note: str
    read: Callable[[Any], object]  # Any: a tuple of converted values, or one value if not `many`
    many: bool = True


def _region(text: str) -> Region:
    name, equals, latency = text.partition("=")
    try:
        return Region(name, float(latency) if equals else 0.0)
    except ValueError as error:
        raise click.UsageError(f"--region must be NAME or NAME=SECONDS, got {text!r}") from error


def _faults(path: Path) -> Sequence[Mapping[str, Any]]:  # Any: JSON
    from odyssey_mock.faults.files import FaultFileError, read_faults  # noqa: PLC0415

    try:
        return read_faults(path)
    except FaultFileError as error:
        raise click.UsageError(str(error)) from error


COLLECTIONS: Mapping[str, Collection] = MappingProxyType(
    {
        "keys": Collection(
            click.STRING, "KEY", "May be repeated.", lambda keys: {key: AccountSettings() for key in keys}
        ),
        "regions": Collection(
            click.STRING,
            "NAME[=SECONDS]",
            "SECONDS is the latency. May be repeated.",
            lambda texts: [_region(text) for text in texts],
        ),
        "script_url_hosts": Collection(
            click.STRING,
            "HOST",
            "This machine is always allowed. May be repeated.",
            lambda hosts: [*Settings().script_url_hosts, *hosts],
        ),
        "faults": Collection(
            click.Path(exists=True, dir_okay=False, path_type=Path),
            "FILE",
            "The file is YAML or JSON (example above).",
            _faults,
            many=False,
        ),
    }
)
"""The options of settings that are lists or mappings, by name of the setting."""


def option_of(setting: Setting) -> click.Option:
    """Return the command-line option of a setting."""
    if setting.name in COLLECTIONS:
        collection = COLLECTIONS[setting.name]
        return click.Option(
            [setting.option, setting.name],
            type=collection.kind,
            metavar=collection.metavar,
            multiple=collection.many,
            help=f"{setting.description} {collection.note}",
        )
    if setting.type is bool:
        declared = f"{setting.option}/--no-{setting.option.removeprefix('--')}"
        return click.Option([declared, setting.name], default=setting.served, help=setting.description)
    kind = _kind_of(setting)
    of_plan = setting.name in LIMIT_NAMES
    unit = setting.rule.unit
    if isinstance(kind, NumberOrNone | WholeOrNone):
        unit = f"{unit}|{NO_LIMIT}"
    return click.Option(
        [setting.option, setting.name],
        type=kind,
        default=None if of_plan else setting.served,
        show_default="from the plan" if of_plan else True,
        metavar=unit,
        help=setting.description,
    )


def _kind_of(setting: Setting) -> click.ParamType[Any] | tuple[click.ParamType[Any], ...]:
    rule, kind = setting.rule, setting.type
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    whole = click.INT if rule.least is None else click.IntRange(rule.least, rule.most)
    number = Number(rule.least, min_open=rule.above)
    kinds: Mapping[object, click.ParamType[Any] | tuple[click.ParamType[Any], ...]] = {
        str: click.STRING,
        int: whole,
        float: number,
        int | None: WholeOrNone(whole),
        float | None: NumberOrNone(rule.least, min_open=rule.above),
        PixelSize.__value__: (whole, whole),
    }
    return kinds[kind]


def plan_option() -> click.Option:
    """Return the option `--plan`."""
    return click.Option(
        ["--plan"],
        type=click.Choice(list(PLANS)),
        default="free",
        help="Plan that sets all limits for which no option is given.",
    )


def setting_options(names: Iterable[str]) -> list[click.Parameter]:
    """Return the option `--plan`, and the options of the settings called `names`."""
    return [plan_option(), *(option_of(SETTINGS[name]) for name in names)]


def given_settings(context: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:  # Any: settings differ in type
    """Return the settings given on the command line, and those whose option has another default than `Settings`."""
    given: dict[str, Any] = {}
    for name, value in values.items():
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            given[name] = COLLECTIONS[name].read(value) if name in COLLECTIONS else value
        elif SETTINGS[name].served != SETTINGS[name].default:
            given[name] = value
    return given
