"""Tests of the stream machine: its transition table and random walks through it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from odyssey_mock.core.state_machine import IllegalEventError
from odyssey_mock.sessions.stream_machine import TRANSITIONS, StreamEffect, StreamEvent, StreamMachine, StreamState

FROM_THE_CLIENT = {StreamEvent.START, StreamEvent.UPDATE, StreamEvent.END, StreamEvent.GONE}


@pytest.mark.parametrize("state", sorted(StreamState))
def test_client_events_are_legal_in_every_state(state: StreamState) -> None:
    assert set(TRANSITIONS[state]) >= FROM_THE_CLIENT


@given(st.sampled_from(sorted(StreamState)), st.sampled_from(sorted(FROM_THE_CLIENT - {StreamEvent.GONE})))
def test_request_is_either_carried_out_or_rejected(state: StreamState, event: StreamEvent) -> None:
    _, effects = TRANSITIONS[state][event]
    refusals = [effect for effect in effects if effect.name.startswith("REJECT")]
    assert len(refusals) <= 1
    assert not refusals or effects == tuple(refusals)
    assert effects or state is StreamState.CLOSED


STARTING = (StreamEvent.START,)
RUNNING = (StreamEvent.START, StreamEvent.FIRST_FRAME)
CLOSED = (StreamEvent.GONE,)


@pytest.mark.parametrize(
    ("earlier", "event", "effects", "state"),
    [
        ((), StreamEvent.UPDATE, (StreamEffect.REJECT_NO_STREAM,), StreamState.IDLE),
        ((), StreamEvent.END, (StreamEffect.REPLY_TO_NEEDLESS_END,), StreamState.IDLE),
        (STARTING, StreamEvent.UPDATE, (StreamEffect.APPLY,), StreamState.STARTING),
        (STARTING, StreamEvent.END, (StreamEffect.FINISH, StreamEffect.ANNOUNCE_END), StreamState.IDLE),
        (STARTING, StreamEvent.BROKE, (StreamEffect.FINISH, StreamEffect.ANNOUNCE_ERROR), StreamState.IDLE),
        (RUNNING, StreamEvent.UPDATE, (StreamEffect.APPLY,), StreamState.RUNNING),
        (RUNNING, StreamEvent.END, (StreamEffect.FINISH, StreamEffect.ANNOUNCE_END), StreamState.IDLE),
        (
            RUNNING,
            StreamEvent.BROKE,
            (StreamEffect.FINISH, StreamEffect.ANNOUNCE_ERROR, StreamEffect.ANNOUNCE_END),
            StreamState.IDLE,
        ),
        # The first frame of a stream may be drawn after its session is over.
        (CLOSED, StreamEvent.FIRST_FRAME, (), StreamState.CLOSED),
    ],
)
def test_event_has_its_effects_in_order(
    earlier: tuple[StreamEvent, ...], event: StreamEvent, effects: tuple[StreamEffect, ...], state: StreamState
) -> None:
    machine = StreamMachine()
    for each in earlier:
        machine.handle(each)

    assert machine.handle(event) == effects
    assert machine.state is state


@pytest.mark.parametrize("earlier", [(), STARTING, RUNNING])
def test_stream_is_closed_when_session_is_over(earlier: tuple[StreamEvent, ...]) -> None:
    machine = StreamMachine()
    for each in (*earlier, StreamEvent.GONE):
        machine.handle(each)

    assert machine.state is StreamState.CLOSED


class Streams(RuleBasedStateMachine):
    """A Hypothesis test that passes random requests of a client to a `StreamMachine`.

    The test checks each effect against a model of the stream.
    """

    def __init__(self) -> None:
        super().__init__()
        self.machine = StreamMachine()
        self.shown = False
        self.announced = False
        self.over = False

    def _do(self, event: StreamEvent) -> tuple[StreamEffect, ...]:
        effects = self.machine.handle(event)
        for effect in effects:
            match effect:
                case StreamEffect.BEGIN:
                    assert not self.shown
                    self.shown = True
                case StreamEffect.ANNOUNCE:
                    assert self.shown
                    assert not self.announced
                    self.announced = True
                case StreamEffect.APPLY:
                    assert self.shown
                case StreamEffect.FINISH:
                    assert self.shown
                    self.shown = self.announced = False
                case StreamEffect.ANNOUNCE_END | StreamEffect.ANNOUNCE_ERROR | StreamEffect.ANNOUNCE_OVERDUE:
                    assert not self.shown
                    assert not self.over
                case StreamEffect.HANG_UP:
                    assert not self.over
                case StreamEffect.REJECT_ALREADY_RUNNING:
                    assert self.shown
                case StreamEffect.REJECT_NO_STREAM | StreamEffect.REPLY_TO_NEEDLESS_END:
                    assert not self.shown
        return effects

    @rule()
    def start(self) -> None:
        effects = self._do(StreamEvent.START)
        assert (StreamEffect.BEGIN in effects) != (StreamEffect.REJECT_ALREADY_RUNNING in effects) or self.over

    @rule()
    def update(self) -> None:
        self._do(StreamEvent.UPDATE)

    @rule()
    def end(self) -> None:
        self._do(StreamEvent.END)
        assert not self.shown

    @precondition(lambda self: self.shown and not self.announced)
    @rule()
    def first_frame(self) -> None:
        assert self._do(StreamEvent.FIRST_FRAME) == (StreamEffect.ANNOUNCE,)

    @precondition(lambda self: self.shown)
    @rule()
    def broke(self) -> None:
        announced = self.announced
        effects = self._do(StreamEvent.BROKE)
        assert StreamEffect.ANNOUNCE_ERROR in effects
        assert (StreamEffect.ANNOUNCE_END in effects) == announced, (
            f"expected stream_ended only after stream_started (sent: {announced}), got the effects {effects}"
        )
        assert self.machine.state is StreamState.IDLE

    @precondition(lambda self: self.shown)
    @rule()
    def overdue(self) -> None:
        assert self._do(StreamEvent.OVERDUE)[-2:] == (StreamEffect.ANNOUNCE_OVERDUE, StreamEffect.HANG_UP)
        self.over = True
        assert self.machine.state is StreamState.CLOSED

    @rule()
    def gone(self) -> None:
        self._do(StreamEvent.GONE)
        self.over = True
        assert not self.shown
        assert self.machine.state is StreamState.CLOSED


TestStreams = Streams.TestCase


def test_first_frame_without_start_raises_error() -> None:
    with pytest.raises(
        IllegalEventError, match="a stream that is idle expects one of end, gone, start, update, got first_frame"
    ):
        StreamMachine().handle(StreamEvent.FIRST_FRAME)
