"""`Faults`, the registry of one server's faults, which decides which fault fires when a fault point is reached."""

import dataclasses
import hashlib
import json
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Unpack

from odyssey_mock.core.journal import Journal
from odyssey_mock.core.state_store import NO_STATE, AnyText, RecordKind, StateStore
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import points_of
from odyssey_mock.faults.fault import Fault, FaultError
from odyssey_mock.faults.keywords import FaultKeywords

_ECHO = reprlib.Repr(maxstring=80, maxother=80)
"""Shortens values in `ActiveFault.why_not`."""


class ActiveFault:
    """A fault of the registry, with its counts: how many requests and events matched, and how often the fault fired."""

    def __init__(self, fault_id: str, fault: Fault, *, is_initial: bool = False) -> None:
        self.id = fault_id
        self.fault = dataclasses.replace(fault, id=self.id)
        self.points = frozenset(points_of(fault.at))
        """The names of the points where the fault can fire."""
        self.is_initial = is_initial
        """Whether the fault is one of the setting `faults`."""
        self.reached = 0
        """How often one of its points was reached since the fault was added."""
        self.passed = 0
        """How many requests and events at its points matched, until the fault had fired `times` times.

        A request or event is not counted if an earlier fault of the registry fired for it.
        """
        self.fired = 0
        """How often the fault has fired."""
        self.fired_before_reset = False
        """Whether the fault has fired before `Faults.reset` set its counts to 0."""
        self.latest_miss = ""
        """Why the fault did not fire when one of its points was last reached."""

    def __repr__(self) -> str:
        return f"<{self.id} {self.fault.at} {self.fault.do}: fired {self.fired} of {self.passed} times>"

    @property
    def spent(self) -> bool:
        """Whether the fault has fired `times` times, so that it will not fire again."""
        return self.fault.times is not None and self.fired >= self.fault.times

    @property
    def why_not(self) -> str | None:
        """Why the fault has not fired yet, in one sentence; None if it has fired."""
        if self.fired:
            return None
        if not self.reached:
            return f"{self.fault.at} was not reached since the fault was added"
        often = "once" if self.reached == 1 else f"{self.reached} times"
        return f"{self.fault.at} was reached {often}; the last time, {self.latest_miss}"

    def to_json(self) -> dict[str, JSON]:
        """Return the fault as a JSON object, with its id, its counts and `why_not`."""
        counts: dict[str, JSON] = {"reached": self.reached, "passed": self.passed, "fired": self.fired}
        return {"id": self.id, **self.fault.to_json(), **counts, "spent": self.spent, "why_not": self.why_not}


@dataclass(frozen=True, slots=True)
class _SavedFault:
    """The saved record of a fault. Its key is the fault's id."""

    described: Mapping[str, Any]  # Any: JSON, which `Fault.of` validates
    is_initial: bool
    reached: int
    passed: int
    fired: int
    fired_before_reset: bool
    latest_miss: AnyText


@dataclass(frozen=True, slots=True)
class _SavedRegistry:
    """The saved record of the registry."""

    next_number: int
    initial: str
    """A digest of the initial faults."""


_FAULTS = RecordKind("fault", _SavedFault)
_REGISTRY = RecordKind("fault registry", _SavedRegistry)


class Faults:
    """The faults of one server, in order. If several faults match at a point, the first one fires.

    The server calls `fire` at each fault point. Whether a fault with a `probability` fires depends only on the seed,
    the fault's id and `ActiveFault.passed`. The same seed and order of events therefore give the same faults.
    """

    def __init__(
        self,
        journal: Journal,
        seed: Callable[[], str],
        initial: Iterable[Mapping[str, JSON]] = (),
        state: StateStore = NO_STATE,
    ) -> None:
        """Create the registry with the `initial` faults, which `reset` restores, or else with the faults in `state`.

        If the initial faults are not those with which `state` was saved, they replace those. `seed` returns the seed of
        the faults with a `probability`; it is called when the first of them may fire.
        """
        self._journal = journal
        self._seed = seed
        self._initial = tuple(initial)
        self._state = state
        self._next = 1
        """The number of the next fault."""
        self._active: dict[str, ActiveFault] = {}
        self._at: dict[str, dict[str, ActiveFault]] = {}
        """The faults of each point, in order, by id. Points without a fault are left out."""
        self._reached: Counter[str] = Counter()
        registry = state.load(_REGISTRY).get("")
        if registry is None:
            self.reset()
        else:
            self._restore(registry, state.load(_FAULTS))

    def __iter__(self) -> Iterator[ActiveFault]:
        return iter(tuple(self._active.values()))

    def __len__(self) -> int:
        return len(self._active)

    def __getitem__(self, fault_id: str) -> ActiveFault:
        return self._active[fault_id]

    @property
    def reached(self) -> Mapping[str, int]:
        """How often each fault point was reached since the server started, even if no fault was set there.

        The mapping is a copy. It contains only points that were reached, in the order in which each was first reached.
        `reset` does not change these numbers.
        """
        return dict(self._reached)

    def add(self, described: Mapping[str, JSON] | None = None, /, **fields: Unpack[FaultKeywords]) -> ActiveFault:
        """Append a fault, given as a mapping, as keyword arguments, or as both, and return it as an `ActiveFault`.

        ::

            mock.faults.add(at="rest.sessions.request", do="status", status=503, times=3)

        Raises:
            FaultError: the fault is invalid. It is not added.
        """
        __tracebackhide__ = True
        given: Mapping[str, Any] = fields  # Any: `Fault.of` validates them
        return self._append([Fault.of({**(described or {}), **given})])[0]

    def extend(self, described: Iterable[Mapping[str, JSON]]) -> list[ActiveFault]:
        """Append several faults, and return each as an `ActiveFault`.

        Raises:
            FaultError: a fault is invalid. No fault is added.
        """
        __tracebackhide__ = True
        return self._append([_judged(number, each) for number, each in enumerate(described)])

    def _append(self, faults: Iterable[Fault], *, is_initial: bool = False) -> list[ActiveFault]:
        added = [
            ActiveFault(f"fault-{number}", fault, is_initial=is_initial)
            for number, fault in enumerate(faults, self._next)
        ]
        self._next += len(added)
        for each in added:
            self._keep(each)
            self._save(each)
        self._state.save(_REGISTRY, "", lambda: _SavedRegistry(self._next, _digest(self._initial)))
        return added

    def _restore(self, registry: "_SavedRegistry", saved: Mapping[str, "_SavedFault"]) -> None:
        self._next = registry.next_number
        is_same = registry.initial == _digest(self._initial)
        if not is_same:
            self._append(map(Fault.of, self._initial), is_initial=True)
        # The initial faults come first, as before the restart, even if they are newer.
        for fault_id, each in sorted(saved.items(), key=lambda item: not item[1].is_initial):
            if each.is_initial and not is_same:
                self._state.delete(_FAULTS, fault_id)
            else:
                self._keep(_restored(fault_id, each))

    def _keep(self, active: ActiveFault) -> None:
        self._active[active.id] = active
        for point in active.points:
            self._at.setdefault(point, {})[active.id] = active

    def _save(self, active: ActiveFault) -> None:
        self._state.save(_FAULTS, active.id, partial(_saved, active))

    def remove(self, fault_id: str) -> None:
        """Remove a fault. Effects that the fault has already caused continue.

        Raises:
            KeyError: no fault has this id.
        """
        for point in self._active.pop(fault_id).points:
            del self._at[point][fault_id]
            if not self._at[point]:
                del self._at[point]
        self._state.delete(_FAULTS, fault_id)

    def clear(self) -> None:
        """Remove all faults."""
        for fault_id in list(self._active):
            self.remove(fault_id)

    def reset(self) -> None:
        """Restore the initial faults, with their counts `passed` and `fired` at 0."""
        fired = [each.fault for each in self if each.fired > 0 or each.fired_before_reset]
        self.clear()
        for each in self._append(map(Fault.of, self._initial), is_initial=True):
            each.fired_before_reset = each.fault in fired

    def any_at(self, point: str) -> bool:
        """Return whether the registry has a fault for `point`, even if its conditions prevent it from firing."""
        return point in self._at

    def skip(self, point: str) -> None:
        """Count `point` as reached. Called instead of `fire` if `any_at` has returned False for the point."""
        self._reached[point] += 1

    def fire(
        self,
        point: str,
        *,
        account: str | None = None,
        session: str | None = None,
        stream: str | None = None,
        **more: JSON,
    ) -> Fault | None:
        """Return the fault that fires at `point` now, and record it in the journal; return None if no fault fires.

        The conditions in a fault's `match` are compared with the keyword arguments. `more` has the values for further
        conditions, such as `prompt`.
        """
        self._reached[point] += 1
        known: Mapping[str, JSON] = {"account": account, "session": session, "stream": stream, **more}
        fired: ActiveFault | None = None
        for active in self._at.get(point, {}).values():
            active.reached += 1
            self._save(active)
            active.latest_miss = f"{fired.id} fired instead" if fired is not None else self._miss(active, known)
            if not active.latest_miss:
                fired = active
        if fired is None:
            return None
        fired.fired += 1
        fault = fired.fault
        shown = {name: value for name, value in fault.parameters.items() if value is not None}
        of = "" if fault.times is None else f" of {fault.times}"
        why = f"{fault.label} fired, time {fired.fired}{of}"
        data: dict[str, JSON] = {"id": fired.id, "do": fault.do, "parameters": shown, "why": why}
        self._journal.record("fault", point, data, account=account, session=session, stream=stream)
        return fault

    def _miss(self, active: ActiveFault, known: Mapping[str, JSON]) -> str:
        """Return why the fault does not fire for a request or event with the values `known`; empty if it fires."""
        fault = active.fault
        for name, wanted in fault.match.items():
            if not _agrees(name, wanted, known.get(name)):
                with_part = "a prompt that contains " if name == "prompt" else ""
                return f"`match` expected as {name} {with_part}{_ECHO.repr(wanted)}, got {_ECHO.repr(known.get(name))}"
        if active.spent:
            return "it had fired `times` times"
        active.passed += 1
        if active.passed <= fault.after:
            return f"`after` skipped it ({active.passed} of {fault.after})"
        if fault.probability < 1 and _chance(f"{self._seed()}/{active.id}/{active.passed}") >= fault.probability:
            return f"the random decision with probability {fault.probability:g} was against it"
        return ""


def _judged(number: int, described: Mapping[str, JSON]) -> Fault:
    """Return the fault with this number in a list. The place of an error begins with the number."""
    __tracebackhide__ = True
    try:
        return Fault.of(described)
    except FaultError as error:
        error.loc = (number, *error.loc)
        raise


def _digest(initial: Iterable[Mapping[str, JSON]]) -> str:
    described = [Fault.of(each).to_json() for each in initial]
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _saved(active: ActiveFault) -> _SavedFault:
    return _SavedFault(
        described=active.fault.to_json(),
        is_initial=active.is_initial,
        reached=active.reached,
        passed=active.passed,
        fired=active.fired,
        fired_before_reset=active.fired_before_reset,
        latest_miss=active.latest_miss,
    )


def _restored(fault_id: str, saved: _SavedFault) -> ActiveFault:
    active = ActiveFault(fault_id, Fault.of(saved.described), is_initial=saved.is_initial)
    active.reached = saved.reached
    active.passed = saved.passed
    active.fired = saved.fired
    active.fired_before_reset = saved.fired_before_reset
    active.latest_miss = saved.latest_miss
    return active


def _agrees(name: str, wanted: JSON, actual: JSON) -> bool:
    if name == "prompt":
        return isinstance(wanted, str) and isinstance(actual, str) and wanted in actual
    return wanted == actual


def _chance(text: str) -> float:
    """Return a pseudorandom number, at least 0 and below 1, that depends only on `text`."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
