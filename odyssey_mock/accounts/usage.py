"""Hours of video that each account has used this month, and the monthly limit (`protocol.md` section 7)."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.accounts.errors import monthly_limit_error
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.state_store import NO_STATE, RecordKind, StateStore
from odyssey_mock.core.timestamps import month_begin, month_end
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class _SavedUsage:
    """The saved record of the seconds that an account has used in one month, without those of the saved streams."""

    account_id: str
    month: float
    """The start of the month in seconds since the epoch."""
    seconds: float


_USAGE = RecordKind("usage", _SavedUsage)


class Usage:
    """The hours used by each account in the current calendar month (UTC) of the server's clock.

    The hours of a live stream are the time that it has run in this month, also while it is still running. The hours of
    a simulated stream are the length of its video; they are added when its job ends, if the stream completed. A jump
    of the server's clock changes the current month, but not the length of a stream.
    """

    def __init__(self, clock: Clock, accounts: Accounts, streams: StreamStore, state: StateStore = NO_STATE) -> None:
        self._clock = clock
        self._state = state
        self._accounts = accounts
        self._streams = streams
        self._counted: defaultdict[tuple[str, float], float] = defaultdict(float)
        """Seconds of simulated videos, and of live streams whose records were dropped.

        The keys are the account's id and the start of the month in seconds since the epoch.
        """
        self._ended: defaultdict[str, float] = defaultdict(float)
        """Seconds in the month `_ended_in` of the live streams that have ended and whose records the store has."""
        self._ended_in: float | None = None
        for saved in state.load(_USAGE).values():
            self._counted[saved.account_id, saved.month] = saved.seconds
        streams.on_ended(self._stream_ended)
        streams.on_forgotten(self._forgotten)

    def hours(self, account_id: str) -> float:
        """Return the hours that the account has used this month."""
        month = self._month()
        running = (each for each in self._streams.running.values() if each.account_id == account_id)
        finished = self._counted.get((account_id, month), 0.0) + self._ended_seconds(month).get(account_id, 0.0)
        return (finished + sum(self._on_air(each, month) for each in running)) / HOUR

    def all_hours(self) -> Mapping[str, float]:
        """Return the hours of all accounts that have used some this month, by account id."""
        month = self._month()
        seconds = defaultdict[str, float](float, self._ended_seconds(month))
        for (account, counted), used in self._counted.items():
            if counted == month:
                seconds[account] += used
        for record in self._streams.running.values():
            seconds[record.account_id] += self._on_air(record, month)
        return {account: used / HOUR for account, used in seconds.items() if used}

    def simulated(self, account_id: str, seconds: float) -> None:
        """Add the length of a simulated video to the account's hours."""
        self._count(account_id, self._month(), seconds)

    def check(self, account_id: str) -> None:
        """Check that the account has hours left.

        Raises:
            UsageLimitError: the account has used up its hours (`MONTHLY_LIMIT_REACHED`).
        """
        limit = self._accounts.limits_of(account_id).monthly_hours
        if limit is not None and (used := self.hours(account_id)) >= limit:
            raise monthly_limit_error(self._clock.time(), used=used, limit=limit).because(
                f"the account has used {used:.4g} of {limit:g} hours of this month (setting `monthly_hours`)"
            )

    def clear(self) -> None:
        """Reset the hours of all accounts. Live streams that are still in the stream store continue to count."""
        for account_id, month in self._counted:
            self._state.delete(_USAGE, _key(account_id, month))
        self._counted.clear()
        self._ended_in = None  # the sums have rounding errors of the streams that were forgotten

    def _count(self, account_id: str, month: float, seconds: float) -> None:
        if seconds:
            self._counted[account_id, month] += seconds
            counted = partial(self._saved, account_id, month)
            self._state.save(_USAGE, _key(account_id, month), counted)

    def _saved(self, account_id: str, month: float) -> _SavedUsage:
        return _SavedUsage(account_id, month, self._counted[account_id, month])

    def _ended_seconds(self, month: float) -> defaultdict[str, float]:
        """Return `_ended` for a month. It is computed again when the month changes."""
        if month != self._ended_in:
            self._ended_in = month
            self._ended.clear()
            for record in self._streams.records.values():
                if record.id not in self._streams.running:
                    self._ended[record.account_id] += self._on_air(record, month)
        return self._ended

    def _stream_ended(self, record: StreamRecord) -> None:
        if self._ended_in is not None:
            self._ended[record.account_id] += self._on_air(record, self._ended_in)

    def _forgotten(self, stream_id: str) -> None:
        record, month = self._streams.records[stream_id], self._month()
        if stream_id not in self._streams.running:
            self._ended_seconds(month)[record.account_id] -= self._on_air(record, month)
        self._count(record.account_id, month, self._on_air(record, month))

    def _on_air(self, record: StreamRecord, month: float) -> float:
        """Return how many seconds a live stream has run in a month; 0 for a simulated stream.

        `month`: the start of the month, in seconds since the epoch.
        """
        if record.session_id is None:
            return 0.0
        end = record.time_at(self._clock.monotonic()) if record.ended_at is None else record.ended_at
        return max(0.0, min(end, month_end(month)) - max(record.started_at, month))

    def _month(self) -> float:
        return month_begin(self._clock.time())


def _key(account_id: str, month: float) -> str:
    return f"{account_id} {month:.0f}"
