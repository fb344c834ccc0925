"""Errors of scripts, simulation jobs and downloads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from odyssey_client.errors.base import OdysseyError, excerpt

if TYPE_CHECKING:
    from odyssey_client.models import JSON, SimulationJobDetail


_LONGEST_REASON = 1000


@dataclass(frozen=True, slots=True)
class ScriptFault:
    """One thing that is wrong with a script: where, what was expected, and what came."""

    path: str
    """The place, such as ``scripts[1][3].interact.prompt``."""
    expected: str
    """What is right there; for a fault that the service found, what it says about it."""
    came: str
    """What was there; empty for a fault that the service found."""

    def __str__(self) -> str:
        said = f"expected {self.expected}, got {self.came}" if self.came else self.expected
        return f"{excerpt(self.path)}: {said}"  # a path may hold a key that is whatever was sent


class ScriptError(OdysseyError, ValueError):
    """A simulation script is wrong; the message has a line for each fault (protocol.md section 8).

    Attributes:
        faults: All of them, in the order of the script.
    """

    default_code = "invalid_script"

    def __init__(
        self,
        faults: Sequence[ScriptFault],
        *,
        status: int | None = None,
        detail: JSON = None,
        request_id: str | None = None,
    ) -> None:
        self.faults = tuple(faults)
        lines = [str(fault) for fault in self.faults]
        message = lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} faults:", *lines])
        super().__init__(message, status=status, detail=detail, request_id=request_id)
        self.args = (self.faults,)  # what pickle and copy call the class with


class OdysseySimulationError(OdysseyError):
    """A simulation job did not come to its good end, or a call about one was refused."""

    default_code = "simulation_error"


class SimulationFailedError(OdysseySimulationError):
    """The job failed, or some of its streams did.

    Attributes:
        job: The job as it ended; ``job.streams`` has what there is of the others.
        stream_errors: Why each stream failed that did, by the index of its script.
    """

    default_code = "simulation_failed"

    def __init__(self, job: SimulationJobDetail) -> None:
        errors = {each.script_index: each.error_message or "no reason given" for each in job.streams if each.has_failed}
        lines = [f"Simulation {job.job_id} failed: {excerpt(job.error_message or 'no reason given', _LONGEST_REASON)}"]
        lines += [f"script {index}: {excerpt(why, _LONGEST_REASON)}" for index, why in errors.items()]
        super().__init__("\n  ".join(lines))
        self.args = (job,)
        self.job = job
        self.stream_errors = errors


class SimulationCancelledError(OdysseySimulationError):
    """The job was cancelled, by whomever.

    Attributes:
        job: The job as it ended.
    """

    default_code = "simulation_cancelled"

    def __init__(self, job: SimulationJobDetail) -> None:
        super().__init__(f"Simulation {job.job_id} was cancelled")
        self.args = (job,)
        self.job = job


class SimulationTimeoutError(OdysseySimulationError):
    """The job had not ended in the time it was waited for. It goes on: wait again, or cancel it.

    Attributes:
        job: The job as it was last seen; None if it never was.
    """

    default_code = "simulation_timeout"
    default_retryable = True

    def __init__(self, job_id: str, timeout: float, job: SimulationJobDetail | None) -> None:
        seen = "it was never seen" if job is None else f"it is {job.status}"
        super().__init__(
            f"Simulation {job_id} did not end within {timeout:g} s: {seen}. It goes on: wait again, or cancel it."
        )
        self.args = (job_id, timeout, job)
        self.job = job


class DownloadError(OdysseyError):
    """A file could not be fetched whole, or not be written; nothing of it is left under its name."""

    default_code = "download_failed"
