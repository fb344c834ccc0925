"""Tests of counting hours of video per account and calendar month."""

import datetime
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.accounts.errors import UsageLimitError
from odyssey_mock.core.clock import MANUAL_START
from odyssey_mock.core.timestamps import month_begin, next_month
from odyssey_mock.http.errors import answer_to
from tests.support.jobs import a_backend
from tests.support.recordings import remembered_by

HOUR = 3600
DAY = 24 * HOUR


class Stream(NamedTuple):
    """A live stream; `start` and `end` are in hours since the clock started."""

    account: str
    start: int
    end: int


streams = st.builds(
    lambda account, start, length: Stream(account, start, start + length),
    st.sampled_from("ab"),
    st.integers(0, 90 * 24),
    st.integers(0, 90 * 24),
)


def model(known: Sequence[Stream], account: str, now: int) -> int:
    """Return the account's hours of video before hour `now`, in the calendar month that contains it.

    A simple reference: it looks at each hour separately. Hours are numbered from the start of the clock.
    """

    def month(hour: int) -> int:
        return datetime.datetime.fromtimestamp(MANUAL_START + hour * HOUR, datetime.UTC).month

    return sum(
        stream.account == account and stream.start <= hour < stream.end and month(hour) == month(now)
        for stream in known
        for hour in range(now)
    )


@given(st.lists(streams, max_size=5), st.lists(st.integers(0, 40 * 24), min_size=1, max_size=4), st.integers(1, 3))
async def test_used_hours_match_a_simple_model(known: list[Stream], spans: list[int], streams_limit: int) -> None:
    backend, clock = a_backend(streams_limit=streams_limit)
    began, ended = dict[Stream, str](), set[str]()
    known = list(dict.fromkeys(known))
    now = 0
    for span in spans:
        # Advance hour by hour: streams must begin and end in order of time, because `streams_limit` drops the oldest.
        for hour in range(now, now + span + 1):
            await clock.advance(MANUAL_START + hour * HOUR - clock.time())
            for stream in known:
                if stream.start == hour and stream not in began:
                    began[stream] = remembered_by(backend, stream.account, session_id="s", ended_at=None)
                record = backend.streams.records.get(began.get(stream, ""))
                if stream.end <= hour and record is not None and record.id not in ended:
                    ended.add(record.id)
                    record.ended_at = clock.time()
        now += span
        for account in "ab":
            assert backend.usage.hours(account) == pytest.approx(model(known, account, now))


@given(st.floats(0, 253_402_300_799.0))
def test_month_begin_and_next_month_are_first_days(now: float) -> None:
    begin = datetime.datetime.fromtimestamp(month_begin(now), datetime.UTC)
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    assert (begin.year, begin.month) == (moment.year, moment.month)
    assert begin == begin.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    year, month, day = map(int, next_month(now).split("-"))
    assert (year * 12 + month, day) == (moment.year * 12 + moment.month + 1, 1)


def test_next_month_can_be_after_year_9999() -> None:
    assert next_month(253_402_300_799.0) == "10000-01-01"


@pytest.mark.parametrize(("hours", "let_in"), [(1.99, True), (2, False), (2.5, False)])
def test_account_is_accepted_while_time_is_left(hours: float, let_in: bool) -> None:
    backend, _ = a_backend(monthly_hours=2)
    backend.usage.simulated("acct", hours * HOUR)
    if let_in:
        backend.usage.check("acct")
    else:
        with pytest.raises(UsageLimitError, match="MONTHLY_LIMIT_REACHED") as refusal:
            backend.usage.check("acct")
        assert answer_to(refusal.value).status == 429


async def test_simulated_hours_count_in_the_current_month() -> None:
    backend, clock = a_backend()
    await clock.advance(30 * DAY)
    backend.usage.simulated("acct", HOUR)
    await clock.advance(DAY - 1)
    assert backend.usage.hours("acct") == 1
    await clock.advance(1)
    assert backend.usage.hours("acct") == 0
    backend.usage.simulated("acct", 2 * HOUR)
    assert backend.usage.hours("acct") == 2
