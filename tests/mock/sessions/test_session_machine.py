"""The session's table, walked by Hypothesis without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from odyssey_mock.core.state_machine import IllegalEventError
from odyssey_mock.sessions.session_machine import INITIAL, TRANSITIONS, Action, Event, SessionMachine, State
from tests.support.histories import histories

FROM_THE_NETWORK = {
    Event.SOCKET_OPENED,
    Event.ANSWERED,
    Event.PEER_CLOSED,
    Event.PEER_LOST,
    Event.CLIENT_LEFT,
    Event.SOCKET_CLOSED,
    Event.SOCKET_LOST,
}
SERVED = {State.SIGNALING, State.CONNECTING, State.CONNECTED, State.RETURNING, State.REJOINING}
"""A socket is open."""
AWAY = {State.HELD, State.RETURNING, State.REJOINING}
"""A client was up, and is not now."""
UNREAD = {State.WAITING, State.HELD}
"""Nobody listens: a socket may be taken up."""

type Step = tuple[State, Event, tuple[Action, ...], State]

ROWS: list[Step] = [
    (state, event, actions, after) for state, row in TRANSITIONS.items() for event, (after, actions) in row.items()
]


def test_every_state_has_a_row_and_every_row_leads_to_a_state() -> None:
    assert set(TRANSITIONS) == set(State)
    reached = {INITIAL} | {target for row in TRANSITIONS.values() for target, _ in row.values()}
    assert reached == set(State)


@pytest.mark.parametrize("state", sorted(SERVED))
def test_nothing_a_client_can_cause_is_illegal_while_it_has_a_socket(state: State) -> None:
    assert set(TRANSITIONS[state]) >= FROM_THE_NETWORK


@pytest.mark.parametrize("state", sorted(UNREAD))
def test_a_session_without_a_socket_is_taken_up_by_the_next_with_an_offer(state: State) -> None:
    after, actions = TRANSITIONS[state][Event.SOCKET_OPENED]
    assert after in {State.SIGNALING, State.RETURNING}
    assert actions == (Action.SEND_OFFER,)


@pytest.mark.parametrize("state", sorted(State))
def test_the_server_can_shut_a_session_down_in_any_state(state: State) -> None:
    assert TRANSITIONS[state][Event.SHUT_DOWN][0] is State.CLOSED


@pytest.mark.parametrize("state", sorted({State.CONNECTED, *AWAY}))
@pytest.mark.parametrize("event", [Event.CLIENT_LEFT, Event.SOCKET_CLOSED, Event.STREAM_OVERDUE])
def test_a_goodbye_and_the_end_of_the_time_end_a_session_whoever_is_there(state: State, event: Event) -> None:
    if state is State.HELD and event is not Event.STREAM_OVERDUE:
        assert event not in TRANSITIONS[state], "there is nobody to say it"
    else:
        assert TRANSITIONS[state][event][0] is State.CLOSED


@pytest.mark.parametrize("event", [Event.SOCKET_LOST, Event.PEER_LOST])
def test_a_loss_without_a_goodbye_holds_what_was_up_and_only_that(event: Event) -> None:
    held = {state for state in SERVED if TRANSITIONS[state][event][0] is State.HELD}
    assert held == {State.CONNECTED, State.RETURNING, State.REJOINING}


@given(histories(SessionMachine, TRANSITIONS))
def test_the_slot_is_given_back_exactly_once_and_exactly_at_the_close(history: list[Step]) -> None:
    for before, _, actions, after in history:
        closes = after is State.CLOSED and before is not State.CLOSED
        assert (Action.RELEASE in actions) == closes
    assert sum(actions.count(Action.RELEASE) for _, _, actions, _ in history) <= 1


@given(histories(SessionMachine, TRANSITIONS))
def test_a_closed_session_never_comes_back_and_does_nothing_but_refuse(history: list[Step]) -> None:
    for before, _, actions, after in history:
        if before is State.CLOSED:
            assert after is State.CLOSED
            assert set(actions) <= {Action.REFUSE_SOCKET}


@given(histories(SessionMachine, TRANSITIONS))
def test_a_second_socket_is_refused_and_changes_nothing(history: list[Step]) -> None:
    for before, event, actions, after in history:
        if event is Event.SOCKET_OPENED and before not in UNREAD:
            assert actions == (Action.REFUSE_SOCKET,)
            assert after is before


@pytest.mark.parametrize("step", ROWS, ids=lambda step: f"{step[0]}-{step[1]}")
def test_what_is_told_is_told_before_the_line_is_closed(step: Step) -> None:
    _, _, actions, _ = step
    last = [action for action in actions if action in {Action.HANG_UP, Action.DROP_LINE}]
    if last:
        told = [action for action in actions if action is Action.DRAIN or action.name.startswith("REPORT")]
        assert actions[: len(told)] == tuple(told)
        assert len(last) == 1


class Sessions(RuleBasedStateMachine):
    """A client, a network and a clock that do anything at any time; a model that knows what must be there."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = SessionMachine()
        self.line = False
        """An offer was made, and its line is still there."""
        self.channels = False
        self.video = False
        """The stream and its frames go on, seen or unseen."""
        self.shown = False
        self.slot = True
        self.due = {Event.DANGLING, Event.UNUSED}

    def _do(self, event: Event) -> None:
        self.due.discard(event)
        for action in self.machine.handle(event):
            match action:
                case Action.SEND_OFFER:
                    assert not self.line, "no offer twice without a hang up or a drop"
                    self.line = True
                case Action.START_VIDEO:
                    assert not self.video
                    self.video = self.shown = True
                    self.due.add(Event.STREAM_OVERDUE)
                case Action.RESUME_VIDEO:
                    assert self.video
                    assert not self.shown
                    self.shown = True
                case Action.OPEN_CHANNELS:
                    assert self.line
                    assert not self.channels
                    self.channels = True
                case Action.DROP_LINE:
                    assert self.line
                    assert self.video
                    self.line = self.channels = self.shown = False
                case Action.HANG_UP:
                    self.line = self.channels = self.video = self.shown = False
                case Action.RELEASE:
                    assert self.slot
                    self.slot = False
                case Action.ARM_LIMIT:
                    self.due.add(Event.CONNECTION_OVERDUE)
                case Action.ARM_INACTIVITY:
                    self.due.add(Event.INACTIVE)
                case Action.DISARM_INACTIVITY:
                    self.due.discard(Event.INACTIVE)
                case Action.ARM_GRACE:
                    assert Event.GRACE_OVER not in self.due, "a try that fails does not begin the grace anew"
                    self.due.add(Event.GRACE_OVER)
                case Action.DISARM_GRACE:
                    assert Event.GRACE_OVER in self.due
                    self.due.discard(Event.GRACE_OVER)
                case Action.DISARM:
                    self.due &= {Event.UNUSED, Event.STREAM_OVERDUE}
                case _:
                    pass

    @rule()
    def a_socket_opens(self) -> None:
        self._do(Event.SOCKET_OPENED)

    @precondition(lambda self: self.line)
    @rule()
    def the_client_answers(self) -> None:
        self._do(Event.ANSWERED)

    @precondition(lambda self: self.machine.state in {State.CONNECTING, State.REJOINING})
    @rule(event=st.sampled_from([Event.PEER_CONNECTED, Event.DESCRIPTION_REFUSED]))
    def the_answer_is_applied(self, event: Event) -> None:
        self._do(event)

    @precondition(lambda self: self.line)
    @rule(event=st.sampled_from(sorted(FROM_THE_NETWORK - {Event.SOCKET_OPENED, Event.ANSWERED})))
    def the_client_goes(self, event: Event) -> None:
        self._do(event)

    @rule(data=st.data())
    def something_is_due(self, data: st.DataObject) -> None:
        due = sorted(self.due - ({Event.STREAM_OVERDUE} if not self.video else set()))
        if due:
            self._do(data.draw(st.sampled_from(due)))

    @rule()
    def the_server_ends_it(self) -> None:
        self._do(Event.SHUT_DOWN)

    @invariant()
    def what_is_there_is_what_the_state_says(self) -> None:
        state = self.machine.state
        assert self.line == (state in SERVED)
        assert self.channels == (state is State.CONNECTED)
        assert self.shown == (state is State.CONNECTED)
        assert self.video == (state is State.CONNECTED or state in AWAY)
        assert self.slot == (state is not State.CLOSED)

    @invariant()
    def what_is_due_is_what_can_end_that_state(self) -> None:
        state = self.machine.state
        assert (Event.GRACE_OVER in self.due) == (state in AWAY)
        assert (Event.CONNECTION_OVERDUE in self.due) == (state is State.CONNECTED or state in AWAY)
        assert (Event.INACTIVE in self.due) <= (state is State.CONNECTED)
        assert (Event.DANGLING in self.due) == (state in {State.WAITING, State.SIGNALING, State.CONNECTING})


TestSessions = Sessions.TestCase


@given(st.sampled_from(sorted(State)), st.sampled_from(sorted(Event)))
def test_an_event_the_table_does_not_list_raises_and_leaves_the_state(state: State, event: Event) -> None:
    machine = SessionMachine()
    machine.state = state
    if event in TRANSITIONS[state]:
        machine.handle(event)
        assert machine.state is TRANSITIONS[state][event][0]
    else:
        with pytest.raises(IllegalEventError, match=f"{state} expects one of .*{event} came"):
            machine.handle(event)
        assert machine.state is state
