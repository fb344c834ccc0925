"""Command-line options for the settings of the mock, generated from `odyssey_mock/settings.py`.

`chosen_settings` combines the values of these options with those of `--config`, `--set` and environment variables.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, override

import click
from click.core import ParameterSource

from odyssey_mock.core.data_files import DataFileError, read_data_file
from odyssey_mock.core.redaction import without_keys
from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.setting_rules import SettingsError
from odyssey_mock.setting_values import NO_LIMIT, from_data, from_text, region_of
from odyssey_mock.settings import (
    LIMIT_NAMES,
    PLAN,
    PLANS,
    SETTINGS,
    AccountSettings,
    PixelSize,
    Setting,
    Settings,
    UnknownSettingError,
)

PLAN_GROUP = SETTINGS[LIMIT_NAMES[0]].group
"""The heading in `--help` of the option `--plan`, which sets the limits."""

VARIABLES = "ODYSSEY_MOCK_SET_"
"""The beginning of the names of environment variables that set settings, such as `ODYSSEY_MOCK_SET_FPS`.

A shorter one would match variables that Kubernetes sets for a service called odyssey-mock: `ODYSSEY_MOCK_PORT`."""


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


def _faults(path: Path) -> Sequence[Mapping[str, Any]]:  # Any: JSON
    from odyssey_mock.faults.files import FaultFileError, read_faults  # noqa: PLC0415

    try:
        return read_faults(path)
    except FaultFileError as error:
        raise click.UsageError(str(error)) from error


def _json(name: str, text: str) -> JSON:
    try:
        return read_json(text, unique=True)
    except ValueError as error:
        # The text is not repeated, because it may contain a password.
        raise SettingsError(f"{name} must be JSON: {error}") from None


COLLECTIONS: Mapping[str, Collection] = MappingProxyType(
    {
        "keys": Collection(
            click.STRING, "KEY", "May be repeated.", lambda keys: {key: AccountSettings() for key in keys}
        ),
        "regions": Collection(
            click.STRING,
            "NAME[=SECONDS]",
            "SECONDS is the latency. May be repeated.",
            lambda texts: [region_of(text) for text in texts],
        ),
        "trusted_proxies": Collection(
            click.STRING, "ADDRESS", "Loopback addresses are always trusted. May be repeated.", tuple
        ),
        "udp_addresses": Collection(click.STRING, "ADDRESS", "May be repeated.", tuple),
        "ice_servers": Collection(
            click.STRING,
            "JSON",
            'JSON is, for example, {"urls": "turn:192.0.2.1?transport=tcp", "username": "anna", "credential": "..."}. '
            "May be repeated.",
            lambda texts: [_json("ice_servers", text) for text in texts],
        ),
        "control_hosts": Collection(click.STRING, "HOST", "May be repeated.", tuple),
        "script_url_hosts": Collection(
            click.STRING,
            "HOST",
            "This machine is always allowed. May be repeated.",
            lambda hosts: [*Settings().script_url_hosts, *hosts],
        ),
        "network_profile": Collection(
            click.STRING, "NAME|JSON", "", lambda text: from_text("network_profile", text), many=False
        ),
        "faults": Collection(
            click.Path(exists=True, dir_okay=False, path_type=Path),
            "FILE",
            "The file is YAML, TOML or JSON (example above).",
            _faults,
            many=False,
        ),
    }
)
"""The options of settings that are lists or mappings, by name of the setting."""


class GroupedOption(click.Option):
    """An option that stands under a heading in `--help`.

    Attributes:
        group: the heading.
    """

    def __init__(self, declared: Sequence[str], *, group: str, **keywords: Any) -> None:  # Any: as in click
        super().__init__(declared, **keywords)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose `--help` has the options of each group under a heading, after the command's own options."""

    @override
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            group = parameter.group if isinstance(parameter, GroupedOption) else "Options"
            shown = parameter.get_help_record(ctx)
            if shown is not None:
                groups.setdefault(group, []).append(shown)
        for heading, shown_options in groups.items():
            with formatter.section(heading):
                formatter.write_dl(shown_options)


def option_of(setting: Setting, default: object) -> GroupedOption:
    """Return the command-line option of a setting; `default` is its default, unless the plan sets it."""
    if setting.name in COLLECTIONS:
        collection = COLLECTIONS[setting.name]
        return GroupedOption(
            [setting.option, setting.name],
            group=setting.group,
            type=collection.kind,
            metavar=collection.metavar,
            multiple=collection.many,
            help=f"{setting.description} {collection.note}".rstrip(),
        )
    if setting.type is bool:
        declared = f"{setting.option}/--no-{setting.option.removeprefix('--')}"
        return GroupedOption([declared, setting.name], group=setting.group, default=default, help=setting.description)
    kind = _kind_of(setting)
    of_plan = setting.name in LIMIT_NAMES
    unit = setting.rule.unit
    if isinstance(kind, NumberOrNone | WholeOrNone):
        unit = f"{unit}|{NO_LIMIT}"
    return GroupedOption(
        [setting.option, setting.name],
        group=setting.group,
        type=kind,
        default=None if of_plan else default,
        show_default="from the plan" if of_plan else True,
        metavar=unit,
        help=setting.description,
    )


def _kind_of(setting: Setting) -> click.ParamType[Any] | tuple[click.ParamType[Any], ...]:
    rule, kind = setting.rule, setting.type
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    whole = click.INT if rule.least is None else click.IntRange(rule.least, rule.most)
    number = Number(rule.least, rule.most, min_open=rule.above)
    kinds: Mapping[object, click.ParamType[Any] | tuple[click.ParamType[Any], ...]] = {
        str: click.STRING,
        str | None: click.STRING,
        int: whole,
        float: number,
        int | None: WholeOrNone(whole),
        float | None: NumberOrNone(rule.least, rule.most, min_open=rule.above),
        PixelSize.__value__: (whole, whole),
    }
    return kinds[kind]


def plan_option() -> GroupedOption:
    """Return the option `--plan`."""
    return GroupedOption(
        ["--plan"],
        group=PLAN_GROUP,
        type=click.Choice(list(PLANS)),
        default="free",
        help="Plan that sets all limits for which neither an option nor `--config` gives a value.",
    )


def config_option() -> click.Option:
    """Return the option `--config`."""
    return click.Option(
        ["--config"],
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Read settings from this file: YAML, or TOML or JSON by its name. It has the names of `--set`. Options "
        "take precedence, but `--plan` keeps the limits that the file sets.",
    )


def set_option() -> click.Option:
    """Return the option `--set`, which gives a setting a value by its name."""
    return click.Option(
        ["--set", "assignments"],
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a setting by its name in Python, such as `fps=10`, `hls=false` or `portrait_size=176x320`. May be "
        f"repeated. Environment variables such as {VARIABLES}FPS do the same; all options take precedence over them.",
    )


def setting_options(
    names: Iterable[str],
    defaults: Mapping[str, object] = MappingProxyType({}),
) -> list[click.Parameter]:
    """Return the options `--config`, `--set` and `--plan`, and the options of the settings called `names`.

    `defaults`: defaults by name of the setting; all others are those of `odyssey-mock serve`.
    """
    settings = [SETTINGS[name] for name in names]
    limits = [option_of(each, None) for each in settings if each.name in LIMIT_NAMES]
    others = [
        option_of(each, defaults.get(each.name, each.served)) for each in settings if each.name not in LIMIT_NAMES
    ]
    return [config_option(), set_option(), *others, plan_option(), *limits]


def chosen_settings(
    context: click.Context,
    values: Mapping[str, Any],  # Any: settings differ in type
    *,
    config: Path | None,
    assignments: Sequence[str],
    fixed: Mapping[str, str] = MappingProxyType({}),
    defaults: Mapping[str, object] = MappingProxyType({}),
) -> Settings:
    """Return the settings that the command is given.

    From the lowest to the highest precedence: the defaults, the plan, `--config`, the variables `VARIABLES`, the other
    options.

    Args:
        context: the context of the command.
        values: the values of the options from `setting_options`, by name, without `config` and `assignments`.
        config: the value of `--config`.
        assignments: the values of `--set`.
        fixed: names of settings that the options must not set, each with the reason. In the file and in variables,
            these settings have no effect.
        defaults: defaults by name of the setting, as in `setting_options`.

    Raises:
        click.UsageError: a value is invalid, a name is unknown, or two options set the same setting.
    """
    try:
        options = {
            name: COLLECTIONS[name].read(value) if name in COLLECTIONS else value
            for name, value in values.items()
            if context.get_parameter_source(name) is not ParameterSource.DEFAULT
        }
        from_file = {} if config is None else _read_config(config)
        from_variables = _read_variables(os.environ)
        assigned = _assigned(assignments, options, fixed)
        served = {each.name: each.served for each in SETTINGS.values() if each.served != each.default}
        chosen = {"plan": values["plan"], **served, **defaults, **from_file, **from_variables, **options, **assigned}
        return Settings().replace(**{name: value for name, value in chosen.items() if name not in fixed})
    except (SettingsError, UnknownSettingError) as error:
        raise click.UsageError(str(error)) from error


def _read_config(path: Path) -> dict[str, Any]:  # Any: settings differ in type
    """Return the settings and the `plan` in a configuration file, by name."""
    try:
        data = read_data_file(path)
    except DataFileError as error:
        raise click.UsageError(str(error)) from error
    if data is None:  # YAML without content
        return {}
    if not isinstance(data, Mapping):
        got = type(data).__name__
        raise click.UsageError(f"{path} must contain settings by name, such as `fps: 10`, got {got}")
    found = {}
    for name, value in data.items():
        try:
            found[name] = _checked(f"{path}: faults", name, value if name == "plan" else from_data(name, value))
        except (SettingsError, UnknownSettingError) as error:
            raise click.UsageError(f"{path}: {error}") from error
    return found


def _read_variables(environment: Mapping[str, str]) -> dict[str, Any]:  # Any: settings differ in type
    """Return the settings and the `plan` of environment variables, by name. Empty variables have no effect."""
    found = {}
    for variable, text in environment.items():
        if variable.startswith(VARIABLES) and text:
            name = variable.removeprefix(VARIABLES).lower()
            try:
                found[name] = _checked(variable, name, text if name == "plan" else from_text(name, text))
            except (SettingsError, UnknownSettingError) as error:
                raise click.UsageError(f"{variable}: {error}") from error
    return found


def _assigned(
    assignments: Sequence[str],
    options: Container[str],
    fixed: Mapping[str, str],
) -> dict[str, Any]:  # Any: settings differ in type
    """Return the settings and the `plan` that `--set` gives, by name.

    `options`: the names of the settings that other options set; `fixed`: as in `chosen_settings`.
    """
    found: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise click.UsageError(f"--set must be NAME=VALUE, such as fps=10, got {without_keys(repr(assignment))}")
        if name in fixed:
            raise click.UsageError(f"--set {name} is not possible: {fixed[name]}")
        try:
            value = _checked("--set faults", name, text if name == "plan" else from_text(name, text))
        except (SettingsError, UnknownSettingError) as error:
            raise click.UsageError(f"--set: {error}") from error
        if name in found:
            raise click.UsageError(f"--set {name} was given more than once; give it once")
        if name in options:
            option = "--plan" if name == "plan" else SETTINGS[name].option
            raise click.UsageError(f"--set {name} and {option} set the same setting; give one of them")
        found[name] = value
    return found


def _checked(source: str, name: str, value: Any) -> Any:  # Any: settings differ in type
    """Return the value of a setting, after checking it if its name is `plan` or `faults`.

    Messages about invalid faults begin with `source`.
    """
    from odyssey_mock.faults.files import FaultFileError, parse_faults  # noqa: PLC0415

    if name == "plan":
        PLAN.check("plan", value)
    if name == "faults":
        try:
            return parse_faults(value, source)
        except FaultFileError as error:
            raise click.UsageError(str(error)) from error
    return value
