"""Tests of the state machine `OperationMachine`: which reply belongs to which call, and which calls are rejected."""

from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from odyssey_client.connection.messages import BroadcastUnusable, StreamerMessage
from odyssey_client.connection.operation_machine import (
    ALREADY_ACTIVE,
    INITIAL,
    NO_STREAM,
    REFUSALS,
    TRANSITIONS,
    Announce,
    Call,
    Close,
    End,
    GaveUp,
    Guarded,
    Happening,
    Interact,
    OperationEffect,
    OperationEvent,
    OperationMachine,
    OperationState,
    Reject,
    Resolve,
    SessionLost,
    Start,
)
from odyssey_client.errors import (
    ConnectionClosedError,
    InvalidStateError,
    OdysseyStreamError,
    PeerError,
    SessionLostError,
)
from odyssey_client.events import BroadcastReady, InteractAcknowledged, StreamEnded, StreamFailed, StreamStarted
from odyssey_client.models import BroadcastInfo
from tests.support.transition_tables import expected_rows, rows

STARTED = StreamStarted("stream-1", "a castle, at dawn")


def streaming() -> OperationMachine:
    operations = OperationMachine()
    operations.handle(Start(0, "a castle"))
    operations.handle(STARTED)
    return operations


def settled(effects: tuple[OperationEffect, ...]) -> list[OperationEffect]:
    return [effect for effect in effects if not isinstance(effect, Announce)]


def rejected(effects: tuple[OperationEffect, ...]) -> list[tuple[int, str]]:
    return [(effect.call, effect.error.code) for effect in effects if isinstance(effect, Reject)]


EXPECTED = """
    idle             InteractAcknowledged idle             Announce Resolve
    idle             BroadcastReady       idle             Announce
    idle             BroadcastUnusable    idle             Announce
    idle             StreamFailed         idle             Announce Reject
    idle             InteractGivenUp      idle
    idle             PlaceGivenUp         idle
    idle             StartedLate          streaming        Announce
    idle             StreamEnded          idle             Announce
    idle             SessionLost          idle             Reject
    idle             Close                closed           Reject
    idle             Start                starting
    starting         InteractAcknowledged starting         Announce Resolve
    starting         BroadcastReady       starting         Announce
    starting         BroadcastUnusable    starting         Announce
    starting         StreamFailed         starting         Announce Reject
    starting         InteractGivenUp      starting
    starting         PlaceGivenUp         starting
    starting         StartedLate          starting_another Announce
    starting         StreamEnded          starting         Announce
    starting         SessionLost          idle             Reject
    starting         Close                closed           Reject
    starting         StreamStarted        streaming        Announce Resolve
    starting         StartRefused         idle             Announce Reject
    starting         StartGivenUp         idle
    starting_another InteractAcknowledged starting_another Announce Resolve
    starting_another BroadcastReady       starting_another Announce
    starting_another BroadcastUnusable    starting_another Announce
    starting_another StreamFailed         starting_another Announce Reject
    starting_another InteractGivenUp      starting_another
    starting_another PlaceGivenUp         starting_another
    starting_another StartedLate          starting_another Announce
    starting_another StreamEnded          starting         Announce
    starting_another SessionLost          idle             Announce Reject
    starting_another Close                closed           Reject
    starting_another StreamStarted        streaming        Announce Resolve
    starting_another StartRefused         streaming        Announce Reject
    starting_another StartGivenUp         streaming
    streaming        InteractAcknowledged streaming        Announce Resolve
    streaming        BroadcastReady       streaming        Announce
    streaming        BroadcastUnusable    streaming        Announce
    streaming        StreamFailed         streaming        Announce Reject
    streaming        InteractGivenUp      streaming
    streaming        PlaceGivenUp         streaming
    streaming        StartedLate          streaming        Announce
    streaming        StreamEnded          idle             Announce Reject
    streaming        SessionLost          idle             Announce Reject
    streaming        Close                closed           Reject
    streaming        Interact             streaming
    streaming        End                  ending
    ending           InteractAcknowledged ending           Announce Resolve
    ending           BroadcastReady       ending           Announce
    ending           BroadcastUnusable    ending           Announce
    ending           StreamFailed         ending           Announce Reject
    ending           InteractGivenUp      ending
    ending           PlaceGivenUp         ending
    ending           StartedLate          ending           Announce
    ending           StreamEnded          idle             Announce Reject Resolve
    ending           SessionLost          idle             Announce Reject
    ending           Close                closed           Reject
    ending           EndRefused           idle             Announce Reject
    ending           EndGivenUp           streaming
    closed           PlaceGivenUp         closed
    closed           Close                closed
"""
"""State, event, next state and effects of every transition."""


def test_each_event_has_its_state_and_effects() -> None:
    assert rows(TRANSITIONS) == expected_rows(EXPECTED)


def test_stream_is_started_changed_and_ended() -> None:
    operations = OperationMachine()
    assert operations.handle(Start(0, "a castle")) == ()
    assert operations.handle(STARTED) == (Announce(STARTED), Resolve(0, "stream-1"))
    assert operations.handle(Interact(1, "night")) == ()
    acknowledged = InteractAcknowledged("night falls")
    assert operations.handle(acknowledged) == (Announce(acknowledged), Resolve(1, "night falls"))
    assert operations.handle(End(2)) == ()
    assert operations.handle(StreamEnded()) == (Announce(StreamEnded()), Resolve(2))
    assert operations.handle(Start(3, "another")) == ()


@given(st.lists(st.text("ab ", max_size=4), min_size=1, max_size=6))
def test_every_acknowledgment_settles_one_interaction(prompts: list[str]) -> None:
    operations = streaming()
    for call, prompt in enumerate(prompts, 1):
        operations.handle(Interact(call, prompt))
    for call in range(1, len(prompts) + 1):
        rewritten = f"REWRITTEN {call}".replace("a", "_").replace("b", "_")
        (answer,) = settled(operations.handle(InteractAcknowledged(rewritten)))
        assert answer in {Resolve(n, rewritten) for n in range(1, len(prompts) + 1)}
    assert not operations.pending


def test_rewritten_acknowledgments_settle_interactions_in_order() -> None:
    operations = streaming()
    for call in (1, 2, 3):
        operations.handle(Interact(call, f"prompt {call}"))
    answers = [settled(operations.handle(InteractAcknowledged(text))) for text in ("x", "y", "z")]
    assert answers == [[Resolve(1, "x")], [Resolve(2, "y")], [Resolve(3, "z")]]


def test_late_acknowledgment_does_not_settle_next_interaction() -> None:
    operations = streaming()
    operations.handle(Interact(1, "slow"))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "next"))
    assert settled(operations.handle(InteractAcknowledged("at last"))) == []
    assert settled(operations.handle(InteractAcknowledged("thereafter"))) == [Resolve(2, "thereafter")]


def test_acknowledgment_with_later_prompt_settles_later_call() -> None:
    operations = streaming()
    operations.handle(Interact(1, "[stall]"))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "Fly higher"))
    assert settled(operations.handle(InteractAcknowledged("fly higher, in mist"))) == [
        Resolve(2, "fly higher, in mist")
    ]


@pytest.mark.parametrize("applied", ["fly higher, in mist", "soaring above the clouds"])
def test_repeated_interaction_gets_the_acknowledgment(applied: str) -> None:
    operations = streaming()
    operations.handle(Interact(1, "Fly higher"))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, " fly higher"))
    assert settled(operations.handle(InteractAcknowledged(applied))) == [Resolve(2, applied)]
    assert settled(operations.handle(InteractAcknowledged(applied))) == [], (
        "expected the late acknowledgment for call 1 to settle no call, but it settled one"
    )
    operations.handle(Interact(3, "land"))
    assert settled(operations.handle(InteractAcknowledged("land, at dusk"))) == [Resolve(3, "land, at dusk")]


def test_first_of_two_repetitions_gets_the_acknowledgment() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "rain"))
    operations.handle(Interact(3, "night"))
    operations.handle(Interact(4, "night"))
    answers = [settled(operations.handle(InteractAcknowledged(said))) for said in ("rain", "night", "night")]
    assert answers == [[Resolve(2, "rain")], [Resolve(3, "night")], [Resolve(4, "night")]]


@pytest.mark.parametrize(
    ("applied", "calls"), [("night falls, in mist", [2]), ("night, with stars", []), ("darkness", [])]
)
def test_repetition_with_more_words_gets_its_acknowledgment(applied: str, calls: list[int]) -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "night falls"))
    assert settled(operations.handle(InteractAcknowledged(applied))) == [Resolve(call, applied) for call in calls]


def test_acknowledgment_of_longer_abandoned_prompt_settles_no_call() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night falls"))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "night"))
    assert settled(operations.handle(InteractAcknowledged("night falls, in mist"))) == []
    assert settled(operations.handle(InteractAcknowledged("night, with stars"))) == [Resolve(2, "night, with stars")]


def test_stream_error_rejects_the_repeated_interaction() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "rain"))
    operations.handle(Interact(3, "night"))
    assert rejected(operations.handle(StreamFailed("moderation", "no"))) == [(3, "moderation")]
    assert operations.pending == {2}


@pytest.mark.parametrize("prompt", ["a castle", ""])
def test_repeated_start_gets_stream_started(prompt: str) -> None:
    operations = OperationMachine()
    operations.handle(Start(0, prompt))
    operations.handle(GaveUp(0))
    operations.handle(Start(1, prompt))
    assert operations.handle(STARTED) == (Announce(STARTED), Resolve(1, "stream-1"))
    assert operations.state is OperationState.STREAMING


def test_stream_error_rejects_the_repeated_start() -> None:
    operations = OperationMachine()
    operations.handle(Start(0, "a castle"))
    operations.handle(GaveUp(0))
    operations.handle(Start(1, "a castle"))
    error = StreamFailed("moderation", "no")
    assert rejected(operations.handle(error)) == [(1, "moderation")]
    assert operations.state is OperationState.IDLE
    assert rejected(operations.handle(error)) == [], (
        "expected the late error for call 0 to reject no call, got a rejection"
    )


@pytest.mark.parametrize("call", [Interact(2, "night"), End(2)], ids=["interact", "end"])
def test_refusal_of_late_start_rejects_no_call(call: Call) -> None:
    operations = OperationMachine()
    operations.handle(Start(0, "a castle"))
    operations.handle(GaveUp(0))
    operations.handle(Start(1, "a castle"))
    operations.handle(STARTED)
    operations.handle(call)
    assert operations.handle(REFUSED) == (Announce(REFUSED),)
    assert operations.pending == {2}


REFUSED = StreamFailed("stream_already_active", "A stream is already running.")
MODERATED = StreamFailed("moderation_failed", "no")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["night", "night falls", "rain"]),
            st.integers(0, 3),
            st.sampled_from(["shown", "rewritten", "moderated"]),
        ),
        max_size=6,
    )
)
def test_call_repeated_until_it_arrives_gets_its_reply(calls: list[tuple[str, int, str]]) -> None:
    operations = streaming()
    number = 0
    for prompt, losses, reply in calls:
        for _ in range(losses):
            number += 1
            operations.handle(Interact(number, prompt))
            operations.handle(GaveUp(number))
        number += 1
        operations.handle(Interact(number, prompt))
        if reply == "moderated":
            assert rejected(operations.handle(MODERATED)) == [(number, "moderation_failed")]
        else:
            applied = f"{prompt}, with stars" if reply == "shown" else f"REWRITTEN {number}"
            assert settled(operations.handle(InteractAcknowledged(applied))) == [Resolve(number, applied)]


@given(st.lists(st.tuples(st.sampled_from(["", "a boat"]), st.integers(0, 3), st.booleans()), max_size=6))
def test_start_repeated_until_it_arrives_gets_its_reply(starts: list[tuple[str, int, bool]]) -> None:
    operations = OperationMachine()
    number = 0
    for prompt, losses, is_moderated in starts:
        for _ in range(losses):
            number += 1
            operations.handle(Start(number, prompt))
            operations.handle(GaveUp(number))
        number += 1
        operations.handle(Start(number, prompt))
        if is_moderated:
            assert rejected(operations.handle(MODERATED)) == [(number, "moderation_failed")]
        else:
            started = StreamStarted(f"stream-{number}", f"REWRITTEN {number}")
            assert settled(operations.handle(started)) == [Resolve(number, started.stream_id)]
            operations.handle(End(-number))
            assert settled(operations.handle(StreamEnded())) == [Resolve(-number)]


def lost_then_repeated() -> OperationMachine:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "night"))
    assert settled(operations.handle(InteractAcknowledged("darkness"))) == [Resolve(2, "darkness")]
    return operations


def test_stream_error_rejects_end_after_repeated_interaction() -> None:
    operations = lost_then_repeated()
    operations.handle(End(3))
    assert rejected(operations.handle(MODERATED)) == [(3, "moderation_failed")]
    assert operations.state is OperationState.IDLE


def test_late_rewritten_reply_settles_no_other_interaction() -> None:
    operations = lost_then_repeated()
    operations.handle(Interact(3, "rain"))
    late = InteractAcknowledged("darkness")
    assert operations.handle(late) == (Announce(late),)
    assert settled(operations.handle(InteractAcknowledged("a storm"))) == [Resolve(3, "a storm")]


def test_reply_to_later_call_overtakes_earlier_ones() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "rain"))
    assert settled(operations.handle(InteractAcknowledged("rain, at dusk"))) == [Resolve(2, "rain, at dusk")]
    operations.handle(Interact(3, "snow"))
    assert rejected(operations.handle(MODERATED)) == [(3, "moderation_failed")]
    operations.handle(Interact(4, "fog"))
    assert settled(operations.handle(InteractAcknowledged("mist"))) == [Resolve(4, "mist")]
    assert settled(operations.handle(InteractAcknowledged("night, with stars"))) == [], (
        "expected the late acknowledgment for call 1 to settle no call, but it settled one"
    )


@given(first=st.text("xy", min_size=1, max_size=2), second=st.text("xy ", max_size=2))
@example(first="y", second="x")
def test_stream_error_belongs_to_abandoned_call_unless_repeated(first: str, second: str) -> None:
    operations = streaming()
    operations.handle(Interact(1, first))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, second))
    is_repeated = first == second.strip()
    assert rejected(operations.handle(MODERATED)) == ([(2, "moderation_failed")] if is_repeated else [])


@given(reply=st.sampled_from([InteractAcknowledged("rain, at dusk"), MODERATED]), applied=st.text("xyz", max_size=2))
@example(reply=InteractAcknowledged("rain, at dusk"), applied="x")
@example(reply=MODERATED, applied="x")
@pytest.mark.parametrize("former", ["night", "rain"])
def test_rewritten_acknowledgment_after_overtaking_settles_next_call(
    former: str, reply: InteractAcknowledged | StreamFailed, applied: str
) -> None:
    operations = streaming()
    operations.handle(Interact(1, former))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "rain"))
    operations.handle(reply)
    if operations.pending:  # the error belonged to call 1
        operations.handle(reply)
    operations.handle(Interact(3, "snow"))
    assert settled(operations.handle(InteractAcknowledged(applied))) == [Resolve(3, applied)]


def test_acknowledgment_belongs_to_the_prompt_that_begins_it() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "rain"))
    assert settled(operations.handle(InteractAcknowledged("rain at night"))) == [Resolve(2, "rain at night")]


def test_acknowledgment_may_differ_in_case_and_space() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "rain"))
    operations.handle(Interact(3, "snow"))

    answers = [settled(operations.handle(InteractAcknowledged(said))) for said in ("More SNOW", " RAIN at night")]

    assert answers == [[Resolve(3, "More SNOW")], [Resolve(2, " RAIN at night")]]


def slow_start(*, then: str) -> OperationMachine:
    """Return a machine with two calls of `start_stream`: the first was given up, the second waits.

    The first call has the prompt "a castle". It was given up before `stream_started` arrived. The second call has the
    prompt `then`.
    """
    operations = OperationMachine()
    operations.handle(Start(0, "a castle"))
    operations.handle(GaveUp(0))
    operations.handle(Start(1, then))
    return operations


@pytest.mark.parametrize("started", [STARTED, StreamStarted("stream-1", "REWRITTEN")], ids=["shown", "rewritten"])
def test_refusal_rejects_start_after_slow_one(started: StreamStarted) -> None:
    operations = slow_start(then="a dog")
    assert rejected(operations.handle(REFUSED)) == [(1, ALREADY_ACTIVE)]
    assert operations.handle(started) == (Announce(started),), (
        "expected only an announcement of the stream whose call was given up, got other effects"
    )
    assert operations.state is OperationState.STREAMING


def test_two_refusals_leave_running_start_queued() -> None:
    operations = slow_start(then="a dog")
    operations.handle(GaveUp(1))
    operations.handle(Start(2, "a cat"))
    assert rejected(operations.handle(REFUSED)) == [(2, ALREADY_ACTIVE)]
    assert operations.handle(REFUSED) == (Announce(REFUSED),)
    operations.handle(Start(3, "a fish"))
    rewritten = StreamStarted("stream-1", "REWRITTEN")
    assert operations.handle(rewritten) == (Announce(rewritten),), (
        "expected only an announcement of the stream of call 0, which was given up, got other effects"
    )


def test_refusal_during_stream_forgets_the_start() -> None:
    operations = slow_start(then="a dog")
    operations.handle(STARTED)
    operations.handle(GaveUp(1))
    assert operations.handle(REFUSED) == (Announce(REFUSED),)
    operations.handle(StreamEnded())
    operations.handle(Start(2, "a fish"))

    assert settled(operations.handle(StreamStarted("stream-2", "REWRITTEN"))) == [Resolve(2, "stream-2")]


def test_repeated_start_is_settled_once() -> None:
    operations = slow_start(then="a castle")
    operations.handle(REFUSED)

    assert settled(operations.handle(STARTED)) == [Resolve(1, "stream-1")]
    assert operations.pending == frozenset()


def test_refusals_of_late_starts_keep_the_running_one() -> None:
    operations = slow_start(then="a dog")
    operations.handle(GaveUp(1))
    assert [operations.handle(REFUSED) for _ in range(2)] == [(Announce(REFUSED),)] * 2
    operations.handle(Start(2, "a fish"))

    effects = [operations.handle(StreamStarted(f"stream-{number}", "REWRITTEN")) for number in (1, 2)]

    assert [settled(each) for each in effects] == [[], [Resolve(2, "stream-2")]]


@pytest.mark.parametrize("started", [STARTED, StreamStarted("stream-1", "REWRITTEN")], ids=["shown", "rewritten"])
@pytest.mark.parametrize("others", [[], ["a dog"]], ids=["alone", "another"])
def test_repeated_slow_start_gets_stream_started(started: StreamStarted, others: list[str]) -> None:
    operations = OperationMachine()
    operations.handle(Start(0, "a castle"))
    operations.handle(GaveUp(0))
    for call, prompt in enumerate(others, 1):
        operations.handle(Start(call, prompt))
        operations.handle(GaveUp(call))
    operations.handle(Start(9, "a castle"))
    assert operations.handle(REFUSED) == (Announce(REFUSED),)
    assert operations.handle(started) == (Announce(started), Resolve(9, "stream-1"))
    assert operations.state is OperationState.STREAMING


def test_second_refusal_rejects_the_repeated_start() -> None:
    operations = slow_start(then="a castle")
    assert operations.handle(REFUSED) == (Announce(REFUSED),)
    assert rejected(operations.handle(REFUSED)) == [(1, ALREADY_ACTIVE)]
    assert operations.state is OperationState.IDLE


@pytest.mark.parametrize("happened", [REFUSED, MODERATED, GaveUp(1)], ids=["active", "moderated", "gave up"])
def test_stream_that_started_late_can_be_ended(happened: OperationEvent) -> None:
    operations = slow_start(then="a dog")
    assert operations.handle(STARTED) == (Announce(STARTED),)
    operations.handle(happened)
    assert operations.state is OperationState.STREAMING
    operations.handle(End(2))
    assert settled(operations.handle(StreamEnded())) == [Resolve(2)]


def test_lost_session_ends_the_stream_that_started_late() -> None:
    operations = slow_start(then="a dog")
    operations.handle(STARTED)
    effects = operations.handle(GONE)
    assert effects[:2] == LOST
    assert rejected(effects) == [(1, "session_lost")]


def test_error_rejects_start_that_waits_during_late_stream() -> None:
    operations = slow_start(then="a dog")
    operations.handle(STARTED)
    assert rejected(operations.handle(MODERATED)) == [(1, "moderation_failed")]
    assert operations.pending == frozenset()
    operations.handle(Interact(2, "night"))
    assert rejected(operations.handle(MODERATED)) == [(2, "moderation_failed")]


def test_each_early_error_replies_to_one_start() -> None:
    operations = slow_start(then="a dog")
    assert [rejected(operations.handle(MODERATED)) for _ in range(2)] == [[], [(1, "moderation_failed")]]


def test_error_of_abandoned_start_rejects_no_other() -> None:
    operations = slow_start(then="a dog")
    operations.handle(GaveUp(1))
    operations.handle(Start(2, "a fish"))
    operations.handle(STARTED)
    assert operations.state is OperationState.STARTING_ANOTHER
    assert [rejected(operations.handle(MODERATED)) for _ in range(2)] == [[], [(2, "moderation_failed")]]


def test_late_refusal_of_update_rejects_no_start() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    assert rejected(operations.handle(StreamEnded())) == [(1, "stream_ended")]
    operations.handle(Start(2, "a boat"))
    refused = StreamFailed("no_active_stream", "No stream is running.")
    assert operations.handle(refused) == (Announce(refused),)
    assert settled(operations.handle(StreamStarted("stream-2", "a boat"))) == [Resolve(2, "stream-2")]


def test_second_gave_up_event_stops_expecting_reply() -> None:
    operations = streaming()
    operations.handle(Interact(1, "never answered"))
    operations.handle(GaveUp(1))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "next"))
    assert settled(operations.handle(InteractAcknowledged("rewritten"))) == [Resolve(2, "rewritten")]


def test_second_gave_up_event_forgets_the_start() -> None:
    operations = slow_start(then="a dog")
    operations.handle(GaveUp(0))

    assert rejected(operations.handle(MODERATED)) == [(1, "moderation_failed")]


def test_call_that_gave_up_keeps_its_place() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(Interact(2, "rain"))
    operations.handle(GaveUp(2))
    operations.handle(Interact(3, "snow"))

    answers = [rejected(operations.handle(MODERATED)) for _ in range(3)]

    assert answers == [[(1, "moderation_failed")], [], [(3, "moderation_failed")]]


def test_rejection_of_slow_start_leaves_next_one_waiting() -> None:
    operations = slow_start(then="a dog")

    assert operations.handle(MODERATED) == (Announce(MODERATED),)
    assert operations.state is OperationState.STARTING
    assert operations.pending == {1}


def test_event_that_cannot_happen_raises_error() -> None:
    operations = OperationMachine()
    operations.handle(Close(PeerError("gone")))

    with pytest.raises(RuntimeError, match="expected Close, PlaceGivenUp in state closed, got StreamEnded"):
        operations.handle(StreamEnded())


def test_repeated_acknowledgment_settles_no_call() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(Interact(2, "rain"))
    said = InteractAcknowledged("night, with stars")
    assert settled(operations.handle(said)) == [Resolve(1, "night, with stars")]
    assert operations.handle(said) == (Announce(said),)
    assert settled(operations.handle(InteractAcknowledged("rain"))) == [Resolve(2, "rain")]


def test_repetition_after_eight_others_is_an_acknowledgment() -> None:
    operations = streaming()
    for call in range(9):
        operations.handle(Interact(call, f"prompt {call}"))
        operations.handle(InteractAcknowledged(f"prompt {call}"))
    operations.handle(Interact(100, "rain"))

    assert settled(operations.handle(InteractAcknowledged("prompt 0"))) == [Resolve(100, "prompt 0")]


@pytest.mark.parametrize("between", range(1, 8))
def test_repetition_after_other_acknowledgments_settles_no_call(between: int) -> None:
    operations = streaming()
    for call in range(between + 1):
        operations.handle(Interact(call, f"prompt {call}"))
    said = [InteractAcknowledged(f"prompt {call}, with stars") for call in range(between + 1)]
    for call, each in enumerate(said):
        assert settled(operations.handle(each)) == [Resolve(call, each.prompt)]
    operations.handle(Interact(100, "rain"))
    for each in said:
        assert operations.handle(each) == (Announce(each),)
    assert settled(operations.handle(InteractAcknowledged("rain"))) == [Resolve(100, "rain")]


def test_same_prompt_twice_takes_two_acknowledgments() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(Interact(2, "night"))
    said = InteractAcknowledged("night, with stars")
    assert settled(operations.handle(said)) == [Resolve(1, "night, with stars")]
    assert settled(operations.handle(said)) == [Resolve(2, "night, with stars")]


def test_acknowledgment_of_abandoned_interaction_settles_no_call() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(GaveUp(1))
    operations.handle(GaveUp(1))
    operations.handle(Interact(2, "rain"))
    assert settled(operations.handle(InteractAcknowledged("night, with stars"))) == []
    assert settled(operations.handle(InteractAcknowledged("rain"))) == [Resolve(2, "rain")]


def test_timed_out_start_may_still_succeed() -> None:
    operations = OperationMachine()
    operations.handle(Start(0, "a castle"))
    operations.handle(GaveUp(0))
    assert operations.handle(STARTED) == (Announce(STARTED),)
    assert operations.state is OperationState.STREAMING


def test_late_stream_started_does_not_settle_next_start() -> None:
    operations = OperationMachine()
    operations.handle(Start(0, "a castle"))
    operations.handle(GaveUp(0))
    operations.handle(Start(1, "a boat"))
    assert settled(operations.handle(STARTED)) == []
    assert operations.state is OperationState.STARTING_ANOTHER
    assert settled(operations.handle(StreamStarted("stream-2", "a boat"))) == [Resolve(1, "stream-2")]


def test_stream_error_rejects_the_waiting_start() -> None:
    operations = OperationMachine()
    operations.handle(Start(0, "a castle"))
    assert rejected(operations.handle(StreamFailed("quota_exceeded", "no more"))) == [(0, "quota_exceeded")]
    assert operations.state is OperationState.IDLE


def test_stream_error_rejects_oldest_interaction_then_end() -> None:
    operations = streaming()
    for call in (Interact(1, "one"), Interact(2, "two"), End(3)):
        operations.handle(call)
    error = StreamFailed("moderation", "no")
    assert [rejected(operations.handle(error)) for _ in range(4)] == [
        [(1, "moderation")],
        [(2, "moderation")],
        [(3, "moderation")],
        [],
    ]


def test_stream_end_rejects_unacknowledged_interactions() -> None:
    operations = streaming()
    operations.handle(Interact(1, "one"))
    operations.handle(Interact(2, "two"))
    assert rejected(operations.handle(StreamEnded())) == [(1, "stream_ended"), (2, "stream_ended")]
    assert operations.state is OperationState.IDLE


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (StreamEnded(), "stream_ended: The stream ended before this interaction was acknowledged."),
        (Close(PeerError("the peer is gone")), "The connection ended before the streamer replied: the peer is gone"),
        (
            SessionLost(SessionLostError("The session is gone.")),
            (
                "The session and its stream were lost before the streamer replied: it is not known whether this call "
                "was carried out. Start a new stream once the status is connected again."
            ),
        ),
    ],
)
def test_error_of_waiting_interaction_names_the_cause(end: OperationEvent, message: str) -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))

    assert [str(each.error) for each in operations.handle(end) if isinstance(each, Reject)] == [message]


def test_timed_out_end_can_be_retried() -> None:
    operations = streaming()
    operations.handle(End(1))
    operations.handle(GaveUp(1))
    operations.handle(End(2))
    assert settled(operations.handle(StreamEnded())) == [Resolve(2)]


def test_connection_end_rejects_all_calls() -> None:
    operations = streaming()
    operations.handle(Interact(1, "one"))
    operations.handle(End(2))
    effects = operations.handle(Close(PeerError("the peer is gone")))
    assert [(e.call, type(e.error)) for e in effects if isinstance(e, Reject)] == [
        (1, ConnectionClosedError),
        (2, ConnectionClosedError),
    ]
    with pytest.raises(InvalidStateError, match=r"connect\(\)"):
        operations.handle(Start(3, "again"))


@pytest.mark.parametrize(
    ("before", "call", "advice"),
    [
        ((), Interact(9, "x"), r"start_stream\(\)"),
        ((), End(9), r"start_stream\(\)"),
        ((Start(0, ""),), Start(9, ""), r"start_stream\(\) returns"),
        ((Start(0, ""),), Interact(9, ""), r"start_stream\(\) returns"),
        ((Start(0, ""), STARTED), Start(9, ""), r"end_stream\(\)"),
        ((Start(0, ""), STARTED, End(1)), End(9), r"end_stream\(\) returns"),
    ],
)
def test_rejected_call_gives_advice_and_changes_nothing(
    before: tuple[OperationEvent, ...], call: OperationEvent, advice: str
) -> None:
    operations = OperationMachine()
    for happened in before:
        operations.handle(happened)
    state, pending = operations.state, operations.pending
    with pytest.raises(InvalidStateError, match=advice):
        operations.handle(call)
    assert (operations.state, operations.pending) == (state, pending)


REASONS = """
    idle             Interact no_stream
    idle             End      no_stream
    starting         Start    stream_starting
    starting         Interact stream_starting
    starting         End      stream_starting
    starting_another Start    stream_starting
    starting_another Interact stream_starting
    starting_another End      stream_starting
    streaming        Start    stream_running
    ending           Start    stream_ending
    ending           Interact stream_ending
    ending           End      stream_ending
    closed           Start    not_connected
    closed           Interact not_connected
    closed           End      not_connected
"""
"""State, rejected call and reason."""

MESSAGES = {
    "no_stream": "No stream is running. Call start_stream() first.",
    "stream_starting": "A stream is starting. Wait until start_stream() returns.",
    "stream_running": "A stream is already running. Call end_stream() first, or interact() to change it.",
    "stream_ending": "The stream is ending. Wait until end_stream() returns, then call start_stream().",
    "not_connected": "The connection is closed. Call connect() first.",
}


def test_each_rejected_call_has_its_reason_and_message() -> None:
    reasons = [f"{state} {call.__name__} {reason}" for (state, call), (reason, _) in REFUSALS.items()]
    assert sorted(reasons) == expected_rows(REASONS)
    assert dict(REFUSALS.values()) == MESSAGES


def test_rejected_call_is_stream_error_with_reason() -> None:
    with pytest.raises(OdysseyStreamError) as raised:
        OperationMachine().handle(End(0))
    assert raised.value.reason == "no_stream"


GONE = SessionLost(SessionLostError("The session is gone."))
LOST = (Announce(StreamFailed("session_lost", "The session is gone.")), Announce(StreamEnded()))


def test_lost_session_ends_stream_and_rejects_pending_calls() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(End(2))
    effects = operations.handle(GONE)
    assert effects[:2] == LOST, (
        f"expected the end of the stream to be announced before any call is rejected, got the effects {effects}"
    )
    assert rejected(effects) == [(1, "session_lost"), (2, "session_lost")]
    assert all(isinstance(effect.error, SessionLostError) for effect in effects if isinstance(effect, Reject))
    assert operations.pending == frozenset()
    operations.handle(Start(3, "another"))
    assert operations.handle(STARTED) == (Announce(STARTED), Resolve(3, "stream-1"))


def test_lost_session_without_stream_only_rejects_waiting_calls() -> None:
    operations = OperationMachine()
    assert operations.handle(GONE) == ()
    operations.handle(Start(0, "a castle"))
    effects = operations.handle(GONE)
    assert rejected(effects) == [(0, "session_lost")]
    assert len(effects) == 1
    assert operations.state is OperationState.IDLE


def test_lost_session_discards_calls_that_gave_up() -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    operations.handle(GaveUp(1))
    operations.handle(GONE)
    operations.handle(Start(2, "another"))
    operations.handle(STARTED)
    operations.handle(Interact(3, "day"))
    assert settled(operations.handle(InteractAcknowledged("rewritten"))) == [Resolve(3, "rewritten")]
    assert operations.handle(GaveUp(1)) == ()


@pytest.mark.parametrize("reason", ["session_timeout", "quota_exceeded", "moderation"])
def test_rejection_is_retryable_as_in_error_table(reason: str) -> None:
    operations = streaming()
    operations.handle(Interact(1, "night"))
    (reject,) = settled(operations.handle(StreamFailed(reason, "no")))
    assert isinstance(reject, Reject)
    assert reject.error.retryable == (reason == "session_timeout")


def test_tables_cover_every_call_in_every_state() -> None:
    calls: tuple[Happening, ...] = (Start, Interact, End)
    for state in OperationState:
        for call in calls:
            assert (call in TRANSITIONS[state]) != ((state, call) in REFUSALS)
    reached = {INITIAL} | {to for row in TRANSITIONS.values() for to, _ in row.values()}
    assert reached == set(OperationState)
    used = {effect for row in TRANSITIONS.values() for _, effects in row.values() for effect in effects}
    assert used == set(get_args(OperationEffect.__value__))
    assert set(get_args(Guarded.__value__)) <= {event for row in TRANSITIONS.values() for event in row}


ANSWERS: st.SearchStrategy[StreamerMessage] = st.sampled_from(
    [
        STARTED,
        StreamStarted("stream-2", "b"),
        InteractAcknowledged("a"),
        InteractAcknowledged("rewritten"),
        StreamEnded(),
        StreamFailed("moderation", "no"),
        StreamFailed(ALREADY_ACTIVE, "no"),
        StreamFailed(NO_STREAM, "no"),
        BroadcastReady(BroadcastInfo("http://x", "t", None)),
        BroadcastUnusable("no URL"),
    ]
)


@settings(max_examples=300)
@given(st.data())
def test_random_events_settle_each_call_exactly_once(data: st.DataObject) -> None:
    operations = OperationMachine()
    made: set[int] = set()
    starts: set[int] = set()
    done: list[int] = []
    for number in range(data.draw(st.integers(1, 25))):
        kind = data.draw(st.sampled_from(["start", "interact", "end", "give up", "answer", "lose"]))
        happened: OperationEvent
        if kind == "answer":
            answer: StreamerMessage = data.draw(ANSWERS)
            happened = answer
        elif kind == "lose":
            happened = GONE
        elif kind == "give up":
            happened = GaveUp(data.draw(st.sampled_from(sorted(made) or [0])))
        else:
            prompt = data.draw(st.sampled_from(["a", "b", ""]))
            calls: dict[str, Call] = {
                "start": Start(number, prompt),
                "interact": Interact(number, prompt),
                "end": End(number),
            }
            happened = calls[kind]
        pending = operations.pending
        was_streaming = operations.state in {
            OperationState.STREAMING,
            OperationState.ENDING,
            OperationState.STARTING_ANOTHER,
        }
        try:
            effects = operations.handle(happened)
        except InvalidStateError:
            assert isinstance(happened, Start | Interact | End)
            continue
        if isinstance(happened, Start | Interact | End):
            made.add(happened.call)
            starts |= {happened.call} if isinstance(happened, Start) else set()
        elif isinstance(happened, GaveUp):
            assert not effects
            done += [happened.call] if happened.call in pending else []
        else:
            told = [effect.answer for effect in effects if isinstance(effect, Announce)]
            if isinstance(happened, SessionLost):
                assert told == ([effect.answer for effect in LOST] if was_streaming else [])
                assert not operations.pending
            elif isinstance(happened, BroadcastUnusable):
                assert told == [StreamFailed("broadcast_error", "no URL")]
                assert operations.pending == pending, (
                    f"expected the calls {pending} to stay pending after an unusable broadcast, "
                    f"got the pending calls {operations.pending}"
                )
            else:
                assert told == [happened]
        done += [effect.call for effect in effects if isinstance(effect, Resolve | Reject)]
        is_starting = operations.state in {OperationState.STARTING, OperationState.STARTING_ANOTHER}
        assert is_starting == bool(operations.pending & starts), (
            f"expected a starting state exactly while a start call waits, got {operations.state} and the waiting start "
            f"calls {sorted(operations.pending & starts)}"
        )
    done += [effect.call for effect in operations.handle(Close(PeerError("gone"))) if isinstance(effect, Reject)]
    assert sorted(done) == sorted(made)
