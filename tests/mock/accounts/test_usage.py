"""Tests of counting hours of video per account and calendar month."""

import datetime
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.accounts.errors import UsageLimitError
from odyssey_mock.accounts.usage import Usage
from odyssey_mock.core.clock import MANUAL_START
from odyssey_mock.core.timestamps import month_begin, month_end, next_month
from odyssey_mock.http.errors import answer_to
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.sim.world import SERVER, World
from tests.support.jobs import a_backend
from tests.support.recordings import remembered_by
from tests.support.simulated_worlds import play_nothing, wait

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
                    backend.streams.save(record)
        now += span
        for account in "ab":
            assert backend.usage.hours(account) == pytest.approx(model(known, account, now))
            assert backend.usage.all_hours().get(account, 0.0) == pytest.approx(backend.usage.hours(account))


@given(st.floats(0, 253_402_300_799.0))
def test_month_begin_and_next_month_are_first_days(now: float) -> None:
    begin = datetime.datetime.fromtimestamp(month_begin(now), datetime.UTC)
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    assert (begin.year, begin.month) == (moment.year, moment.month)
    assert begin == begin.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    year, month, day = map(int, next_month(now).split("-"))
    assert (year * 12 + month, day) == (moment.year * 12 + moment.month + 1, 1)


@given(st.floats(0, 253_402_300_799.0))
def test_month_end_begins_the_next_month(now: float) -> None:
    assert month_begin(now) <= now < month_end(now)
    assert month_begin(month_end(now) - 1) == month_begin(now)


def test_next_month_can_be_after_year_9999() -> None:
    assert next_month(253_402_300_799.0) == "10000-01-01"
    assert month_end(253_402_300_799.0) == 253_402_300_800.0


@pytest.mark.parametrize("seconds", [1, 2 * DAY, -3600, -2 * DAY])
def test_clock_jump_changes_no_used_hours(seconds: float) -> None:
    async def scenario(world: World) -> None:
        world.wall_clock(SERVER).offset += 10 * DAY  # in the middle of a month
        usage, account = world.mock.backend.usage, world.mock.backend.accounts.authenticate(world.mock.api_key).id
        async with world.client() as client:
            await client.connect()
            stream_id = await client.start_stream("A lighthouse")
            await wait(20)
            world.wall_clock(SERVER).offset += seconds
            assert usage.hours(account) * HOUR == pytest.approx(20, abs=1)
            await wait(10)
            await client.end_stream()
        record = world.mock.streams[stream_id]
        assert record.ended_at is not None
        assert record.ended_at - record.started_at == usage.hours(account) * HOUR == pytest.approx(30, abs=1)

    play_nothing(scenario)


async def test_advanced_seconds_count_as_used_hours() -> None:
    async with MockOdyssey(clock="real") as mock, Odyssey(mock.api_key, api_url=mock.url) as client:
        await client.connect()
        stream_id = await client.start_stream("A lighthouse")
        await mock.advance(60)
        await client.end_stream()
        account = mock.backend.accounts.authenticate(mock.api_key).id
        assert mock.backend.usage.hours(account) * HOUR == pytest.approx(60, abs=5)
        record = mock.streams[stream_id]
        assert record.ended_at is not None
        assert record.ended_at - record.started_at == pytest.approx(60, abs=5)


def test_used_hours_return_with_their_month() -> None:
    async def scenario(world: World) -> None:
        world.wall_clock(SERVER).offset += 10 * DAY
        usage = world.mock.backend.usage
        usage.simulated("acct", HOUR)
        for days, hours in ((-20, 0), (20, 1), (40, 0), (-40, 1)):
            world.wall_clock(SERVER).offset += days * DAY
            assert usage.hours("acct") == hours

    play_nothing(scenario)


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


async def test_ended_streams_are_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, clock = a_backend()
    on_air, counted = Usage._on_air, list[str]()

    def count(self: Usage, record: StreamRecord, month: float) -> float:
        counted.append(record.id)
        return on_air(self, record, month)

    monkeypatch.setattr(Usage, "_on_air", count)
    started = clock.time()
    await clock.advance(HOUR)
    for _ in range(50):
        remembered_by(backend, "acct", session_id="s", started_at=started)
    running = remembered_by(backend, "acct", session_id="s", started_at=started, began=started, ended_at=None)
    assert backend.usage.hours("acct") == 51
    counted.clear()

    assert backend.usage.hours("acct") == 51
    assert backend.usage.all_hours() == {"acct": 51}
    assert counted == [running, running]
