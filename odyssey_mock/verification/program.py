"""The program of `odyssey-mock verify`, which runs its steps against a service and records them.

Each step has a time limit. A step that fails does not stop the others, except those that need its result. When the
program is cancelled, each step ends what it has opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from odyssey_client.errors import OdysseyError, OdysseyUsageError, QueueTimeoutError
from odyssey_client.event_loop import in_thread
from odyssey_client.platform import Platform
from odyssey_client.redaction import remember
from odyssey_client.system import default_platform
from odyssey_client.trace.recorder import Recorder, Recording
from odyssey_mock.verification.masking import remember_secrets
from odyssey_mock.verification.observations import Observations, Outcome, StepRun, observed
from odyssey_mock.verification.stage import CannotVerifyError, Shared, Stage, StepError
from odyssey_mock.verification.steps import STEPS

PROGRAM_LIMIT_S = 300.0
"""Time limit of the whole program, in seconds. A queue of jobs may take minutes."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        observations: what was observed.
        recording: the recorded events, for the trace file. They are not redacted.
    """

    observations: Observations
    recording: Recording = field(repr=False)


class Program:
    """One run of the program against a service."""

    def __init__(
        self,
        api_key: str,
        api_url: str,
        *,
        platform: Platform | None = None,
        steps: Iterable[str] | None = None,
        say: Callable[[str], None] = lambda _: None,
        limit: float = PROGRAM_LIMIT_S,
    ) -> None:
        """Prepare a run. ``steps`` selects some of `STEPS`; `authentication` is always run."""
        self._shared = Shared(api_key=api_key, api_url=api_url.rstrip("/"))
        self._platform = platform or default_platform()
        chosen = {"authentication", *(STEPS if steps is None else steps)}
        self._names = [name for name in STEPS if name in chosen]
        self._say = say
        self._limit = limit
        self._no_session: str | None = None
        remember(api_key)

    async def run(self) -> Run:
        """Run the steps; return what was observed.

        Raises:
            CannotVerifyError: the service cannot be reached, or it refuses the API key.
        """
        clock = self._platform.clock
        began_at = clock.time()
        recorders = {name: Recorder(now=clock.monotonic, began_at=began_at) for name in self._names}
        runs: dict[str, StepRun] = {}
        try:
            async with clock.timeout(self._limit):
                await self._run_step("authentication", recorders, runs)
                async with asyncio.TaskGroup() as group:
                    job = group.create_task(self._run_step("simulation", recorders, runs))
                    for name in self._names:
                        if name == "recordings":
                            await asyncio.wait([job])
                        if name not in {"authentication", "simulation"}:
                            await self._run_step(name, recorders, runs)
        except TimeoutError:
            pass  # the steps that were not finished say so
        late = f"the program reached its time limit of {self._limit:g} s"
        steps = [runs.get(name) or StepRun(name=name, outcome="skipped", reason=late) for name in self._names]
        return await self._recorded(began_at, steps, {name: each.snapshot() for name, each in recorders.items()})

    async def _recorded(self, began_at: float, steps: Sequence[StepRun], recordings: Mapping[str, Recording]) -> Run:
        """Return the run with the recordings of its steps, whose participants are named after the steps."""
        events = {
            name: [replace(event, actor=_actor(name, event.actor)) for event in recording.events]
            for name, recording in recordings.items()
        }
        merged = Recording(began_at, max(each.duration for each in recordings.values()), ())
        for name, recording in recordings.items():
            merged = merged.with_events(events[name], recording.dropped)
        # In a thread, because the contract is read from files.
        seen = await in_thread(lambda: observed(self._shared.api_url, began_at, steps, events))
        values = [value for exchange in seen.exchanges for value in (exchange.url, exchange.sent, exchange.body)]
        remember_secrets([*values, *(message.content for message in seen.messages)])
        remember(self._shared.token, self._shared.api_key)
        return Run(seen, merged)

    async def _run_step(self, name: str, recorders: Mapping[str, Recorder], runs: dict[str, StepRun]) -> None:
        if name not in self._names:
            return
        step, clock = STEPS[name], self._platform.clock
        first = runs.get("authentication")
        if first is not None and first.outcome == "failed":
            reason = f"the step `authentication` failed: {first.reason}"
        elif step.needs_session and self._no_session is not None:
            reason = self._no_session
        else:
            reason = ""
        if reason:
            runs[name] = StepRun(name=name, outcome="skipped", reason=reason)
            return
        self._say(step.title)
        stage = Stage(self._shared, self._platform, recorders[name])
        reason, began = "the program reached its time limit", clock.monotonic()
        try:
            async with clock.timeout(step.limit):
                await step.work(stage)
            reason = ""
        except (OdysseyError, StepError) as error:  # some errors of the client are a TimeoutError too
            reason = _reason(error)
            if step.needs_session and isinstance(error, QueueTimeoutError | OdysseyUsageError):
                self._no_session = reason
        except TimeoutError:
            reason = f"the step was not done within {step.limit:g} s"
        except CannotVerifyError:
            raise
        except Exception as error:
            # A service can answer with anything. The report contains what the other steps have seen.
            reason = f"unexpected {type(error).__name__}: {error}"
        finally:
            seconds = clock.monotonic() - began
            outcome: Outcome = "failed" if reason else "done"
            runs[name] = StepRun(name=name, outcome=outcome, reason=reason, seconds=seconds, facts=stage.facts)
            await stage.aclose()


def _reason(error: Exception) -> str:
    """Return why a step failed, and what to do about a service that refuses it now."""
    text = str(error).rstrip(".")
    match error:
        case QueueTimeoutError():
            return f"no streamer became free: {text}. Run the command again later."
        case OdysseyUsageError():
            return f"a limit of the account is reached: {text}. {error.action or 'Run the command again later.'}"
        case _:
            return str(error)


def _actor(step: str, actor: str | None) -> str:
    """Return the name of a participant in the trace file: the step, with a number from its second participant on."""
    number = (actor or "").rpartition(" ")[2]
    return step if number in {"", "1"} else f"{step} {number}"
