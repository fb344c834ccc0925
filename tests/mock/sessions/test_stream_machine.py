"""The stream's table, walked by Hypothesis without a peer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from odyssey_mock.core.state_machine import IllegalEventError
from odyssey_mock.sessions.stream_machine import TRANSITIONS, Action, Event, State, StreamMachine

FROM_THE_CLIENT = {Event.START, Event.UPDATE, Event.END, Event.GONE}


@pytest.mark.parametrize("state", sorted(State))
def test_nothing_a_client_can_say_is_illegal_in_any_state(state: State) -> None:
    assert set(TRANSITIONS[state]) >= FROM_THE_CLIENT


@given(st.sampled_from(sorted(State)), st.sampled_from(sorted(FROM_THE_CLIENT - {Event.GONE})))
def test_each_request_is_either_carried_out_or_refused_never_both(state: State, event: Event) -> None:
    _, actions = TRANSITIONS[state][event]
    refusals = [action for action in actions if action.name.startswith("REJECT")]
    assert len(refusals) <= 1
    assert not refusals or actions == tuple(refusals)
    assert actions or state is State.CLOSED


class Streams(RuleBasedStateMachine):
    """A client that asks for anything at any time; a model that knows what must come of it."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = StreamMachine()
        self.shown = False
        self.announced = False
        self.over = False

    def _do(self, event: Event) -> tuple[Action, ...]:
        actions = self.machine.handle(event)
        for action in actions:
            match action:
                case Action.BEGIN:
                    assert not self.shown
                    self.shown = True
                case Action.ANNOUNCE:
                    assert self.shown
                    assert not self.announced
                    self.announced = True
                case Action.APPLY:
                    assert self.shown
                case Action.FINISH:
                    assert self.shown
                    self.shown = self.announced = False
                case Action.ANNOUNCE_END | Action.ANNOUNCE_ERROR | Action.ANNOUNCE_OVERDUE:
                    assert not self.shown
                    assert not self.over
                case Action.HANG_UP:
                    assert not self.over
                case Action.REJECT_ALREADY_RUNNING:
                    assert self.shown
                case Action.REJECT_NO_STREAM:
                    assert not self.shown
        return actions

    @rule()
    def start(self) -> None:
        actions = self._do(Event.START)
        assert (Action.BEGIN in actions) != (Action.REJECT_ALREADY_RUNNING in actions) or self.over

    @rule()
    def update(self) -> None:
        self._do(Event.UPDATE)

    @rule()
    def end(self) -> None:
        self._do(Event.END)
        assert not self.shown

    @precondition(lambda self: self.shown and not self.announced)
    @rule()
    def first_frame(self) -> None:
        assert self._do(Event.FIRST_FRAME) == (Action.ANNOUNCE,)

    @precondition(lambda self: self.shown)
    @rule()
    def broke(self) -> None:
        announced = self.announced
        actions = self._do(Event.BROKE)
        assert Action.ANNOUNCE_ERROR in actions
        assert (Action.ANNOUNCE_END in actions) == announced, "what was never announced has no end to announce"
        assert self.machine.state is State.IDLE

    @precondition(lambda self: self.shown)
    @rule()
    def overdue(self) -> None:
        assert self._do(Event.OVERDUE)[-2:] == (Action.ANNOUNCE_OVERDUE, Action.HANG_UP)
        self.over = True
        assert self.machine.state is State.CLOSED

    @rule()
    def gone(self) -> None:
        self._do(Event.GONE)
        self.over = True
        assert not self.shown
        assert self.machine.state is State.CLOSED


TestStreams = Streams.TestCase


def test_a_first_frame_without_a_start_is_a_defect_and_says_so() -> None:
    with pytest.raises(
        IllegalEventError, match="a stream that is idle expects one of end, gone, start, update; first_frame came"
    ):
        StreamMachine().handle(Event.FIRST_FRAME)
