"""The faults of one server: who asks at a point is told what is to fail there, and the journal too."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Unpack

from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import points_of
from odyssey_mock.faults.fault import Fault
from odyssey_mock.faults.keywords import FaultKeywords


class ActiveFault:
    """A fault on the list, with what has become of it."""

    def __init__(self, number: int, fault: Fault) -> None:
        self.id = f"fault-{number}"
        self.fault = fault
        self.points = frozenset(points_of(fault.at))
        """Those that it is at."""
        self.passed = 0
        """How often its point was passed by what it matches."""
        self.fired = 0
        """How often it has fired."""

    def __repr__(self) -> str:
        return f"<{self.id} {self.fault.at} {self.fault.do}: fired {self.fired} of {self.passed} times>"

    @property
    def spent(self) -> bool:
        """Whether it will not fire any more."""
        return self.fault.times is not None and self.fired >= self.fault.times

    def to_json(self) -> dict[str, JSON]:
        """Show it: the fault, its id, and how often it was passed and has fired."""
        return {"id": self.id, **self.fault.to_json(), "passed": self.passed, "fired": self.fired, "spent": self.spent}


class Faults:
    """The list, in order: of several that match, the first fires.

    Each point of the server asks `fire`. With the same seed and the same order of events the same ones fire: chance is
    drawn from the seed, the fault's number and how often its point was passed, so nothing else that happens at the same
    time changes it.
    """

    def __init__(self, journal: Journal, seed: str, initial: Iterable[Mapping[str, JSON]] = ()) -> None:
        """`initial`: faults that are there from the beginning, and again after `reset`."""
        self._journal = journal
        self._seed = seed
        self._initial = tuple(initial)
        self._numbers = itertools.count(1)
        self._active: dict[str, ActiveFault] = {}
        self.reset()

    def __iter__(self) -> Iterator[ActiveFault]:
        return iter(tuple(self._active.values()))

    def __len__(self) -> int:
        return len(self._active)

    def __getitem__(self, fault_id: str) -> ActiveFault:
        return self._active[fault_id]

    def add(self, described: Mapping[str, JSON] | None = None, /, **fields: Unpack[FaultKeywords]) -> ActiveFault:
        """Put a fault at the end of the list; it is described by an object, by keywords, or both.

        ::

            mock.faults.add(at="rest.sessions.request", do="status", status=503, times=3)

        Raises:
            FaultError: there cannot be such a fault; none was added.
        """
        given: Mapping[str, Any] = fields  # Any: `Fault.of` judges each
        return self.extend([{**(described or {}), **given}])[0]

    def extend(self, described: Iterable[Mapping[str, JSON]]) -> list[ActiveFault]:
        """Put several at the end of the list, or none of them.

        Raises:
            FaultError: one of them cannot be.
        """
        judged = [Fault.of(each) for each in described]
        added = [ActiveFault(next(self._numbers), fault) for fault in judged]
        self._active |= {each.id: each for each in added}
        return added

    def remove(self, fault_id: str) -> None:
        """Take one off the list; what it has begun goes on.

        Raises:
            KeyError: there is none with that id.
        """
        del self._active[fault_id]

    def clear(self) -> None:
        """Take all off the list."""
        self._active.clear()

    def reset(self) -> None:
        """Go back to the faults of the beginning, none of which has fired."""
        self.clear()
        self.extend(self._initial)

    def any_at(self, point: str) -> bool:
        """Whether any of them is at `point`, though it may never fire there."""
        return any(point in active.points for active in self._active.values())

    def fire(
        self,
        point: str,
        *,
        account: str | None = None,
        session: str | None = None,
        stream: str | None = None,
        **more: JSON,
    ) -> Fault | None:
        """Ask what is to fail at `point` now; None for nothing. What fires is in the journal.

        `more`: what else a fault may match there, such as `prompt`.
        """
        known: Mapping[str, JSON] = {"account": account, "session": session, "stream": stream, **more}
        for active in self._active.values():
            if point in active.points and _holds(active.fault.match, known) and self._is_due(active):
                active.fired += 1
                fault = active.fault
                shown = {name: value for name, value in fault.parameters.items() if value is not None}
                data: dict[str, JSON] = {"id": active.id, "do": fault.do, "parameters": shown}
                self._journal.record("fault", point, data, account=account, session=session, stream=stream)
                return fault
        return None

    def _is_due(self, active: ActiveFault) -> bool:
        fault = active.fault
        if active.spent:
            return False
        active.passed += 1
        if active.passed <= fault.after:
            return False
        return fault.probability >= 1 or _chance(f"{self._seed}/{active.id}/{active.passed}") < fault.probability


def _holds(match: Mapping[str, JSON], known: Mapping[str, JSON]) -> bool:
    return all(_agrees(name, wanted, known.get(name)) for name, wanted in match.items())


def _agrees(name: str, wanted: JSON, actual: JSON) -> bool:
    if name == "prompt":
        return isinstance(wanted, str) and isinstance(actual, str) and wanted in actual
    return wanted == actual


def _chance(text: str) -> float:
    """A number from 0 up to 1, the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
