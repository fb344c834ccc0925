"""Chaos runs of a command: the command runs once without a fault, and then once for each fault of the plan.

Each run has a new mock in this process. The command gets the URL and the key of the mock in the environment variables
`ODYSSEY_API_URL` and `ODYSSEY_API_KEY`.
"""

import asyncio
import os
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from odyssey_mock.chaos_runs.journal_reading import midway, times_acted
from odyssey_mock.chaos_runs.plan import PlannedFault, check_patterns, default_limit, plan
from odyssey_mock.chaos_runs.results import ChaosReport, Run, Verdict, last_lines
from odyssey_mock.command_process import end_group, environment_of, start_command
from odyssey_mock.core.journal import Entry
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.server import MockOdyssey
from odyssey_mock.settings import Settings

FIRST_LIMIT = 600.0
"""Default time limit of the run without a fault, in seconds."""
_KINDS = frozenset({"state", "fault", "deadline"})
"""Kinds of journal entries that the functions of `journal_reading` use."""


class CommandError(Exception):
    """The command fails even without a fault."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """The result of one run of the command. `status` is the exit status; None if the time limit was exceeded."""

    status: int | None
    seconds: float
    limit: float
    output: str
    reached: Mapping[str, int]
    entries: Sequence[Entry]

    @property
    def reason(self) -> str:
        """Why the run failed, in one line."""
        if self.status is None:
            how = f"did not end within {self.limit:g} s"
        else:
            how = f"exit status {self.status}" if self.status >= 0 else f"ended by signal {-self.status}"
        last = self.output.rpartition("\n")[2].strip()
        return f"{how}: {last}" if last else how


@dataclass(slots=True, kw_only=True)
class CommandChaos:
    """Runs a command under each fault of the plan.

    Attributes:
        command: the command and its arguments.
        only: patterns of the fault points to use, as in `plan`.
        exclude: patterns of the fault points to leave out, as in `plan`.
        time_limit: seconds after which a run is stopped; None for the value of `plan.default_limit`.
        settings: the settings of the mocks. The faults in these settings are active in every run.
        say: function that is called with a line of text about each run.
    """

    command: Sequence[str]
    only: Sequence[str] = ()
    exclude: Sequence[str] = ()
    time_limit: float | None = None
    settings: Settings = field(default_factory=Settings)
    say: Callable[[str], None] = print
    _runs: list[Run] = field(default_factory=list)
    _planned: int = 0

    @property
    def report(self) -> ChaosReport:
        """The results so far; also available after the runs were cancelled."""
        return ChaosReport(runs=tuple(self._runs), planned=self._planned)

    async def run(self) -> None:
        """Run the command without a fault, and then under each fault of the plan.

        Raises:
            ChaosPlanError: the plan has no fault, or a pattern is invalid.
            CannotStartError: the command does not exist, or cannot be executed.
            CommandError: the command fails without a fault.
        """
        check_patterns(self.only, self.exclude)
        first = await self._play(None, self.time_limit or FIRST_LIMIT)
        if first.status != 0:
            output = f":\n{first.output}" if first.output else ""
            raise CommandError(
                f"expected the command to succeed without a fault, got {first.reason.partition(':')[0]}{output}"
            )
        planned = plan(first.reached, only=self.only, exclude=self.exclude)
        limit = self.time_limit or default_limit(first.seconds)
        self._planned = len(planned)
        self.say(
            f"without a fault: passed in {first.seconds:.1f} s, {len(first.reached)} fault points reached; "
            f"{len(planned)} faults to try, time limit {limit:g} s each"
        )
        delays = midway(first.entries)
        width = max(len(fault.name) for fault in planned)
        for number, fault in enumerate(planned, 1):
            result = await self._try(fault, delays, limit)
            self._runs.append(result)
            position = f"[{number:>{len(str(len(planned)))}}/{len(planned)}]"
            line = f"{position} {fault.name:<{width}}  {result.seconds:5.1f} s  {result.verdict:<11}  {result.reason}"
            self.say(line.rstrip())

    async def _try(self, fault: PlannedFault, delays: Mapping[str, float], limit: float) -> Run:
        ended = await self._play(fault.to_fault(delays), limit)
        acted = times_acted(ended.entries, fault.point, fault.action)
        verdict: Verdict = "hung" if ended.status is None else "failed" if ended.status else "passed"
        reason = "" if verdict == "passed" else ended.reason
        if not acted:
            verdict = "not reached" if verdict == "passed" else verdict
            reason = f"{reason} (the fault did not act)".strip()
        return Run(
            test=shlex.join(self.command),
            fault=fault.name,
            point=fault.point,
            action=fault.action,
            verdict=verdict,
            seconds=ended.seconds,
            reason=reason,
            output="" if verdict in {"passed", "not reached"} else ended.output,
        )

    async def _play(self, fault: Mapping[str, JSON] | None, limit: float) -> _Ended:
        """Run the command once with a new mock. The mock has `fault`, if any, and then the faults of the settings."""
        added = () if fault is None else (fault,)
        settings = self.settings.replace(faults=[*added, *self.settings.faults])
        entries: list[Entry] = []
        async with MockOdyssey(settings) as mock:
            # The command may reset the mock, which clears the journal but keeps its observers.
            mock.journal.observe(lambda entry: entries.append(entry) if entry.kind in _KINDS else None)
            with await asyncio.to_thread(tempfile.TemporaryFile) as output:
                status, seconds, size = await self._execute(environment_of(mock), output, limit)
                text = (await asyncio.to_thread(_text, output, size)).replace(mock.api_key, "***")
            reached = mock.faults.reached
        return _Ended(status, seconds, limit, last_lines(text), reached, entries)

    async def _execute(
        self, environment: Mapping[str, str], output: IO[bytes], limit: float
    ) -> tuple[int | None, float, int]:
        """Execute the command; return its exit status, its duration in seconds and the size of its output in bytes.

        If the command was stopped after `limit` seconds, the status is None, and the size does not include output after
        the stop.

        The command runs in its own process group, which is killed at the end. Child processes may be in other groups,
        for example browsers and servers of Playwright. At the time limit, the command first gets SIGTERM, so that it
        can end these child processes.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        process = await start_command(self.command, environment, output=output)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await process.wait()
            return process.returncode, clock() - began, os.fstat(output.fileno()).st_size
        finally:
            await end_group(process)


def _text(output: IO[bytes], size: int) -> str:
    """Return the first `size` bytes of an output file as text; if they exceed 64 KiB, only the last 64 KiB of them."""
    start = max(0, size - (64 << 10))
    output.seek(start)
    return output.read(size - start).decode(errors="replace")
