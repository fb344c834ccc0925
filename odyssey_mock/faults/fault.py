"""`Fault`, which describes one injected fault: its point, its action, which requests it affects, and how often."""

import difflib
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from odyssey_mock.accounts.accounts import account_id
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import (
    POINTS,
    WHERE,
    FaultAction,
    Parameter,
    number,
    or_null,
    points_of,
    whole,
)

HOW_OFTEN: Mapping[str, Parameter] = {
    "times": Parameter("a whole number above 0, or null for every time", or_null(whole(1, None))),
    "after": Parameter("a whole number, 0 or more", whole(0, None), default=0),
    "probability": Parameter("a number above 0, up to 1", number(0, 1, above=0), default=1.0),
}
"""Parameters that every fault accepts in addition to those of its action."""

_ECHO = reprlib.Repr(maxstring=80, maxother=80)
"""Shortens invalid values for error messages."""


class FaultError(ValueError):
    """A fault is invalid. The message states what is wrong and lists the known names.

    Attributes:
        loc: the place of the invalid value: its name, such as `status`, or `match` and a name. It is empty if the fault
            is not an object. In a list of faults, it begins with the index of the fault.
    """

    def __init__(self, message: str, loc: Sequence[str | int] = ()) -> None:
        super().__init__(message)
        self.loc = tuple(loc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault to inject.

    Attributes:
        at: the name of a point in `POINTS`, or a group such as `rest.*`.
        do: the name of an action of the point.
        parameters: all parameters of the action, including defaults.
        times: how many times the fault fires; None if the number is not limited.
        after: how many matching requests or events at the point are skipped before the fault can fire.
        probability: the probability that the fault fires at each later request or event. The random decisions depend
            only on the mock's seed.
        match: conditions that a request or event must meet. `prompt` matches a part of the prompt. `account` is always
            an account id: an API key is replaced with the id of its account, because keys are secret.
        id: the id that the registry gave to the fault, such as `fault-1`; empty before that.
    """

    at: str
    do: str
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    times: int | None = None
    after: int = 0
    probability: float = 1.0
    match: Mapping[str, JSON] = field(default_factory=dict)
    id: str = field(default="", compare=False)

    @classmethod
    def of(cls, described: Mapping[str, JSON]) -> Self:
        """Parse the JSON description of a fault.

        `described` has `at`, `do`, the parameters of the action, and optionally `times`, `after`, `probability` and
        `match`.

        Raises:
            FaultError: the fault is invalid.
        """
        __tracebackhide__ = True
        if not isinstance(described, Mapping):
            raise FaultError(f"a fault must be an object with `at` and `do`, got {type(described).__name__}")
        rest = dict(described)
        at, do, match = rest.pop("at", None), rest.pop("do", None), rest.pop("match", None)
        points = points_of(at) if isinstance(at, str) else []
        if not isinstance(at, str) or not points:
            raise FaultError(_unknown("fault point", at, POINTS), ["at"])
        actions = [POINTS[point].actions for point in points]
        common: Mapping[str, FaultAction] = {
            name: actions[0][name] for name in actions[0] if all(name in a for a in actions)
        }
        if not common:
            raise FaultError(
                f"the points of {at} have no action in common; use one of these points: {', '.join(points)}",
                ["at"],
            )
        if not isinstance(do, str) or do not in common:
            raise FaultError(_unknown(f"action at {at}:", do, common), ["do"])
        place = f"{at} {do}"
        known = {**common[do].parameters, **HOW_OFTEN}
        if unknown := [name for name in rest if name not in known]:
            raise FaultError(_unknown(f"parameter of {place}:", unknown[0], [*known, "match"]), unknown[:1])
        values = {name: _value(place, name, parameter, rest) for name, parameter in known.items()}
        often = {name: values.pop(name) for name in HOW_OFTEN}
        allowed = frozenset.intersection(*(POINTS[point].matches for point in points)) | {"account"}
        return cls(at=at, do=do, parameters=values, match=_match(place, match, allowed), **often)  # type: ignore[arg-type]  # validated above

    @property
    def label(self) -> str:
        """Id, point and action, for messages: `fault-1 (stream.start error)`."""
        return f"{self.id or 'a fault'} ({self.at} {self.do})"

    def number(self, name: str) -> float:
        """Return the value of a parameter that is a number."""
        value = self.parameters[name]
        assert isinstance(value, int | float)
        return value

    def text(self, name: str) -> str:
        """Return the value of a parameter that is a string."""
        value = self.parameters[name]
        assert isinstance(value, str)
        return value

    def to_json(self) -> dict[str, JSON]:
        """Return the fault as a JSON object that `of` can parse."""
        often: dict[str, JSON] = {"times": self.times, "after": self.after, "probability": self.probability}
        return {"at": self.at, "do": self.do, **self.parameters, **often, "match": dict(self.match)}


def _value(place: str, name: str, parameter: Parameter, given: Mapping[str, JSON]) -> JSON:
    __tracebackhide__ = True
    if name not in given:
        if parameter.required:
            raise FaultError(f"{place} requires `{name}`: {parameter.expected}", [name])
        return parameter.default
    if not parameter.holds(given[name]):
        explanation = f": {found}" if (found := parameter.explanation(given[name])) else ""
        message = f"{place}: `{name}` must be {parameter.expected}, got {_ECHO.repr(given[name])}{explanation}"
        raise FaultError(message, [name])
    return given[name]


def _match(place: str, match: JSON, allowed: frozenset[str]) -> Mapping[str, JSON]:
    __tracebackhide__ = True
    if match is None:
        return {}
    if not isinstance(match, Mapping):
        # The messages here and below give only the type: the value may be an API key.
        names = ", ".join(sorted(allowed))
        raise FaultError(f"{place}: `match` must be an object with {names}, got {type(match).__name__}", ["match"])
    for name, value in match.items():
        if name not in allowed:
            raise FaultError(_unknown(f"`match` condition of {place}:", name, sorted(allowed)), ["match", name])
        if not WHERE[name].holds(value):
            raise FaultError(
                f"{place}: `match.{name}` must be {WHERE[name].expected}, got {type(value).__name__}", ["match", name]
            )
    account = match.get("account")
    return {**match, "account": account_id(account)} if isinstance(account, str) else dict(match)


def _unknown(what: str, got: object, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(got[: _ECHO.maxstring], names, n=1) if isinstance(got, str) else []
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {what} {_ECHO.repr(got)}; {hint}known: {', '.join(names)}"
