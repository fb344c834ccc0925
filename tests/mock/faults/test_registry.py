"""The list of faults: which one fires, when, how often and for whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock import Fault, FaultError, Faults, MockOdyssey, Settings, SettingsError
from odyssey_mock.accounts.accounts import account_id
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON

RESET: dict[str, JSON] = {"at": "rest.regions.list", "do": "reset"}


def a_list(seed: str = "seed", *initial: dict[str, JSON]) -> Faults:
    return Faults(Journal(lambda: 0.0, 1000), seed, initial)


def firing(faults: Faults, times: int, point: str = "rest.regions.list", **where: str) -> list[bool]:
    return [faults.fire(point, **where) is not None for _ in range(times)]


@given(times=st.none() | st.integers(1, 8), after=st.integers(0, 8), passes=st.integers(0, 20))
def test_it_fires_so_often_after_so_many(times: int | None, after: int, passes: int) -> None:
    faults = a_list()
    active = faults.add(RESET, times=times, after=after)
    fired = firing(faults, passes)
    end = passes if times is None else after + times
    assert fired == [after <= number < end for number in range(passes)]
    assert (active.fired, active.spent) == (sum(fired), times is not None and sum(fired) == times)
    assert active.passed == min(passes, end)


def test_of_several_the_first_that_is_due_fires_and_the_next_takes_its_turn() -> None:
    faults = a_list()
    first = faults.add(RESET, times=2)
    second = faults.add(RESET, do="no_answer")
    done = [fault.do if (fault := faults.fire("rest.regions.list")) else None for _ in range(4)]
    assert done == ["reset", "reset", "no_answer", "no_answer"]
    assert (first.spent, second.passed, second.spent) == (True, 2, False)


def test_another_point_does_not_count() -> None:
    faults = a_list()
    active = faults.add(RESET, after=1)
    assert firing(faults, 5, "rest.regions.ping") == [False] * 5
    assert (active.passed, firing(faults, 2)) == (0, [False, True])


@given(st.text(max_size=8), st.floats(0.05, 0.95), st.lists(st.integers(0, 3), max_size=30))
def test_chance_follows_from_the_seed_and_not_from_what_else_happens(
    seed: str, probability: float, meanwhile: list[int]
) -> None:
    alone, busy = a_list(seed), a_list(seed)
    for faults in (alone, busy):
        faults.add(RESET, probability=probability)
        faults.add(at="rest.regions.ping", do="reset", probability=0.5)
    fired = []
    for others in meanwhile:
        firing(busy, others, "rest.regions.ping")
        fired += firing(busy, 1)
    assert fired == firing(alone, len(meanwhile))


def test_chance_is_as_likely_as_it_says_and_another_one_with_another_seed() -> None:
    draws = []
    for seed in ("one", "two"):
        faults = a_list(seed)
        faults.add(RESET, probability=0.3)
        draws.append(firing(faults, 4000))
        assert 0.26 < sum(draws[-1]) / 4000 < 0.34
    assert draws[0] != draws[1]


async def test_a_mock_with_the_same_seed_fires_at_the_same_requests() -> None:
    fired = []
    for seed in (7, 7, 8):
        async with MockOdyssey(seed=seed, faults=[{**RESET, "probability": 0.5}]) as mock:
            fired.append(firing(mock.faults, 64))
    assert fired[0] == fired[1] != fired[2]


def test_chance_counts_against_after_and_times() -> None:
    faults = a_list()
    active = faults.add(RESET, after=10, times=3, probability=0.5)
    fired = firing(faults, 200)
    assert not any(fired[:10])
    assert (sum(fired), active.spent) == (3, True)


@pytest.mark.parametrize("named", ["ody_somebody", account_id("ody_somebody")])
def test_an_account_is_named_by_its_key_or_its_id_and_the_key_is_shown_nowhere(named: str) -> None:
    faults = a_list()
    active = faults.add(RESET, match={"account": named})
    assert firing(faults, 1, account=account_id("ody_another")) == [False]
    assert firing(faults, 1) == [False]
    assert firing(faults, 1, account=account_id("ody_somebody")) == [True]
    shown = f"{active!r} {active.to_json()} {active.fault} {list(faults)} {faults._journal.to_jsonl()}"
    assert "ody_somebody" not in shown
    assert account_id("ody_somebody") in shown


def test_all_conditions_hold_at_once_and_a_prompt_by_a_part_of_it() -> None:
    faults = a_list()
    faults.add(at="stream.start", do="silent", match={"session": "s1", "prompt": "cat"})
    cases = {("s1", "A cat"): True, ("s2", "A cat"): False, ("s1", "A dog"): False, ("s1", "Cat"): False}
    for (session, prompt), fires in cases.items():
        assert (faults.fire("stream.start", session=session, prompt=prompt) is not None) == fires
    assert faults.fire("stream.start", session="s1") is None


def test_a_fault_that_fired_is_in_the_journal_with_what_it_did_and_for_whom() -> None:
    faults = a_list()
    faults.add(at="rest.regions.list", do="status", status=503)
    faults.fire("rest.regions.list", account="acct_0123456789ab", session="s", stream="t")
    (entry,) = faults._journal.entries
    assert (entry.kind, entry.name) == ("fault", "rest.regions.list")
    assert (entry.account, entry.session, entry.stream) == ("acct_0123456789ab", "s", "t")
    assert entry.data == {"id": "fault-1", "do": "status", "parameters": {"status": 503}}


def test_several_are_added_or_none_of_them() -> None:
    faults = a_list()
    with pytest.raises(FaultError, match="nope"):
        faults.extend([RESET, {"at": "nope", "do": "reset"}])
    assert len(faults) == 0
    one, two = faults.extend([RESET, RESET])
    assert [one, two] == list(faults)
    assert faults[two.id] is two
    assert [one.id, two.id] == ["fault-1", "fault-2"], "what was refused has no number"


def test_one_at_a_star_is_at_all_points_that_begin_so() -> None:
    faults = a_list()
    assert not faults.any_at("hls.segment")
    faults.add(at="hls.*", do="no_answer", times=1)
    assert [faults.any_at(point) for point in ("hls.segment", "hls.playlist", "artifact")] == [True, True, False]
    assert [faults.fire(point) is not None for point in ("artifact", "hls.playlist", "hls.segment")] == [
        False,
        True,
        False,
    ]


def test_one_is_taken_off_or_all_and_what_is_gone_does_not_fire() -> None:
    faults = a_list()
    one, two = faults.extend([RESET, {**RESET, "do": "no_answer"}])
    faults.remove(one.id)
    assert (fault := faults.fire("rest.regions.list")) is not None
    assert (fault.do, one.fired, two.fired) == ("no_answer", 0, 1)
    with pytest.raises(KeyError):
        faults.remove(one.id)
    faults.clear()
    assert firing(faults, 1) == [False]


def test_a_reset_puts_back_those_of_the_beginning_and_no_others() -> None:
    faults = a_list("seed", {**RESET, "times": 1})
    faults.add(RESET, do="no_answer")
    firing(faults, 3)
    faults.reset()
    assert [(each.fault.do, each.fired) for each in faults] == [("reset", 0)]


def test_a_fault_that_cannot_be_is_refused_where_the_mock_is_made() -> None:
    with pytest.raises(FaultError, match=r"no fault point 'rest\.region\.list'; did you mean 'rest\.regions\.list'"):
        MockOdyssey(faults=[{"at": "rest.region.list", "do": "reset"}])


def test_the_keys_of_faults_are_in_no_repr_and_no_message_of_settings() -> None:
    fault = {**RESET, "match": {"account": "ody_secret_key"}}
    shown = f"{MockOdyssey(faults=[fault]).settings!r}"
    with pytest.raises(SettingsError, match="faults must be a list of faults") as refused:
        Settings(faults=[fault, 7])  # type: ignore[list-item]  # it is wrong
    assert "ody_secret_key" not in f"{shown} {refused.value}"


async def test_a_reset_of_the_mock_takes_off_what_was_added_and_keeps_what_it_was_made_with() -> None:
    async with MockOdyssey(faults=[RESET]) as mock:
        mock.faults.add(RESET, do="no_answer")
        await mock.reset()
        assert [each.fault for each in mock.faults] == [Fault.of(RESET)]
