"""Tests of the fault registry: which fault fires, when and how often."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock import Fault, FaultError, Faults, MockOdyssey, Settings, SettingsError
from odyssey_mock.accounts.accounts import account_id
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from tests.support.work_counts import instructions_of

RESET: dict[str, JSON] = {"at": "rest.regions.list", "do": "reset"}


def a_list(seed: str = "seed", *initial: dict[str, JSON]) -> Faults:
    return Faults(Journal(lambda: 0.0, 1000), lambda: seed, initial)


def firing(faults: Faults, times: int, point: str = "rest.regions.list", **where: str) -> list[bool]:
    return [faults.fire(point, **where) is not None for _ in range(times)]


@given(times=st.none() | st.integers(1, 8), after=st.integers(0, 8), passes=st.integers(0, 20))
def test_fault_respects_after_and_times(times: int | None, after: int, passes: int) -> None:
    faults = a_list()
    active = faults.add(RESET, times=times, after=after)
    fired = firing(faults, passes)
    end = passes if times is None else after + times
    assert fired == [after <= number < end for number in range(passes)]
    assert (active.fired, active.spent) == (sum(fired), times is not None and sum(fired) == times)
    assert active.passed == min(passes, end)


def test_first_due_fault_fires() -> None:
    faults = a_list()
    first = faults.add(RESET, times=2)
    second = faults.add(RESET, do="no_answer")
    done = [fault.do if (fault := faults.fire("rest.regions.list")) else None for _ in range(4)]
    assert done == ["reset", "reset", "no_answer", "no_answer"]
    assert (first.spent, second.passed, second.spent) == (True, 2, False)


def test_requests_at_other_points_are_not_counted() -> None:
    faults = a_list()
    active = faults.add(RESET, after=1)
    assert firing(faults, 5, "rest.regions.ping") == [False] * 5
    assert (active.passed, firing(faults, 2)) == (0, [False, True])


@given(st.text(max_size=8), st.floats(0.05, 0.95), st.lists(st.integers(0, 3), max_size=30))
def test_probability_depends_only_on_the_seed(seed: str, probability: float, meanwhile: list[int]) -> None:
    alone, busy = a_list(seed), a_list(seed)
    for faults in (alone, busy):
        faults.add(RESET, probability=probability)
        faults.add(at="rest.regions.ping", do="reset", probability=0.5)
    fired = []
    for others in meanwhile:
        firing(busy, others, "rest.regions.ping")
        fired += firing(busy, 1)
    assert fired == firing(alone, len(meanwhile))


def test_probability_is_accurate_and_varies_with_the_seed() -> None:
    draws = []
    for seed in ("one", "two"):
        faults = a_list(seed)
        faults.add(RESET, probability=0.3)
        draws.append(firing(faults, 4000))
        assert 0.26 < sum(draws[-1]) / 4000 < 0.34
    assert draws[0] != draws[1]


async def test_decisions_do_not_depend_on_earlier_ids() -> None:
    fired = []
    for drawn in (0, 3):
        async with MockOdyssey(seed=7, faults=[{**RESET, "probability": 0.5}]) as mock:
            for _ in range(drawn):
                mock.backend.entropy.token(32)
            fired.append(firing(mock.faults, 64))
    assert fired[0] == fired[1]


async def test_same_seed_fires_at_the_same_requests() -> None:
    fired = []
    for seed in (7, 7, 8):
        async with MockOdyssey(seed=seed, faults=[{**RESET, "probability": 0.5}]) as mock:
            fired.append(firing(mock.faults, 64))
    assert fired[0] == fired[1] != fired[2]


def test_probability_combines_with_after_and_times() -> None:
    faults = a_list()
    active = faults.add(RESET, after=10, times=3, probability=0.5)
    fired = firing(faults, 200)
    assert not any(fired[:10])
    assert (sum(fired), active.spent) == (3, True)


@pytest.mark.parametrize("named", ["ody_somebody", account_id("ody_somebody")])
def test_account_matches_by_key_or_id(named: str) -> None:
    faults = a_list()
    active = faults.add(RESET, match={"account": named})
    assert firing(faults, 1, account=account_id("ody_another")) == [False]
    assert firing(faults, 1) == [False]
    assert firing(faults, 1, account=account_id("ody_somebody")) == [True]
    shown = f"{active!r} {active.to_json()} {active.fault} {list(faults)} {faults._journal.to_jsonl()}"
    assert "ody_somebody" not in shown
    assert account_id("ody_somebody") in shown


def test_all_match_conditions_must_hold() -> None:
    faults = a_list()
    faults.add(at="stream.start", do="silent", match={"session": "s1", "prompt": "cat"})
    cases = {("s1", "A cat"): True, ("s2", "A cat"): False, ("s1", "A dog"): False, ("s1", "Cat"): False}
    for (session, prompt), fires in cases.items():
        assert (faults.fire("stream.start", session=session, prompt=prompt) is not None) == fires
    assert faults.fire("stream.start", session="s1") is None


def test_fired_fault_is_recorded_in_the_journal() -> None:
    faults = a_list()
    faults.add(at="rest.regions.list", do="status", status=503)
    faults.fire("rest.regions.list", account="acct_0123456789ab", session="s", stream="t")
    (entry,) = faults._journal.entries
    assert (entry.kind, entry.name) == ("fault", "rest.regions.list")
    assert (entry.account, entry.session, entry.stream) == ("acct_0123456789ab", "s", "t")
    why = "fault-1 (rest.regions.list status) fired, time 1"
    assert entry.data == {"id": "fault-1", "do": "status", "parameters": {"status": 503}, "why": why}


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"after": 3}, "`after` skipped it (2 of 3)"),
        ({"match": {"prompt": "dog"}}, "`match` expected as prompt a prompt that contains 'dog', got 'A cat'"),
        ({"match": {"session": "s2"}}, "`match` expected as session 's2', got 's1'"),
        ({"probability": 1e-9}, "the random decision with probability 1e-09 was against it"),
    ],
)
def test_unfired_fault_states_the_reason(fault: dict[str, Any], why: str) -> None:
    faults = a_list()
    active = faults.add({"at": "stream.start", "do": "silent", **fault})
    assert active.why_not == "stream.start was not reached since the fault was added"
    for _ in range(2):
        faults.fire("stream.start", session="s1", prompt="A cat")
    faults.fire("stream.end", session="s1")
    assert active.why_not == f"stream.start was reached 2 times; the last time, {why}"


def test_fault_behind_another_states_which_fired() -> None:
    faults = a_list()
    first, second = faults.extend([{**RESET, "times": 1}, RESET])
    faults.fire("rest.regions.list")
    assert (first.why_not, second.why_not) == (
        None,
        "rest.regions.list was reached once; the last time, fault-1 fired instead",
    )
    faults.fire("rest.regions.list")
    assert (second.why_not, second.fired, second.reached) == (None, 1, 2)


def test_extend_adds_all_faults_or_none() -> None:
    faults = a_list()
    with pytest.raises(FaultError, match="nope"):
        faults.extend([RESET, {"at": "nope", "do": "reset"}])
    assert len(faults) == 0
    one, two = faults.extend([RESET, RESET])
    assert [one, two] == list(faults)
    assert faults[two.id] is two
    assert [one.id, two.id] == ["fault-1", "fault-2"], (
        f"expected the ids fault-1 and fault-2, because rejected faults use up no ids; got {one.id}, {two.id}"
    )


def test_group_fault_fires_at_all_its_points() -> None:
    faults = a_list()
    assert not faults.any_at("hls.segment")
    faults.add(at="hls.*", do="no_answer", times=1)
    assert [faults.any_at(point) for point in ("hls.segment", "hls.playlist", "artifact")] == [True, True, False]
    assert [faults.fire(point) is not None for point in ("artifact", "hls.playlist", "hls.segment")] == [
        False,
        True,
        False,
    ]


def test_removed_faults_do_not_fire() -> None:
    faults = a_list()
    one, two = faults.extend([RESET, {**RESET, "do": "no_answer"}])
    faults.remove(one.id)
    assert (fault := faults.fire("rest.regions.list")) is not None
    assert (fault.do, one.fired, two.fired) == ("no_answer", 0, 1)
    with pytest.raises(KeyError):
        faults.remove(one.id)
    faults.clear()
    assert firing(faults, 1) == [False]


def test_reset_restores_only_initial_faults() -> None:
    faults = a_list("seed", {**RESET, "times": 1})
    faults.add(RESET, do="no_answer")
    firing(faults, 3)
    faults.reset()
    assert [(each.fault.do, each.fired) for each in faults] == [("reset", 0)]


def test_fault_that_fired_is_known_after_resets() -> None:
    faults = a_list("seed", RESET, {**RESET, "do": "no_answer"})
    firing(faults, 1)
    for _ in range(2):
        faults.reset()
        assert [(each.fault.do, each.fired_before_reset) for each in faults] == [("reset", True), ("no_answer", False)]


def test_invalid_fault_is_rejected_by_the_constructor() -> None:
    with pytest.raises(FaultError, match=r"unknown fault point 'rest\.region\.list'; did you mean 'rest\.regions"):
        MockOdyssey(faults=[{"at": "rest.region.list", "do": "reset"}])


def test_settings_do_not_reveal_keys_in_faults() -> None:
    fault = {**RESET, "match": {"account": "ody_secret_key"}}
    shown = f"{MockOdyssey(faults=[fault]).settings!r}"
    with pytest.raises(SettingsError, match="faults must be a list of faults") as refused:
        Settings(faults=[fault, 7])  # type: ignore[list-item]  # invalid on purpose
    assert "ody_secret_key" not in f"{shown} {refused.value}"


async def test_mock_reset_restores_its_initial_faults() -> None:
    async with MockOdyssey(faults=[RESET]) as mock:
        mock.faults.add(RESET, do="no_answer")
        await mock.reset()
        assert [each.fault for each in mock.faults] == [Fault.of(RESET)]


def test_faults_of_other_points_are_not_looked_at() -> None:
    few, many = a_list(), a_list()
    for faults, others in ((few, 1), (many, 500)):
        faults.extend([{"at": "stream.start", "do": "silent"}] * others)
        faults.add(RESET)

    def reached(faults: Faults) -> tuple[bool, bool]:
        return faults.any_at("rest.regions.ping"), faults.fire("rest.regions.list") is not None

    assert reached(few) == reached(many) == (False, True)
    assert instructions_of(lambda: reached(many)) < 2 * instructions_of(lambda: reached(few))
