"""Tests of the progress output of a campaign: a bar on a terminal, and plain lines otherwise."""

from io import StringIO
from itertools import count

import pytest

from odyssey_mock.explore.campaign import Campaign, Tally
from odyssey_mock.explore.outcome import HeldSeeds, SeedPlayer
from odyssey_mock.explore.report import LINES, Rate, progress
from odyssey_mock.explore.workers import ThisProcess
from tests.support.explore.scenarios import play
from tests.support.terminals import Terminal, describe_terminal


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_terminal(monkeypatch)


def shown(stream: StringIO, seeds: int) -> str:
    times = count()  # each call of the clock returns half a second more

    def now() -> float:
        return next(times) / 2

    campaign = Campaign(range(seeds), "light")
    with progress(stream, campaign.total, Rate(0, now), now) as show:
        campaign.run(ThisProcess(SeedPlayer(play, "light")), show)
    return stream.getvalue()


def test_progress_without_terminal_is_printed_as_lines() -> None:
    assert shown(StringIO(), 8).splitlines() == [
        "2 of 8 seeds, 0 failed, 0 distinct, 4.0 seeds/s",
        "4 of 8 seeds, 1 failed, 1 distinct, 4.0 seeds/s",
        "6 of 8 seeds, 2 failed, 2 distinct, 4.0 seeds/s",
        "8 of 8 seeds, 2 failed, 2 distinct, 4.0 seeds/s",
    ]


def test_number_of_progress_lines_is_limited() -> None:
    lines = shown(StringIO(), 3001).splitlines()
    assert LINES <= len(lines) <= LINES + 1
    assert lines[-1].startswith("3001 of 3001 seeds, ")


def test_empty_tally_prints_no_progress() -> None:
    stream = StringIO()
    with progress(stream, 10, Rate(10)) as show:
        show(Tally())
    assert stream.getvalue() == ""


def test_progress_on_terminal_is_bar_with_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_terminal(monkeypatch, columns=100)
    terminal = Terminal()
    shown(terminal, 100)
    last, after = terminal.screen
    assert (last.startswith(f"{'━' * 24} 100/100 seeds 0:00:00 22 failed, 2 distinct, "), after) == (True, ""), last
    assert any(" 10/100 seeds " in line for line in terminal.drawn)


@pytest.mark.parametrize("columns", [30, 40, 60, 70, 80, 100, 132])
def test_progress_bar_fits_in_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    describe_terminal(monkeypatch, columns=columns)
    terminal = Terminal()
    shown(terminal, 1000)
    last, after = terminal.screen
    assert (len(last) <= columns, " 1000/1000 seeds" in last, after) == (True, True, ""), last
    assert (" 221 failed" in last, " 2 distinct" in last) == (columns >= 40, columns >= 60), last


def test_rate_excludes_seeds_of_earlier_runs() -> None:
    times = iter([10.0, 12.0, 12.0])
    rate = Rate(100, lambda: next(times))
    tally = Tally()
    tally.add([HeldSeeds(0, 149, 0, 0.0)])
    assert rate.of(tally) == 25.0
    assert rate.elapsed == 2.0
