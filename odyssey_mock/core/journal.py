"""What happened on a server, in order: requests, messages, changes of state, deadlines.

Tests assert on it, failures print it. Entries are values: JSON that nobody can change afterwards, without secrets.
"""

import asyncio
import difflib
import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

from odyssey_mock.core.strict_json import JSON

type Kind = Literal["rest", "signaling", "channel", "state", "deadline", "telemetry", "peer", "fault", "note"]
KINDS: tuple[Kind, ...] = get_args(Kind.__value__)

SECRETS = frozenset(
    {"api_key", "access_token", "session_token", "spectator_token", "authorization", "token", "signature"}
)
"""Names whose text never reaches the journal, in any letter case."""
REDACTED = "***"

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_URL_SECRET = re.compile(
    rf"(?<=://)[^/?#]*(?=@)|(?<=[?&])((?:[\w.-]*[.-])?(?:{'|'.join(sorted(SECRETS))})=)[^&#\s]*", re.IGNORECASE
)
"""A URL's userinfo, and what its query says under one of those names, or one that ends so (`X-Amz-Signature`)."""

DIGEST_LENGTH = 160
ENTRY_LIMIT = 4 << 20
"""Characters of JSON up to which an entry's data is kept; of more, only how much there was."""
NAME_LIMIT = 200
"""Characters of an entry's name: it may be whatever a client put where the type of a message belongs."""
PLACES = ("account", "session", "stream")
"""Whose and where an entry is, as far as is known."""
NOTHING: Mapping[str, JSON] = MappingProxyType({})


class JournalTimeoutError(TimeoutError):
    """What was awaited did not happen in time; the message names the entry that came nearest to it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    index: int
    """Its place since the server began, from 0; `reset` does not begin anew."""
    time: float
    """Seconds since the epoch, on the server's clock."""
    kind: Kind
    name: str
    """What it was: a route for `rest`, a message type for `signaling` and `channel`."""
    account: str | None
    session: str | None
    stream: str | None
    encoded: str
    """`data` as JSON text."""

    @property
    def data(self) -> dict[str, Any]:  # Any: JSON of any depth, for a reader who knows what to expect
        """What else is known of it; a fresh copy each time."""
        decoded: dict[str, Any] = json.loads(self.encoded)
        return decoded

    def to_json(self) -> dict[str, Any]:  # Any: as for `data`
        """Give the entry as a JSON object."""
        head = {"index": self.index, "time": self.time, "kind": self.kind, "name": self.name}
        return {**head, "account": self.account, "session": self.session, "stream": self.stream, "data": self.data}

    def __str__(self) -> str:
        places = [f" {label}={value}" for label, value in self._places().items() if value is not None]
        digest = self.encoded if len(self.encoded) <= DIGEST_LENGTH else self.encoded[:DIGEST_LENGTH] + "..."
        return f"#{self.index} {self.kind} {self.name!r}{''.join(places)} {digest}"

    def matches(self, kind: Kind | None, name: str | None, where: Mapping[str, JSON]) -> bool:
        """Say whether it is of that kind and name, and has those values in `account`, `session`, `stream` or `data`."""
        return (
            (kind is None or kind == self.kind) and (name is None or name == self.name) and not self.differences(where)
        )

    def differences(self, where: Mapping[str, JSON]) -> dict[str, tuple[JSON, JSON]]:
        """Compare with `where`: expected and actual value of each key that is otherwise."""
        if not where:
            return {}
        known = self.data | self._places()
        return {key: (value, known.get(key)) for key, value in where.items() if known.get(key) != value}

    def _places(self) -> dict[str, str | None]:
        return {place: getattr(self, place) for place in PLACES}


@dataclass(eq=False, slots=True)
class _Waiter:
    wants: Callable[[Entry], bool]
    found: "asyncio.Future[Entry]"


class Journal:
    """The entries of one server; the latest `limit` of them are kept."""

    def __init__(self, now: Callable[[], float], limit: int) -> None:
        self.began_at = now()
        """When it was begun, in seconds since the epoch on the server's clock."""
        self._now = now
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._recorded = 0
        self._waiters: list[_Waiter] = []
        self._observers: list[Callable[[Entry], object]] = []

    def observe(self, observer: Callable[[Entry], object]) -> None:
        """Call `observer` with every entry from now on, as it is written."""
        self._observers.append(observer)

    @property
    def entries(self) -> Sequence[Entry]:
        """What is kept, oldest first."""
        return tuple(self._entries)

    @property
    def next_index(self) -> int:
        """The index that the next entry will have."""
        return self._recorded

    def record(
        self,
        kind: Kind,
        name: str,
        data: Mapping[str, JSON] = NOTHING,
        /,
        *,
        account: str | None = None,
        session: str | None = None,
        stream: str | None = None,
        **more: JSON,
    ) -> Entry:
        """Write an entry down. `data` and what comes by keyword are copied together, and stripped of `SECRETS`.

        Whatever a client sent can be recorded: what JSON or UTF-8 has no form for is written in words.

        Raises:
            TypeError: `data` is not JSON.
        """
        try:
            encoded = json.dumps(_clean({**data, **more}), ensure_ascii=False, separators=(",", ":"))
        except RecursionError:
            encoded = '{"omitted":"nested too deeply"}'
        if len(encoded) > ENTRY_LIMIT:
            encoded = f'{{"omitted":"{len(encoded)} characters of JSON"}}'
        name = _encodable(name[:NAME_LIMIT])
        entry = Entry(self._recorded, self._now(), kind, name, account, session, stream, encoded)
        self._recorded += 1
        self._entries.append(entry)
        for waiter in self._waiters:
            if not waiter.found.done() and waiter.wants(entry):
                waiter.found.set_result(entry)
        for observer in self._observers:
            observer(entry)
        return entry

    def find(self, kind: Kind | None = None, name: str | None = None, *, since: int = 0, **where: JSON) -> list[Entry]:
        """Pick the entries that match, oldest first, from index `since` on; `where` as in `Entry.matches`."""
        return [entry for entry in self._entries if entry.index >= since and entry.matches(kind, name, where)]

    async def wait_for(self, kind: Kind, name: str, timeout: float = 5.0, *, since: int = 0, **where: JSON) -> Entry:
        """Wait for the first entry that matches, from index `since` on: one already written, or the next that comes.

        Args:
            kind: what kind of thing is awaited.
            name: its name.
            timeout: seconds of real time to wait.
            since: entries before this index do not count.
            **where: values it must have, as in `Entry.matches`.

        Raises:
            JournalTimeoutError: none came.
        """
        written = self.find(kind, name, since=since, **where)
        if written:
            return written[0]
        try:
            async with asyncio.timeout(timeout):
                return await self._next(lambda entry: entry.matches(kind, name, where))
        except TimeoutError:
            raise JournalTimeoutError(self._explain(kind, name, timeout, since, where)) from None

    async def reach(self, index: int) -> None:
        """Wait until there is, or was, an entry with that index; without a limit."""
        if self._recorded <= index:
            await self._next(lambda entry: entry.index >= index)

    def clear(self) -> None:
        """Forget every entry; indexes go on."""
        self._entries.clear()

    def to_jsonl(self) -> str:
        """Write every entry as one line of JSON."""
        return to_jsonl(self._entries)

    async def _next(self, wants: Callable[[Entry], bool]) -> Entry:
        waiter = _Waiter(wants, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            return await waiter.found
        finally:
            self._waiters.remove(waiter)

    def _explain(self, kind: Kind, name: str, timeout: float, since: int, where: Mapping[str, JSON]) -> str:
        wanted = "".join(f" {key}={value!r}" for key, value in where.items())
        lines = [f"no journal entry {kind} {name!r}{wanted} within {timeout:g} s"]
        near = nearest([entry for entry in self._entries if entry.index >= since], kind, name, where)
        if near is None:
            lines.append("the journal is empty" if since == 0 else f"the journal has nothing from index {since} on")
        else:
            lines.append(f"nearest: {near}")
            if near.kind != kind:
                lines.append(f"  kind: expected {kind!r}, it is {near.kind!r}")
            if near.name != name:
                lines.append(f"  name: expected {name!r}, it is {near.name!r}")
            lines += [
                f"  {key}: expected {expected!r}, it is {actual!r}"
                for key, (expected, actual) in near.differences(where).items()
            ]
            lines.append(f"latest: {self._entries[-1]}")
        return "\n".join(lines)


def to_jsonl(entries: Iterable[Entry]) -> str:
    """Write entries as lines of JSON, one each."""
    return "".join(json.dumps(entry.to_json(), ensure_ascii=False) + "\n" for entry in entries)


def nearest(entries: Iterable[Entry], kind: Kind | None, name: str, where: Mapping[str, JSON]) -> Entry | None:
    """Pick the entry most like what was wanted.

    Of the same kind, where one is wanted, then with the most similar name, then with the fewest other values; the
    latest of equals.
    """

    def likeness(entry: Entry) -> tuple[bool, float, int, int]:
        similar = difflib.SequenceMatcher(None, name, entry.name).ratio()
        return kind in (None, entry.kind), similar, -len(entry.differences(where)), entry.index

    return max(entries, key=likeness, default=None)


def _clean(value: JSON) -> JSON:
    match value:
        case Mapping():
            return {
                _encodable(key): _redacted(each) if key.lower() in SECRETS else _clean(each)
                for key, each in value.items()
            }
        case str():
            return _encodable(_URL_SECRET.sub(rf"\1{REDACTED}", value) if _URL.match(value) else value)
        case Sequence():
            return [_clean(each) for each in value]
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


def _redacted(secret: JSON) -> JSON:
    match secret:
        case str():
            return REDACTED
        case list() | tuple():
            return [_redacted(each) for each in secret]
        case _:
            return _clean(secret)


def _encodable(text: str) -> str:
    """Write lone surrogates, which JSON escapes can smuggle in, as such an escape: UTF-8 has no form for them."""
    return text.encode("utf-8", "backslashreplace").decode()
