"""How far a campaign is: a bar on a terminal, lines elsewhere."""

import re
from io import StringIO

import pytest

from odyssey_mock.explore.campaign import Campaign, Tally
from odyssey_mock.explore.outcome import HeldSeeds, SeedPlayer
from odyssey_mock.explore.report import LINES, Rate, progress
from odyssey_mock.explore.workers import ThisProcess
from tests.support.explore.scenarios import play


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: StringIO, seeds: int) -> str:
    times = iter(range(1000))  # half a second later at each look
    campaign = Campaign(range(seeds), "light")
    with progress(stream, campaign.total, Rate(0, lambda: next(times) / 2)) as show:
        campaign.run(ThisProcess(SeedPlayer(play, "light")), show)
    return stream.getvalue()


def test_where_it_is_no_terminal_it_is_a_line_every_so_many_seeds() -> None:
    assert shown(StringIO(), 8).splitlines() == [
        "2 of 8 seeds, 0 failed, 0 distinct, 4.0 seeds/s",
        "4 of 8 seeds, 1 failed, 1 distinct, 4.0 seeds/s",
        "6 of 8 seeds, 2 failed, 2 distinct, 4.0 seeds/s",
        "8 of 8 seeds, 2 failed, 2 distinct, 4.0 seeds/s",
    ]


def test_many_seeds_are_not_many_lines() -> None:
    lines = shown(StringIO(), 3001).splitlines()
    assert LINES <= len(lines) <= LINES + 1
    assert lines[-1].startswith("3001 of 3001 seeds, ")


def test_nothing_is_said_where_there_is_nothing_to_play() -> None:
    stream = StringIO()
    with progress(stream, 10, Rate(10)) as show:
        show(Tally())
    assert stream.getvalue() == ""


def test_on_a_terminal_it_is_a_bar_with_the_counts_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    drawn = shown(Terminal(), 100).split("\r")
    assert "100/100" in drawn[-1]
    assert "22 failed, 2 distinct, " in drawn[-1]
    assert "10/100" in "".join(drawn[1:3])


@pytest.mark.parametrize("columns", [30, 40, 60, 70, 80, 100, 132])
def test_its_line_is_never_longer_than_the_terminal_or_it_could_not_be_drawn_over(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = re.split(r"[\r\n]|\x1b\[\?25[lh]", shown(Terminal(), 1000))
    assert max(map(len, lines)) < columns
    assert any("1000/1000" in line for line in lines)
    assert any("221 failed" in line for line in lines) == (columns >= 40)
    assert any("distinct" in line for line in lines) == (columns >= 80)


def test_the_rate_is_of_what_was_played_now() -> None:
    times = iter([10.0, 12.0, 12.0])
    rate = Rate(100, lambda: next(times))
    tally = Tally()
    tally.add([HeldSeeds(0, 149, 0, 0.0)])
    assert rate.of(tally) == 25.0
    assert rate.elapsed == 2.0
