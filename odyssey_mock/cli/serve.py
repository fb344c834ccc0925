"""The command `odyssey-mock serve`: runs the mock as a separate process, with an option for every setting."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, override

import click
from click.core import ParameterSource

from odyssey_mock.settings import (
    LIMIT_NAMES,
    PLANS,
    SETTING_NAMES,
    SETTINGS,
    AccountSettings,
    PixelSize,
    Plan,
    Region,
    Setting,
    Settings,
    SettingsError,
)

if TYPE_CHECKING:
    from odyssey_mock.server import MockOdyssey

NO_LIMIT = "none"
"""The option value for None (no limit)."""


class Number(click.FloatRange):
    """An option type for numbers. `--help` shows the range, but only `Settings` checks it."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # Any: as in click
        return click.FLOAT.convert(value, param, ctx)


class NumberOrNone(Number):
    """An option type like `Number` that also accepts `NO_LIMIT`, and converts it to None."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # Any: as in click
        return None if value == NO_LIMIT else super().convert(value, param, ctx)


class WholeOrNone(click.ParamType[Any]):
    """An option type like `whole` that also accepts `NO_LIMIT`, and converts it to None."""

    def __init__(self, whole: click.ParamType[Any]) -> None:
        self.name = whole.name
        self._whole = whole

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # Any: as in click
        return None if value in (None, NO_LIMIT) else self._whole.convert(value, param, ctx)


@dataclass(frozen=True, slots=True)
class Collection:
    """How the command converts the values of an option to a setting that is a list or a mapping.

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
"""How the command reads settings that are collections, by name of the setting."""


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


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print only one line of JSON, once the server is ready.")
@click.option(
    "--plan",
    type=click.Choice(list(PLANS)),
    default="free",
    help="Plan whose limits apply where no option sets one.",
)
@click.pass_context
def serve(
    context: click.Context, /, *, as_json: bool, plan: Plan, **values: Any
) -> None:  # Any: settings differ in type
    """Run the mock server until Ctrl-C or SIGTERM.

    It prints the environment variables that connect a client to it.

    Example: odyssey-mock serve --port 8400 --plan unlimited

    Example of a file for --faults (GET /_mock/faults/catalog of a running mock lists all points and actions):

    \b
    [{"at": "rest.sessions.request", "do": "status", "status": 503, "times": 3}]
    """  # noqa: D301 - click prints the paragraph after \b unchanged
    from odyssey_mock.core.network import ListenError  # noqa: PLC0415

    try:
        settings = Settings().replace(plan=plan, **_given(context, values))
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    try:
        asyncio.run(_serve(settings, as_json=as_json))
    except ListenError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        # If the event loop supports no signal handlers, Ctrl-C raises this. The mock has been closed already.
        return


serve.params += [option_of(SETTINGS[name]) for name in SETTING_NAMES]


def _given(context: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:  # Any: settings differ in type
    """Return the settings from the command line, and the defaults of this command that differ from `Settings`."""
    given: dict[str, Any] = {}
    for name, value in values.items():
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            given[name] = COLLECTIONS[name].read(value) if name in COLLECTIONS else value
        elif SETTINGS[name].served != SETTINGS[name].default:
            given[name] = value
    return given


async def _serve(settings: Settings, *, as_json: bool) -> None:
    from odyssey_mock.server import MockOdyssey  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        # On Windows the event loop supports no signal handlers.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(signum, stop.set)
    async with MockOdyssey(settings) as mock:
        click.echo(_ready_line(mock) if as_json else _welcome(mock))
        await stop.wait()


def _ready_line(mock: MockOdyssey) -> str:
    """Return the line of JSON that `--json` prints once the server is ready."""
    return json.dumps({"url": mock.url, "api_key": mock.api_key, "console_url": None, "pid": os.getpid()})


def _welcome(mock: MockOdyssey) -> str:
    return f"""\
Odyssey mock at {mock.url}

  export ODYSSEY_API_URL={mock.url}
  export ODYSSEY_API_KEY={mock.api_key}

  state    {mock.url}/_mock/state
  journal  {mock.url}/_mock/journal?format=jsonl

Press Ctrl-C to stop."""
