"""How much video each account has had made this month, and whether it may have more (`protocol.md` section 7)."""

from collections import defaultdict

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.accounts.errors import monthly_limit_error
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.timestamps import month_begin
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore

HOUR = 3600.0


class Usage:
    """The hours of every account in the calendar month (UTC) of the server's clock.

    A live stream counts as long as it is on, up to now; of one that goes on over midnight of the last day, each month
    has its part. A simulated one counts with the length of its video once its job has ended; not if it failed.
    """

    def __init__(self, clock: Clock, accounts: Accounts, streams: StreamStore) -> None:
        self._clock = clock
        self._accounts = accounts
        self._streams = streams
        self._month = 0.0
        """When the month began that `_counted` is of, in seconds since the epoch."""
        self._counted: defaultdict[str, float] = defaultdict(float)
        """Seconds by account, of streams that are not looked at any more."""
        streams.on_forgotten(self._forgotten)

    def hours(self, account_id: str) -> float:
        """How many hours the account has used this month."""
        self._turn_over()
        live = sum(self._on_air(each) for each in self._streams.records.values() if each.account_id == account_id)
        return (self._counted[account_id] + live) / HOUR

    def simulated(self, account_id: str, seconds: float) -> None:
        """Count the video of a simulation."""
        self._turn_over()
        self._counted[account_id] += seconds

    def check(self, account_id: str) -> None:
        """Let an account have more video, unless it has used its hours up.

        Raises:
            UsageLimitError: `MONTHLY_LIMIT_REACHED`.
        """
        limit = self._accounts.limits_of(account_id).monthly_hours
        if limit is not None and (used := self.hours(account_id)) >= limit:
            raise monthly_limit_error(self._clock.time(), used=used, limit=limit)

    def clear(self) -> None:
        """Forget what was counted of streams that are forgotten, and of simulations."""
        self._counted.clear()

    def _forgotten(self, stream_id: str) -> None:
        record = self._streams.records[stream_id]
        self._turn_over()
        self._counted[record.account_id] += self._on_air(record)

    def _on_air(self, record: StreamRecord) -> float:
        """Seconds of this month that a live stream has been on."""
        if record.session_id is None:
            return 0.0
        end = self._clock.time() if record.ended_at is None else record.ended_at
        return max(0.0, end - max(record.started_at, self._month))

    def _turn_over(self) -> None:
        """Begin to count anew where a month has."""
        month = month_begin(self._clock.time())
        if month != self._month:
            self._month = month
            self._counted.clear()
