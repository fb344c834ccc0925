"""The tables of settings and errors in docs/reference/, from the code and its docstrings."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from types import ModuleType

from odyssey_mock.setting_values import to_data
from odyssey_mock.settings import SETTING_NAMES, SETTINGS, Setting

INDENT = "&emsp;"
"""A space that Markdown keeps at the beginning of a cell."""

_RAISES = re.compile(r"^( *)Raises:\n((?:\1 +.*\n?|\n)*)", re.MULTILINE)


def settings() -> str:
    """Return a table of the settings for each group."""
    groups: dict[str, list[Setting]] = {}
    for name in SETTING_NAMES:
        groups.setdefault(SETTINGS[name].group, []).append(SETTINGS[name])
    lines: list[str] = []
    for group, members in groups.items():
        lines += ["", f"## {group}", "", "| setting, option | default | meaning, values | applies to |"]
        lines += ["|---|---|---|---|", *map(_setting, members)]
    return "\n".join([*lines, ""])


def _setting(setting: Setting) -> str:
    names = f"`{setting.name}`<br>`{setting.option}`"
    default = "none" if setting.default in (None, (), {}) else f"`{json.dumps(to_data(setting.default))}`"
    meaning = f"{setting.description}<br>Values: {setting.rule.expected}"
    cells = [names, default, meaning, setting.applies or "the next start"]
    return f"| {' | '.join(each.replace('|', r'\|') for each in cells)} |"


def errors(package: ModuleType) -> str:
    """Return a table of the public errors of `package`, base classes first, with the public calls that raise each."""
    public = {name: getattr(package, name) for name in package.__all__}
    classes = [each for each in public.values() if inspect.isclass(each) and issubclass(each, Exception)]
    raised = _raised(public)
    rows = []
    for error in _in_order(classes):
        bases = [parent for parent in error.__mro__[1:] if parent in classes]
        # Docstrings name a base class where a call can raise many of its subclasses.
        calls = ", ".join(raised.get(error.__name__, ())) or (f"as `{bases[0].__name__}`" if bases else "")
        rows.append(f"| {INDENT * len(bases)}`{error.__name__}` | {_first_sentence(error)} | {calls} |")
    return "\n".join(["", "| error | meaning | raised by |", "|---|---|---|", *rows, ""])


def _in_order(classes: list[type[Exception]]) -> Iterator[type[Exception]]:
    """Yield classes, each directly before its subclasses."""

    def below(base: type[Exception] | None) -> Iterator[type[Exception]]:
        for each in sorted(classes, key=lambda one: one.__name__):
            if next((parent for parent in each.__mro__[1:] if parent in classes), None) is base:
                yield each
                yield from below(each)

    return below(None)


def _raised(public: Mapping[str, object]) -> Mapping[str, list[str]]:
    """Return, by name of an error, the calls whose docstrings say that they raise it."""
    raised: dict[str, list[str]] = {}
    for name, value in public.items():
        for call, described in _calls(name, value):
            for error in _errors_of(described):
                raised.setdefault(error, []).append(f"`{call}`")
    return raised


def _calls(name: str, value: object) -> Iterator[tuple[str, object]]:
    yield f"{name}()", value
    if not inspect.isclass(value):
        return
    for member in dict.fromkeys(each for base in value.__mro__ for each in vars(base)):
        if not member.startswith("_"):
            found = inspect.getattr_static(value, member)
            is_call = callable(found) or isinstance(found, classmethod | staticmethod)
            yield f"{name}.{member}{'()' if is_call else ''}", found


def _errors_of(value: object) -> list[str]:
    documented = inspect.getdoc(value) or ""
    section = _RAISES.search(documented)
    return re.findall(r"^ +(\w+):", section[2], re.MULTILINE) if section else []


def _first_sentence(value: object) -> str:
    text = " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.]) ", text)[0].removesuffix(".")
