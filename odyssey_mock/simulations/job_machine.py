"""The state machine of one simulation job (`protocol.md` section 8).

The two rules of `sessions/session_machine.py` apply: `TRANSITIONS` lists every event that may happen, and the machine
only returns effects. `simulations/jobs.py` carries them out, in order.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from odyssey_mock.core.state_machine import Machine


class JobState(StrEnum):
    """States of a job, with their names on the wire."""

    PENDING = "pending"
    """In the queue, or assigned to a worker that is getting ready."""
    DISPATCHED = "dispatched"
    """Dispatched to a worker in a region."""
    PROCESSING = "processing"
    """The worker runs the scripts, one after the other."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
"""The final states."""


class JobEvent(StrEnum):
    """Events of a job."""

    DISPATCH = "dispatch"
    BEGIN = "begin"
    """The worker is ready to run the scripts."""
    STREAMS_DONE = "streams_done"
    """All scripts were run, and no stream failed."""
    STREAMS_FAILED = "streams_failed"
    """All scripts were run, and at least one stream failed."""
    SCRIPT_REFUSED = "script_refused"
    """No valid script could be fetched from the `script_url`."""
    BROKE = "broke"
    """The run of the scripts ended with an unexpected exception: a bug in the mock."""
    WORKER_LOST = "worker_lost"
    """The worker was lost; the job has retries left."""
    WORKER_GIVEN_UP = "worker_given_up"
    """The worker was lost; the job has no retries left."""
    WORKER_LOST_EARLY = "worker_lost_early"
    """Like `WORKER_LOST`, but while the worker was getting ready for the job."""
    WORKER_GIVEN_UP_EARLY = "worker_given_up_early"
    """Like `WORKER_GIVEN_UP`, but while the worker was getting ready for the job."""
    MADE_TO_FAIL = "made_to_fail"
    """A fault makes the job fail."""
    CANCEL = "cancel"
    """A client cancels the job."""
    CANCEL_UNBEGUN = "cancel_unbegun"
    """Like `CANCEL`, but not allowed while the job is being processed (setting `cancel_processing`)."""
    SHUT_DOWN = "shut_down"
    """The mock stops or is reset."""


class JobEffect(StrEnum):
    """Effects of a transition; `Jobs` carries them out in order."""

    AWAIT_BEGIN = "await_begin"
    """Record the region and the time of the dispatch; set the deadline of `BEGIN`."""
    RUN_SCRIPTS = "run_scripts"
    LEAVE_QUEUE = "leave_queue"
    """Remove the job from the queue, if it is still waiting for a worker."""
    FORGET_STREAMS = "forget_streams"
    """Drop the records of all streams of the job."""
    FORGET_UNFINISHED = "forget_unfinished"
    """Drop the records of running and waiting streams; keep those of streams that have ended."""
    REQUEUE = "requeue"
    """Put the job back at its previous position in the queue, and count a retry."""
    RELEASE_WORKER = "release_worker"
    """Stop the job's run and free its worker, if it has one."""
    RETIRE = "retire"
    """Record the end of the job and its cause; drop the oldest ended jobs above the setting `jobs_limit`."""
    REFUSE_CANCEL = "refuse_cancel"
    REFUSE_LOSS = "refuse_loss"
    """Reject the call of `Jobs.lose_worker`: the job has no worker."""


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
    """The state machine of one job."""

    def __init__(self) -> None:
        super().__init__("simulation job", TRANSITIONS, INITIAL)
