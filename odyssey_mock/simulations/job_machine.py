"""The life of one simulation job as a table (`protocol.md` section 8).

The same two rules as in `sessions/session_machine.py`: what may happen lives in `TRANSITIONS`; the machine only says
what is to be done. `simulations/jobs.py` carries the effects out, in order.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from odyssey_mock.core.state_machine import Machine


class JobState(StrEnum):
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


ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
"""Nothing leads out of these."""


class JobEvent(StrEnum):
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


class JobEffect(StrEnum):
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


type Transition = tuple[JobState, tuple[JobEffect, ...]]

_OVER = (JobEffect.RELEASE_WORKER, JobEffect.RETIRE)
_CUT = (JobEffect.FORGET_UNFINISHED, *_OVER)
_UNQUEUED = (JobState.CANCELLED, (JobEffect.LEAVE_QUEUE, *_OVER))
_LOST: Mapping[JobEvent, Transition] = {
    JobEvent.WORKER_LOST: (JobState.PENDING, (JobEffect.FORGET_STREAMS, JobEffect.RELEASE_WORKER, JobEffect.REQUEUE)),
    JobEvent.WORKER_GIVEN_UP: (JobState.FAILED, (JobEffect.FORGET_STREAMS, *_OVER)),
}


def _with_no_worker(state: JobState) -> Mapping[JobEvent, Transition]:
    return dict.fromkeys((JobEvent.WORKER_LOST, JobEvent.WORKER_GIVEN_UP), (state, (JobEffect.REFUSE_LOSS,)))


def _ended(state: JobState) -> Mapping[JobEvent, Transition]:
    return {
        **dict.fromkeys((JobEvent.CANCEL, JobEvent.CANCEL_UNBEGUN), (state, (JobEffect.REFUSE_CANCEL,))),
        **_with_no_worker(state),
        JobEvent.SHUT_DOWN: (state, ()),
    }


INITIAL = JobState.PENDING

TRANSITIONS: Mapping[JobState, Mapping[JobEvent, Transition]] = MappingProxyType(
    {
        JobState.PENDING: {
            JobEvent.DISPATCH: (JobState.DISPATCHED, (JobEffect.AWAIT_BEGIN,)),
            JobEvent.CANCEL: _UNQUEUED,
            JobEvent.CANCEL_UNBEGUN: _UNQUEUED,
            JobEvent.SHUT_DOWN: _UNQUEUED,
            JobEvent.MADE_TO_FAIL: (JobState.FAILED, (JobEffect.LEAVE_QUEUE, *_OVER)),
            JobEvent.WORKER_LOST_EARLY: (JobState.PENDING, (JobEffect.RELEASE_WORKER, JobEffect.REQUEUE)),
            JobEvent.WORKER_GIVEN_UP_EARLY: (JobState.FAILED, (JobEffect.LEAVE_QUEUE, *_OVER)),
            **_with_no_worker(JobState.PENDING),
        },
        JobState.DISPATCHED: {
            JobEvent.BEGIN: (JobState.PROCESSING, (JobEffect.RUN_SCRIPTS,)),
            JobEvent.CANCEL: (JobState.CANCELLED, _OVER),
            JobEvent.CANCEL_UNBEGUN: (JobState.CANCELLED, _OVER),
            JobEvent.SHUT_DOWN: (JobState.CANCELLED, _OVER),
            JobEvent.MADE_TO_FAIL: (JobState.FAILED, _OVER),
            **_LOST,
        },
        JobState.PROCESSING: {
            JobEvent.STREAMS_DONE: (JobState.COMPLETED, _OVER),
            JobEvent.STREAMS_FAILED: (JobState.FAILED, _OVER),
            JobEvent.SCRIPT_REFUSED: (JobState.FAILED, _OVER),
            JobEvent.BROKE: (JobState.FAILED, _CUT),
            JobEvent.CANCEL: (JobState.CANCELLED, _CUT),
            JobEvent.CANCEL_UNBEGUN: (JobState.PROCESSING, (JobEffect.REFUSE_CANCEL,)),
            JobEvent.SHUT_DOWN: (JobState.CANCELLED, _CUT),
            JobEvent.MADE_TO_FAIL: (JobState.FAILED, _CUT),
            **_LOST,
        },
        JobState.COMPLETED: _ended(JobState.COMPLETED),
        JobState.FAILED: _ended(JobState.FAILED),
        JobState.CANCELLED: _ended(JobState.CANCELLED),
    }
)


class JobMachine(Machine[JobState, JobEvent, JobEffect]):
    """One job's place in `TRANSITIONS`."""

    def __init__(self) -> None:
        super().__init__("simulation job", TRANSITIONS, INITIAL)
