"""The journal of a server: an ordered record of requests, messages, state changes and deadlines.

Tests check the entries of the journal, and the report of a failed simulated test shows them. Entries are immutable.
Their data is JSON, in which secrets are masked (`redaction.py`). The data of a request is encoded and masked when it is
first read (`Journal.record_later`), because most entries are never read.
"""

import asyncio
import difflib
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Literal, get_args, override

from odyssey_mock.core.bounded_queue import BoundedQueue
from odyssey_mock.core.redaction import (
    LONGEST_SECRET,
    Secrets,
    cleaned,
    encodable,
    get_logger,
    masked_json,
    without_url_secrets,
)
from odyssey_mock.core.strict_json import JSON

logger = get_logger("odyssey_mock")

type Kind = Literal["rest", "signaling", "channel", "state", "deadline", "telemetry", "peer", "fault", "note"]
KINDS: tuple[Kind, ...] = get_args(Kind.__value__)

DIGEST_LENGTH = 160
ENTRY_LIMIT = 1 << 20
"""Maximum length of an entry's JSON data in characters, which is the size of a large simulation script.

In longer data, each value above `VALUE_KEPT` characters is replaced with a text that states its length.
"""
ANONYMOUS_ENTRY_LIMIT = 64 << 10
"""As `ENTRY_LIMIT`, for an entry without an account, which a request without an API key can cause."""
VALUE_KEPT = 1000
"""Maximum length of a value in characters of JSON that stays in an entry whose data is too long."""
DEFAULT_BYTES = 64 << 20
"""Default of the setting `journal_bytes`: more than 10,000 entries of the usual size, which is 300 to 3,000 bytes."""
_ENTRY_BYTES = 300
"""Approximate memory of an entry in bytes, apart from its data."""
LATER_LIMIT = 4 << 10
"""Maximum size of data that is encoded later, in bytes. Larger data could need more memory than its JSON."""
_LATER_BYTES = 600
"""Approximate memory of the objects that keep such data, in bytes."""
ENCODED_AT_ONCE = 4
"""Number of entries whose data is encoded with each further one, after the mock has forgotten secrets.

It forgets 512 secrets at a time. All entries together could take longer than the time between two video frames.
"""
NAME_LIMIT = 200
"""Maximum length of an entry's name in characters. Clients choose some names, such as the type of a message."""
_TWO_ESCAPES = r"\\\\"
"""Part of JSON with a text that has two backslashes, as in JSON within JSON."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
"""Encodes the data of entries. `json.dumps` would create an encoder for each."""

PLACES = ("account", "session", "stream")
"""The fields of an entry with the ids of the account, session and stream that it is about; each is None if unknown."""
SHOWN_SESSION = 8
"""Number of characters of a session id in a line of `to_text`."""
SHOWN_WHAT = 44
"""Width of the column with name and result in a line of `to_text`; longer texts are not cut."""
NOTHING: Mapping[str, JSON] = MappingProxyType({})


type Described = Callable[[], Mapping[str, JSON]]


class JournalTimeoutError(TimeoutError):
    """No matching entry was written before the timeout. The message shows the most similar entry."""


class LaterData:
    """The data of an entry, which is encoded when it is first read. It may be read in any thread.

    It equals every other data and text with the same JSON.

    Attributes:
        size: approximate memory in bytes.
    """

    __slots__ = ("_encode", "_encoded", "size")

    def __init__(self, encode: Callable[[], str], size: int) -> None:
        """Prepare the data that `encode` returns as JSON text, with secrets masked."""
        self._encode: Callable[[], str] | None = encode
        self._encoded = ""
        self.size = size

    @property
    def encoded(self) -> str:
        """The data as JSON text, with secrets masked."""
        encode = self._encode
        if encode is not None:
            self._encoded = encode()
            # Last, because another thread may read at the same time. It frees secrets that the mock has forgotten.
            self._encode = None
        return self._encoded

    @override
    def __eq__(self, other: object) -> bool:
        return self.encoded == (other.encoded if isinstance(other, LaterData) else other)

    @override
    def __hash__(self) -> int:
        return hash(self.encoded)

    @override
    def __repr__(self) -> str:
        return repr(self.encoded)

    @override
    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.encoded,)  # in another process, the data is text


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the journal."""

    index: int
    """Number of the entry, counted from 0 since the server started. `reset` does not restart the count."""
    time: float
    """Seconds since the epoch, on the server's clock."""
    kind: Kind
    name: str
    """The name, whose meaning depends on `kind`.

    The name is a route (`rest`), a message type (`signaling`, `channel`), a fault point (`fault`) or a telemetry event
    (`telemetry`). For `state`, it names the object whose state changed, such as `session`. Entries of other kinds have
    a description.
    """
    account: str | None
    session: str | None
    stream: str | None
    content: str | LaterData
    """`data` as JSON text, or as an object that makes it."""

    @property
    def encoded(self) -> str:
        """`data` as JSON text."""
        return self.content if isinstance(self.content, str) else self.content.encoded

    @property
    def memory(self) -> int:
        """Approximate memory of the entry in bytes. Reading it does not encode the data."""
        content = self.content
        return _ENTRY_BYTES + (sys.getsizeof(content) if isinstance(content, str) else content.size)

    @property
    def why(self) -> str:
        """The cause of an error, a refusal, a fault or an end, in one sentence: `data["why"]`; empty if unknown."""
        why = self.data.get("why") if '"why":' in self.encoded else None
        return why if isinstance(why, str) else ""

    @property
    def data(self) -> dict[str, Any]:  # Any: JSON of any depth; the caller knows its shape
        """The data of the entry; each access returns a new copy."""
        decoded: dict[str, Any] = json.loads(self.encoded)
        return decoded

    def to_json(self) -> dict[str, Any]:  # Any: as for `data`
        """Return the entry as a JSON object."""
        head = {"index": self.index, "time": self.time, "kind": self.kind, "name": self.name}
        return {**head, "account": self.account, "session": self.session, "stream": self.stream, "data": self.data}

    def __str__(self) -> str:
        places = [f" {label}={value}" for label, value in self._places().items() if value is not None]
        digest = self.encoded if len(self.encoded) <= DIGEST_LENGTH else self.encoded[:DIGEST_LENGTH] + "..."
        return f"#{self.index} {self.kind} {self.name!r}{''.join(places)} {digest}"

    def matches(self, kind: Kind | None, name: str | None, where: Mapping[str, JSON]) -> bool:
        """Return whether the entry has this kind and name, and every value in `where`.

        If kind or name is None, any kind or name matches. The keys of `where` are names of fields (`PLACES`) or keys of
        the data.
        """
        return (
            (kind is None or kind == self.kind) and (name is None or name == self.name) and not self.differences(where)
        )

    def differences(self, where: Mapping[str, JSON]) -> dict[str, tuple[JSON, JSON]]:
        """Return the expected and the actual value for each key of `where` whose value differs in this entry."""
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
    """The journal of one server, which keeps the latest `limit` entries, of about `max_bytes` of memory at most.

    `entries`, `since`, `find` and `to_jsonl` may be called in any thread; other methods may only be called in the
    thread of the server.
    """

    def __init__(self, now: Callable[[], float], limit: int, max_bytes: int = DEFAULT_BYTES) -> None:
        self.began_at = now()
        """When the journal was created, in seconds since the epoch on the server's clock."""
        self.secrets = Secrets()
        """The secrets of the server, which are masked in all entries."""
        self._now = now
        self._entries: BoundedQueue[Entry] = BoundedQueue(limit, max_bytes, attrgetter("memory"), "the journal")
        self._recorded = 0
        self._latest_secrets: Secrets | None = None
        """The secrets of the latest entry of `record_later`."""
        self._encode_until = self._encoded_until = 0
        """The index before which entries keep forgotten secrets, and that before which they are encoded."""
        self._waiters: list[_Waiter] = []
        self._observers: list[Callable[[Entry], object]] = []
        self._clear_observers: list[Callable[[], object]] = []
        self.clears = 0
        """How often `clear` was called."""
        self.cleared_at = 0
        """The index of the first entry after the latest call of `clear`; 0 if there was none."""

    def observe(self, observer: Callable[[Entry], object]) -> None:
        """Call `observer` with every entry written from now on.

        An observer that raises an exception is not called again. The exception is passed to the exception handler of
        the running event loop, or logged if there is none. It never reaches the code that writes an entry, such as the
        handling of a request.
        """
        self._observers.append(observer)

    def observe_clear(self, observer: Callable[[], object]) -> None:
        """Call `observer` after each call of `clear` from now on."""
        self._clear_observers.append(observer)

    def drop_observers(self) -> None:
        """Call none of the observers any longer."""
        self._observers.clear()
        self._clear_observers.clear()

    @property
    def entries(self) -> Sequence[Entry]:
        """The entries that the journal still has, oldest first."""
        return self._entries.snapshot

    @property
    def dropped(self) -> int:
        """Number of old entries dropped since the server started or was reset (`journal_limit`, `journal_bytes`)."""
        return self._entries.dropped

    @property
    def next_index(self) -> int:
        """The index that the next entry of the journal will have."""
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
        """Write an entry. Its data is a copy of `data` and the keywords, with secrets masked.

        All data that clients send can be recorded: infinity, NaN and lone surrogates are replaced with text.

        Raises:
            TypeError: `data` contains a value of a type that JSON does not have.
        """
        encoded = _masked(lambda: {**data, **more}, self.secrets, _limit_for(account))
        name = masked_name(name, self.secrets)
        return self._write(Entry(self._recorded, self._now(), kind, name, account, session, stream, encoded))

    def record_text(self, kind: Kind, name: str, values: Mapping[str, str], *, account: str | None = None) -> Entry:
        """Write an entry whose name is the result of `masked_name`, and whose values are results of `masked_text`.

        In data that is too long, long values are replaced as by `record`.
        """
        encoded = _object_within(_limit_for(account), values)
        return self._write(Entry(self._recorded, self._now(), kind, name, account, None, None, encoded))

    def record_later(
        self,
        kind: Kind,
        name: str,
        describe: Described,
        size: int,
        *,
        account: str | None = None,
        session: str | None = None,
        stream: str | None = None,
    ) -> Entry:
        """Write an entry whose data is that which `describe` returns. It is encoded and masked when it is first read.

        Secrets that the mock learns in the meantime are masked too.

        Args:
            kind: the kind of the entry.
            name: the name of the entry, which contains nothing that a client has chosen.
            describe: returns the data. It is called once, in any thread, or not at all if the entry is never read.
            size: approximate number of bytes that `describe` keeps in memory, at most `LATER_LIMIT`.
            account: the account that the entry is about; None if unknown.
            session: the same for the session.
            stream: the same for the stream.
        """
        secrets = self.secrets.kept
        content = LaterData(partial(_masked, describe, secrets, _limit_for(account)), size + _LATER_BYTES)
        entry = self._write(Entry(self._recorded, self._now(), kind, name, account, session, stream, content))
        if secrets is not self._latest_secrets:
            if self._latest_secrets is not None:
                self._encode_until = entry.index
            self._latest_secrets = secrets
        if self._encoded_until < self._encode_until:
            self._encode_some()
        return entry

    def _encode_some(self) -> None:
        """Encode the data of a few entries that keep secrets in memory which the mock has forgotten."""
        first = max(self._encoded_until, self.oldest_index)
        self._encoded_until = min(first + ENCODED_AT_ONCE, max(first, self._encode_until))
        for index in range(first, self._encoded_until):
            _ = self._entries[index - self.oldest_index].encoded

    def _write(self, entry: Entry) -> Entry:
        self._recorded += 1
        self._entries.append(entry)
        for waiter in self._waiters:
            if not waiter.found.done() and waiter.wants(entry):
                waiter.found.set_result(entry)
        for observer in tuple(self._observers):
            try:
                observer(entry)
            except Exception as error:
                self._observers.remove(observer)
                _report(f"an observer of the journal failed at entry {entry.index}; it is not called again", error)
        return entry

    def find(self, kind: Kind | None = None, name: str | None = None, *, since: int = 0, **where: JSON) -> list[Entry]:
        """Return the matching entries from index `since` on, oldest first; see `Entry.matches`."""
        return [entry for entry in self.since(since) if entry.matches(kind, name, where)]

    async def wait_for(self, kind: Kind, name: str, timeout: float = 5.0, *, since: int = 0, **where: JSON) -> Entry:
        """Return the first matching entry from index `since` on, waiting for it if none exists yet.

        Args:
            kind: the kind of the entry.
            name: the name of the entry.
            timeout: the timeout in seconds of real time.
            since: entries before this index are ignored.
            **where: values that the entry must have, as in `Entry.matches`.

        Raises:
            JournalTimeoutError: no matching entry was written within `timeout`.
        """
        __tracebackhide__ = True
        written = self.find(kind, name, since=since, **where)
        if written:
            return written[0]
        try:
            async with asyncio.timeout(timeout):
                return await self._next(lambda entry: entry.matches(kind, name, where))
        except TimeoutError:
            raise JournalTimeoutError(self._explain(kind, name, timeout, since, where)) from None

    async def reach(self, index: int) -> None:
        """Wait, without a timeout, until the entry with this index has been written."""
        if self._recorded <= index:
            await self._next(lambda entry: entry.index >= index)

    def since(self, index: int) -> Sequence[Entry]:
        """Return the entries from `index` on that the journal still has, oldest first, without a look at the others."""
        if index <= self.cleared_at:
            return self.entries
        try:
            latest = list(self.newest_first(index))
        except RuntimeError:  # the thread of the server has written an entry in the meantime
            return [entry for entry in self.entries if entry.index >= index]
        return latest[::-1]

    def newest_first(self, since: int = 0) -> Iterator[Entry]:
        """Iterate over the entries from index `since` on, from the newest to the oldest, without a copy of them.

        The journal must not be written while the iterator is used.
        """
        return itertools.takewhile(lambda entry: entry.index >= since, reversed(self._entries))

    def page(self, index: int, limit: int) -> Sequence[Entry]:
        """Return at most `limit` entries from `index` on, oldest first. The journal must still have entry `index`."""
        first = index - self.oldest_index
        return [self._entries[at] for at in range(first, min(first + limit, len(self._entries)))]

    @property
    def oldest_index(self) -> int:
        """The index of the oldest entry; without entries, that of the next one."""
        return self._entries.oldest.index if self._entries else self._recorded

    def restore(self, entries: Iterable[Entry], *, next_index: int, began_at: float) -> None:
        """Take over the entries of an earlier journal: `next_index` and `began_at` are its values of these."""
        for entry in entries:
            self._entries.append(entry)
        self._recorded = next_index
        self.began_at = began_at

    def to_text(self) -> str:
        """Return all entries as readable text, one line for each entry."""
        return to_text(self.entries, self.began_at)

    def clear(self) -> None:
        """Remove all entries. Indexes of later entries continue the count."""
        self._entries.clear()
        self.clears += 1
        self.cleared_at = self._recorded
        for observer in self._clear_observers:
            observer()

    def to_jsonl(self) -> str:
        """Return all entries as JSON Lines."""
        return to_jsonl(self.entries)

    async def _next(self, wants: Callable[[Entry], bool]) -> Entry:
        waiter = _Waiter(wants, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            return await waiter.found
        finally:
            self._waiters.remove(waiter)

    def _explain(self, kind: Kind, name: str, timeout: float, since: int, where: Mapping[str, JSON]) -> str:
        wanted = "".join(f" {key}={value!r}" for key, value in where.items())
        lines = [f"expected a journal entry {kind} {name!r}{wanted}, got none within {timeout:g} s"]
        near = nearest([entry for entry in self._entries if entry.index >= since], kind, name, where)
        if near is None:
            lines.append("the journal is empty" if since == 0 else f"the journal has no entry from index {since} on")
        else:
            lines.append(f"most similar: {near}")
            if near.kind != kind:
                lines.append(f"  kind: expected {kind!r}, got {near.kind!r}")
            if near.name != name:
                lines.append(f"  name: expected {name!r}, got {near.name!r}")
            lines += [
                f"  {key}: expected {expected!r}, got {actual!r}"
                for key, (expected, actual) in near.differences(where).items()
            ]
            lines.append(f"latest: {self._entries.latest}")
        if self.dropped:
            lines.append(f"{self.dropped} older entries were dropped (journal_limit, journal_bytes)")
        return "\n".join(lines)


def to_jsonl(entries: Iterable[Entry]) -> str:
    """Return entries as JSON Lines: one JSON object per line."""
    return "".join(json.dumps(entry.to_json(), ensure_ascii=False) + "\n" for entry in entries)


def to_text(entries: Iterable[Entry], began_at: float) -> str:
    """Return entries as lines for people: time since `began_at`, session, kind, name and result, and `Entry.why`."""
    return "".join(line_of(entry, began_at) + "\n" for entry in entries)


def line_of(entry: Entry, began_at: float) -> str:
    """Return an entry as one line of `to_text`."""
    data, what = entry.data, entry.name
    match entry.kind:
        case "rest":
            what += f" {data.get('status') or '(no response)'}"
        case "signaling" | "channel":
            what += f" from {data.get('from', '?')}"
        case "state":
            what += f" {data['from']} -> {data.get('to')}" if "from" in data else f" {data.get('to')}"
        case "fault":
            what += f" {data.get('do', '')}"
        case _:
            pass
    session = (entry.session or "-")[:SHOWN_SESSION]
    line = (
        f"{entry.time - began_at:+10.2f} s  {session:{SHOWN_SESSION}}  {entry.kind:9}  {what:{SHOWN_WHAT}}  {entry.why}"
    )
    # Clients choose some of the text, so that it may contain line breaks and terminal codes.
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line).rstrip()


def nearest(entries: Iterable[Entry], kind: Kind | None, name: str, where: Mapping[str, JSON]) -> Entry | None:
    """Return the entry most similar to the expected one; None if there are no entries.

    An entry of the expected kind is more similar than any other. Among entries of equal kind, the more similar name
    decides, then the smaller number of differing values, then the later time.
    """

    def likeness(entry: Entry) -> tuple[bool, float, int, int]:
        similar = difflib.SequenceMatcher(None, name, entry.name).ratio()
        return kind in (None, entry.kind), similar, -len(entry.differences(where)), entry.index

    return max(entries, key=likeness, default=None)


def _limit_for(account: str | None) -> int:
    return ANONYMOUS_ENTRY_LIMIT if account is None else ENTRY_LIMIT


def _masked(describe: Described, secrets: Secrets, limit: int) -> str:
    """Return the data of an entry as JSON text, without secrets, in `limit` characters at most."""
    clean: JSON = None
    try:
        clean = cleaned(describe())
        encoded = _encoded(clean)
    except RecursionError:
        encoded = '{"omitted":"nested too deeply"}'
    if len(encoded) > limit:
        encoded = _shortened(clean, limit)
    return _without(encoded, secrets)


def masked_text(value: JSON, secrets: Secrets) -> str:
    """Return JSON as text with secrets masked: by form and by name (`cleaned`), and those of a mock by value.

    With `Secrets.kept`, it may be called in any thread.

    Raises:
        TypeError: the value is no JSON.
        RecursionError: the value is nested too deeply.
    """
    return _without(_encoded(cleaned(value)), secrets)


def masked_name(name: str, secrets: Secrets) -> str:
    """Return a name as entries have it: with secrets masked, and at most `NAME_LIMIT` characters of it.

    With `Secrets.kept`, it may be called in any thread.
    """
    # Mask before the name is cut: a part of a secret might not be recognized.
    return encodable(secrets.masked(without_url_secrets(name[: NAME_LIMIT + LONGEST_SECRET]))[:NAME_LIMIT])


def _without(encoded: str, secrets: Secrets) -> str:
    # One search of the whole text takes a fraction of the time of one for each string, and most texts have no secret.
    # It would not find a secret with two levels of escapes, because those of this JSON are a third.
    is_searched = _TWO_ESCAPES in encoded or secrets.are_in(encoded)
    return _encoded(masked_json(json.loads(encoded), secrets)) if is_searched else encoded


def _encoded(value: JSON) -> str:
    return _ENCODER.encode(value)


def _shortened(data: JSON, limit: int) -> str:
    """Encode the data of an entry without its long values, in `limit` characters at most."""
    assert isinstance(data, Mapping)
    return _object_within(limit, {key: _encoded(value) for key, value in data.items()})


def _object_within(limit: int, values: Mapping[str, str]) -> str:
    """Return a JSON object of values that are encoded already, in `limit` characters at most."""
    encoded = _object(values)
    if len(encoded) > limit:
        encoded = _object({key: _short(text) for key, text in values.items()})
    return encoded if len(encoded) <= limit else _encoded(_omitted(encoded))


def _object(values: Mapping[str, str]) -> str:
    return "{" + ",".join([f"{_encoded(key)}:{text}" for key, text in values.items()]) + "}"


def _short(text: str) -> str:
    """Return an encoded value, or a note in its place if it is too long to stay in long data."""
    return text if len(text) <= VALUE_KEPT else _encoded(_omitted(text))


def _omitted(text: str) -> Mapping[str, JSON]:
    return {"omitted": f"{len(text)} characters of JSON"}


def _report(message: str, error: Exception) -> None:
    """Report an exception without raising it."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        logger.error(message, exc_info=error)
    else:
        loop.call_exception_handler({"message": message, "exception": error})
