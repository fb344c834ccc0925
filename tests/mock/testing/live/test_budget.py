"""Tests of the budget of stream seconds, with a clock of the test."""

import pytest

from odyssey_mock.testing.live.budget import StreamBudget
from tests.support.stream_budget import Denied, Time, deny


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def budget(time: Time) -> StreamBudget:
    return StreamBudget(10, "nothing is left", deny=deny, now=lambda: time.now)


def test_running_and_ended_streams_are_used(budget: StreamBudget, time: Time) -> None:
    budget.begin("a")
    time.now += 2
    budget.begin("b")
    time.now += 1
    budget.end("a")
    time.now += 0.5

    assert (budget.used, budget.left) == (4.5, 5.5)

    budget.end("b")
    budget.end("b")
    time.now += 60

    assert (budget.used, budget.left) == (4.5, 5.5)


def test_streams_share_the_time_that_is_left(budget: StreamBudget, time: Time) -> None:
    assert budget.begin("a") == 10
    time.now += 4
    assert budget.begin("b") == 3
    assert budget.begin("a") == 3, "a stream that is counted already does not begin again"
    time.now += 2
    budget.end("a")
    assert budget.seconds_until_used_up() == 2


def test_restored_stream_is_counted_from_an_earlier_time(budget: StreamBudget, time: Time) -> None:
    budget.begin("a")
    time.now += 1
    lost = budget.end("a")
    time.now += 3
    budget.begin("a", at=lost)

    assert budget.used == 4


def test_used_budget_denies_starts_and_names_running_streams(budget: StreamBudget, time: Time) -> None:
    budget.begin("a")
    time.now += 9.5
    budget.require_left()
    assert budget.overdue() == ()

    time.now += 0.495  # a timer may fire early
    assert (budget.left, budget.denials) == (0, 0)
    assert budget.overdue() == ("a",)
    assert budget.overdue() == (), "a stream is returned once, because its end takes a moment"
    with pytest.raises(Denied, match="nothing is left"):
        budget.require_left()
    assert budget.denials == 2

    time.now += 1
    assert budget.left == 0
    assert budget.used == pytest.approx(10.995)


def test_simulations_are_taken_as_a_whole_or_denied(budget: StreamBudget) -> None:
    budget.take(8)
    with pytest.raises(
        Denied, match=r"^a simulation of 2\.5 s needs more than what is left \(2\.0 s\): nothing is left$"
    ):
        budget.take(2.5)
    assert (budget.left, budget.denials) == (2, 1)

    budget.give_back(8)
    budget.take(2.5)
    assert budget.left == 7.5
