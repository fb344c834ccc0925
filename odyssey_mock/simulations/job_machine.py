"""The life of one simulation job as a table (`protocol.md` section 8).

The same two rules as in `sessions/session_machine.py`: what may happen lives in `TRANSITIONS`; the machine only says
what is to be done. `simulations/jobs.py` carries the actions out, in order.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from odyssey_mock.core.state_machine import Machine


class State(StrEnum):
    """Where a job stands; the words of the wire."""

    PENDING = "pending"
    """In the queue, or with a worker that is being got ready for it."""
    DISPATCHED = "dispatched"
    """A worker in some region has it."""
    PROCESSING = "processing"
    """Its scripts are run, one after the other."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
"""Nothing leads out of these."""


class Event(StrEnum):
    """What can happen to a job."""

    DISPATCH = "dispatch"
    BEGIN = "begin"
    """The worker is ready to run the scripts."""
    STREAMS_DONE = "streams_done"
    """Every script was run, and no stream failed."""
    STREAMS_FAILED = "streams_failed"
    """Every script was run, and a stream failed or more."""
    SCRIPT_REFUSED = "script_refused"
    """No script came from its `script_url`."""
    BROKE = "broke"
    """A defect of the mock: the worker is free all the same."""
    WORKER_LOST = "worker_lost"
    WORKER_GIVEN_UP = "worker_given_up"
    """The worker was lost once more than the job may be begun anew."""
    WORKER_LOST_EARLY = "worker_lost_early"
    """The worker was lost while it was being got ready for the job."""
    WORKER_GIVEN_UP_EARLY = "worker_given_up_early"
    """The same, once more than the job may be begun anew."""
    MADE_TO_FAIL = "made_to_fail"
    """A fault that was asked for is its end."""
    CANCEL = "cancel"
    """The user does not want it any more."""
    CANCEL_UNBEGUN = "cancel_unbegun"
    """The same, where a job that is being processed is not to be cancelled (setting `cancel_processing`)."""
    SHUT_DOWN = "shut_down"
    """The mock stops or is reset."""


class Action(StrEnum):
    """What is to be done, in the order given."""

    AWAIT_BEGIN = "await_begin"
    """Note region and time; let `BEGIN` happen after the set time."""
    RUN_SCRIPTS = "run_scripts"
    LEAVE_QUEUE = "leave_queue"
    """Be in the queue no more; nothing where a worker has taken it out already."""
    FORGET_STREAMS = "forget_streams"
    """As if none of its scripts had been run."""
    FORGET_UNFINISHED = "forget_unfinished"
    """The stream that was on and those still to come; what had ended stays."""
    REQUEUE = "requeue"
    """Back into the queue, at its old place, with one retry more."""
    RELEASE_WORKER = "release_worker"
    """Stop what is under way and free the worker; nothing where it has none."""
    RETIRE = "retire"
    """Note the end and its cause; forget the oldest jobs that have ended where there are too many."""
    REFUSE_CANCEL = "refuse_cancel"
    REFUSE_LOSS = "refuse_loss"
    """Say that it has no worker to lose."""


type Transition = tuple[State, tuple[Action, ...]]

_OVER = (Action.RELEASE_WORKER, Action.RETIRE)
_CUT = (Action.FORGET_UNFINISHED, *_OVER)
_UNQUEUED = (State.CANCELLED, (Action.LEAVE_QUEUE, *_OVER))
_LOST: Mapping[Event, Transition] = {
    Event.WORKER_LOST: (State.PENDING, (Action.FORGET_STREAMS, Action.RELEASE_WORKER, Action.REQUEUE)),
    Event.WORKER_GIVEN_UP: (State.FAILED, (Action.FORGET_STREAMS, *_OVER)),
}


def _with_no_worker(state: State) -> Mapping[Event, Transition]:
    return dict.fromkeys((Event.WORKER_LOST, Event.WORKER_GIVEN_UP), (state, (Action.REFUSE_LOSS,)))


def _ended(state: State) -> Mapping[Event, Transition]:
    return {
        **dict.fromkeys((Event.CANCEL, Event.CANCEL_UNBEGUN), (state, (Action.REFUSE_CANCEL,))),
        **_with_no_worker(state),
        Event.SHUT_DOWN: (state, ()),
    }


INITIAL = State.PENDING

TRANSITIONS: Mapping[State, Mapping[Event, Transition]] = MappingProxyType(
    {
        State.PENDING: {
            Event.DISPATCH: (State.DISPATCHED, (Action.AWAIT_BEGIN,)),
            Event.CANCEL: _UNQUEUED,
            Event.CANCEL_UNBEGUN: _UNQUEUED,
            Event.SHUT_DOWN: _UNQUEUED,
            Event.MADE_TO_FAIL: (State.FAILED, (Action.LEAVE_QUEUE, *_OVER)),
            Event.WORKER_LOST_EARLY: (State.PENDING, (Action.RELEASE_WORKER, Action.REQUEUE)),
            Event.WORKER_GIVEN_UP_EARLY: (State.FAILED, (Action.LEAVE_QUEUE, *_OVER)),
            **_with_no_worker(State.PENDING),
        },
        State.DISPATCHED: {
            Event.BEGIN: (State.PROCESSING, (Action.RUN_SCRIPTS,)),
            Event.CANCEL: (State.CANCELLED, _OVER),
            Event.CANCEL_UNBEGUN: (State.CANCELLED, _OVER),
            Event.SHUT_DOWN: (State.CANCELLED, _OVER),
            Event.MADE_TO_FAIL: (State.FAILED, _OVER),
            **_LOST,
        },
        State.PROCESSING: {
            Event.STREAMS_DONE: (State.COMPLETED, _OVER),
            Event.STREAMS_FAILED: (State.FAILED, _OVER),
            Event.SCRIPT_REFUSED: (State.FAILED, _OVER),
            Event.BROKE: (State.FAILED, _CUT),
            Event.CANCEL: (State.CANCELLED, _CUT),
            Event.CANCEL_UNBEGUN: (State.PROCESSING, (Action.REFUSE_CANCEL,)),
            Event.SHUT_DOWN: (State.CANCELLED, _CUT),
            Event.MADE_TO_FAIL: (State.FAILED, _CUT),
            **_LOST,
        },
        State.COMPLETED: _ended(State.COMPLETED),
        State.FAILED: _ended(State.FAILED),
        State.CANCELLED: _ended(State.CANCELLED),
    }
)


class JobMachine(Machine[State, Event, Action]):
    """One job's place in `TRANSITIONS`."""

    def __init__(self) -> None:
        super().__init__("simulation job", TRANSITIONS, INITIAL)
