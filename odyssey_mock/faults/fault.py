"""One fault: where, what, when and how often. A value, as JSON has it."""

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from odyssey_mock.accounts.accounts import account_id
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import POINTS, WHERE, FaultAction, Parameter, points_of

HOW_OFTEN: Mapping[str, Parameter] = {
    "times": Parameter(
        "a whole number above 0, or null for every time",
        lambda v: v is None or (isinstance(v, int) and not isinstance(v, bool) and v > 0),
    ),
    "after": Parameter(
        "a whole number, 0 or more", lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0, default=0
    ),
    "probability": Parameter(
        "a number above 0, up to 1",
        lambda v: isinstance(v, int | float) and not isinstance(v, bool) and 0 < v <= 1,
        default=1.0,
    ),
}
"""What every fault may say beside its action's own parameters."""

_ECHO = reprlib.Repr(maxstring=80, maxother=80)
"""How a message repeats what came: enough to know it again, however long it is."""


class FaultError(ValueError):
    """A fault that there cannot be; the message says what is wrong with it, and lists what is known there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is to fail.

    Attributes:
        at: the point, one of `POINTS`, or all that begin alike: `rest.*`.
        do: the action, one of those of the point.
        parameters: of the action, complete.
        times: how often it fires; None for every time.
        after: how often the point is passed before it begins, counting those that match.
        probability: how likely it fires each time, from the seed of the mock.
        match: what it is narrowed to; all conditions hold at once. `prompt` matches a part of one. `account` is the id
            of one, whatever named it: a key is a secret, and shown nowhere.
    """

    at: str
    do: str
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    times: int | None = None
    after: int = 0
    probability: float = 1.0
    match: Mapping[str, JSON] = field(default_factory=dict)

    @classmethod
    def of(cls, described: Mapping[str, JSON]) -> Self:
        """Read a fault: `{"at", "do", parameters of the action..., "times"?, "after"?, "probability"?, "match"?}`.

        Raises:
            FaultError: it is none.
        """
        if not isinstance(described, Mapping):
            raise FaultError(f"a fault must be an object with `at` and `do`, got {type(described).__name__}")
        rest = dict(described)
        at, do, match = rest.pop("at", None), rest.pop("do", None), rest.pop("match", None)
        points = points_of(at) if isinstance(at, str) else []
        if not isinstance(at, str) or not points:
            raise FaultError(_unknown("fault point", at, POINTS))
        actions = [POINTS[point].actions for point in points]
        common: Mapping[str, FaultAction] = {
            name: actions[0][name] for name in actions[0] if all(name in a for a in actions)
        }
        if not common:
            raise FaultError(f"the points of {at} have no action in common; name one of them: {', '.join(points)}")
        if not isinstance(do, str) or do not in common:
            raise FaultError(_unknown(f"action at {at}", do, common))
        place = f"{at} {do}"
        known = {**common[do].parameters, **HOW_OFTEN}
        if unknown := [name for name in rest if name not in known]:
            raise FaultError(_unknown(f"parameter of {place}", unknown[0], [*known, "match"]))
        values = {name: _value(place, name, parameter, rest) for name, parameter in known.items()}
        often = {name: values.pop(name) for name in HOW_OFTEN}
        allowed = frozenset.intersection(*(POINTS[point].matches for point in points)) | {"account"}
        return cls(at=at, do=do, parameters=values, match=_match(place, match, allowed), **often)  # type: ignore[arg-type]  # judged above

    def number(self, name: str) -> float:
        """The parameter of that name, which is a number."""
        value = self.parameters[name]
        assert isinstance(value, int | float)
        return value

    def text(self, name: str) -> str:
        """The parameter of that name, which is a text."""
        value = self.parameters[name]
        assert isinstance(value, str)
        return value

    def to_json(self) -> dict[str, JSON]:
        """Give it as `of` reads it."""
        often: dict[str, JSON] = {"times": self.times, "after": self.after, "probability": self.probability}
        return {"at": self.at, "do": self.do, **self.parameters, **often, "match": dict(self.match)}


def _value(place: str, name: str, parameter: Parameter, given: Mapping[str, JSON]) -> JSON:
    if name not in given:
        if parameter.required:
            raise FaultError(f"{place} needs `{name}`: {parameter.expected}")
        return parameter.default
    if not parameter.holds(given[name]):
        raise FaultError(f"{place}: `{name}` must be {parameter.expected}, not {_ECHO.repr(given[name])}")
    return given[name]


def _match(place: str, match: JSON, allowed: frozenset[str]) -> Mapping[str, JSON]:
    if match is None:
        return {}
    if not isinstance(match, Mapping):
        # Not what came, here and below: it may be an API key.
        names = ", ".join(sorted(allowed))
        raise FaultError(f"{place}: `match` must be an object with {names}, not a {type(match).__name__}")
    for name, value in match.items():
        if name not in allowed:
            raise FaultError(_unknown(f"`match` of {place}", name, sorted(allowed)))
        if not WHERE[name].holds(value):
            raise FaultError(f"{place}: `match.{name}` must be {WHERE[name].expected}, not a {type(value).__name__}")
    account = match.get("account")
    return {**match, "account": account_id(account)} if isinstance(account, str) else dict(match)


def _unknown(what: str, got: object, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(got[: _ECHO.maxstring], names, n=1) if isinstance(got, str) else []
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no {what} {_ECHO.repr(got)}; {hint}known are {', '.join(names)}"
