"""Runs scenarios in simulated worlds and checks all rules."""

from __future__ import annotations

import asyncio
import functools
import logging
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, override

from odyssey_client import AdvancedConfig, ConnectionStatus
from odyssey_client.trace import Failure as TraceFailure
from odyssey_client.trace import Manifest, write_trace
from odyssey_mock.accounts.accounts import account_id
from odyssey_mock.core.journal import Entry
from odyssey_mock.explore.actions import Player, RunContext, done
from odyssey_mock.explore.chaos import apply_chaos, restore
from odyssey_mock.explore.outcome import Failure, Outcome
from odyssey_mock.explore.scenario import Actor, Scenario, Step
from odyssey_mock.explore.scenario_generator import draw
from odyssey_mock.explore.server_rules import ServerRules
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.run import run
from odyssey_mock.sim.run_log import WORLD, RunLog
from odyssey_mock.sim.world import World
from odyssey_mock.trace import run_information
from odyssey_mock.trace.server_trace import ServerTrace
from odyssey_mock.trace.simulated_trace import recorded_world

CALL_LIMIT = 600.0
"""Virtual seconds within which every call must return or raise; more than the sum of the client's time limits."""
RECOVERY = 300.0
"""Seconds after the end of all disturbances within which a client must be connected, failed or disconnected."""
CATCH_UP = 10.0
"""Seconds within which a connected client must have passed all messages from the server to its handlers."""
QUIET = 1.0
"""Seconds that the run waits after `disconnect`, to detect late handler calls, which violate a rule."""
LONGEST_SCENARIO = 40_000.0
"""Maximum duration of a run in virtual seconds; a run that takes longer is reported as a failure."""
FORGOTTEN = 1200.0
"""Seconds after which the server must have ended all sessions, streams and jobs of clients that are gone."""


type MakeScenario = Callable[[int, Fidelity], Scenario]
"""A function that makes the scenario of a seed.

It is `draw`, or your own function, for example one that changes the faults or settings that `draw` returns.
"""


def explore(scenario: MakeScenario = draw, *, seeds: Iterable[int], fidelity: Fidelity = "light") -> Iterator[Outcome]:
    """Make the scenario of each seed by calling `scenario`, run it, and yield its outcome."""
    for seed in seeds:
        yield play(seed, fidelity=fidelity, scenario=scenario(seed, fidelity))


def play(
    seed: int, *, fidelity: Fidelity = "light", scenario: Scenario | None = None, keeps_log: bool = False
) -> Outcome:
    """Run one scenario in a new simulated world, and return its outcome.

    Args:
        seed: seed of the scenario, ignored if `scenario` is given.
        fidelity: `full` (real WebRTC) or `light` (peers without pixels); ignored if `scenario` is given.
        scenario: the scenario to run; by default it is drawn from the seed.
        keeps_log: whether the outcome contains the log and its hash.
    """
    return _played(ScenarioRun(scenario or draw(seed, fidelity), keeps_lines=keeps_log), keeps_log=keeps_log)


def write_run_trace(path: Path, scenario: Scenario, *, command: str) -> None:
    """Run a scenario again, and write what its clients and its mock do to a trace file.

    Args:
        path: the file.
        scenario: the scenario.
        command: the command that repeats the run.

    Raises:
        OSError: the file cannot be written.
    """
    scenario_run = ScenarioRun(scenario, keeps_lines=False, records=True)
    outcome = _played(scenario_run, keeps_log=False)
    if scenario_run.trace is None:  # the run ended before its clients were created
        return
    recording = scenario_run.trace.recording()
    violated = outcome.failures[0] if outcome.failures else None
    manifest = Manifest(
        title=f"seed {scenario.seed}, {scenario.fidelity}",
        outcome="passed" if violated is None else "failed",
        began_at=recording.began_at,
        duration=recording.duration,
        time="virtual",
        recorded_by=run_information.versions(),
        seed=scenario.seed,
        command=command,
        failure=None if violated is None else TraceFailure(violated.rule, violated.message),
    )
    write_trace(path, recording, manifest, redact=run_information.redaction([scenario_run.trace.secrets]))


def _played(scenario_run: ScenarioRun, *, keeps_log: bool) -> Outcome:
    settings = {**scenario_run.scenario.settings, "faults": scenario_run.scenario.faults, "journal_limit": 100_000}
    with _download_directory() as scenario_run.download_directory, _errors_of(scenario_run):
        went = run(
            scenario_run.scenario.seed,
            scenario_run.program,
            fidelity=scenario_run.scenario.fidelity,
            settings=settings,
            keeps_log=keeps_log,
            seconds=LONGEST_SCENARIO,
        )
    if went.error is not None:
        scenario_run.report_violation(
            "runs_to_its_end", f"expected the run to end without an error, got {went.error!r}"
        )
    for left in went.left:
        scenario_run.report_violation("nothing_is_left", f"expected nothing to stay open after the run, got {left}")
    return Outcome(
        seed=scenario_run.scenario.seed,
        fidelity=scenario_run.scenario.fidelity,
        failures=tuple(scenario_run.failures),
        lines=tuple(scenario_run.run_log.lines) if keeps_log else (),
        run_hash=f"{scenario_run.run_log.hash()[:32]}{went.run_hash[:32]}" if keeps_log else "",
        steps=scenario_run.steps,
        seconds=went.seconds,
    )


@contextmanager
def _download_directory() -> Iterator[Callable[[], Path]]:
    """Yield a function that returns a temporary directory. It creates the directory when it is first called.

    Few scenarios download anything, and the file system is slow.
    """
    with ExitStack() as directories:

        @functools.cache
        def create_directory() -> Path:
            return Path(directories.enter_context(tempfile.TemporaryDirectory(prefix="odyssey-explore-")))

        yield create_directory


class ScenarioRun:
    """One run of a scenario.

    Attributes:
        download_directory: returns the directory for downloads.
        failures: violated rules, one failure per signature.
        steps: number of steps that were started.
        trace: what was recorded, if anything was to be recorded.
    """

    download_directory: Callable[[], Path]

    def __init__(self, scenario: Scenario, *, keeps_lines: bool, records: bool = False) -> None:
        self.scenario = scenario
        self.trace: ServerTrace | None = None
        self._records = records
        self.failures: list[Failure] = []
        self.steps = 0
        self.run_log = RunLog(self._now, keeps_lines=keeps_lines)
        self._world: World | None = None
        self._players: Sequence[Player] = ()

    def _now(self) -> float:
        return 0.0 if self._world is None else self._world.now()

    def report_violation(self, rule: str, message: str) -> None:
        """Record the violation of a rule as a failure, unless a failure with the same signature is recorded already."""
        failure = Failure(rule, message, round(self._now(), 6))
        self.run_log.add(WORLD, f"RULE VIOLATED {rule}: {message}")
        if self.trace is not None:
            self.trace.recorder.add("test", rule, side="test", error=message)
        if failure.signature not in {each.signature for each in self.failures}:
            self.failures.append(failure)

    async def program(self, world: World) -> None:
        """Run the scenario, end all disturbances, and check that clients and server recover and release everything."""
        if not self._records:
            await self._run(world)
            return
        async with recorded_world(world) as self.trace:
            await self._run(world)

    async def _run(self, world: World) -> None:
        self._world = world
        world.loop.set_exception_handler(self._unhandled)
        rules = ServerRules(world, self.run_log, self.report_violation, self._host_of)
        may_repeat = any(fault["do"] == "freeze" for fault in self.scenario.faults)
        context = RunContext(world, self.run_log, self.report_violation, rules, self.download_directory, may_repeat)
        self._players = players = [self._player(actor, context) for actor in self.scenario.actors]
        async with asyncio.TaskGroup() as watching:
            watch = watching.create_task(_every_second(rules.check))
            async with asyncio.TaskGroup() as acting:
                acting.create_task(apply_chaos(world, self.run_log, self.scenario.chaos))
                for player in players:
                    acting.create_task(_on(world, player.actor.host, self._play(player)))
            watch.cancel()
        self.run_log.add(WORLD, "all disturbances end")
        world.mock.faults.clear()
        await restore(world)
        for player in players:
            await _on(world, player.actor.host, self._settle(player))
        await asyncio.sleep(FORGOTTEN)
        rules.final()
        for player in players:
            await _on(world, player.actor.host, self._look_again(player))
        rules.final()

    def _host_of(self, entry: Entry) -> str | None:
        """Return the host of the client that caused a journal entry; None if the client cannot be identified.

        The client is identified by the session of the entry, or by its account if only one client uses the account.
        """
        holders = [each for each in self._players if entry.session and each.client.current_session_id == entry.session]
        if not holders and entry.account is not None:
            holders = [each for each in self._players if _account_id(each.actor.account) == entry.account]
        return holders[0].actor.host if len(holders) == 1 else None

    def _player(self, actor: Actor, context: RunContext) -> Player:
        world = context.world
        advanced = AdvancedConfig(**actor.advanced)  # type: ignore[arg-type]  # JSON, validated by AdvancedConfig
        return Player(actor, world.client(actor.host, api_key=_key(actor.account), advanced=advanced), context)

    async def _play(self, player: Player) -> None:
        async with asyncio.TaskGroup() as under_way:
            for step in player.actor.steps:
                await asyncio.sleep(step.wait)
                self.steps += 1
                await self._take(player, step, under_way)
                player.context.rules.check()

    async def _take(self, player: Player, step: Step, under_way: asyncio.TaskGroup) -> None:
        call = under_way.create_task(self._settled(player, step))
        if step.manner == "wait":
            await asyncio.wait([call])
        elif step.manner == "cancel":
            await asyncio.wait([call], timeout=step.patience)
            call.cancel()
            await asyncio.wait([call])

    async def _settled(self, player: Player, step: Step) -> None:
        """Perform a step, and report a violation if it does not end within `CALL_LIMIT`."""
        try:
            async with asyncio.timeout(CALL_LIMIT) as limit:
                await done(player, step.do, step.arguments)
        except TimeoutError:
            if not limit.expired():
                raise
            self.report_violation(
                "every_call_settles",
                f"expected step {step.do} to finish within {CALL_LIMIT:g} s, got no result",
            )

    async def _settle(self, player: Player) -> None:
        """Check that a client reconnects or fails after all disturbances have ended, then disconnect the client."""
        unsettled = {ConnectionStatus.AUTHENTICATING, ConnectionStatus.CONNECTING, ConnectionStatus.RECONNECTING}
        try:
            async with asyncio.timeout(RECOVERY):
                while player.client.current_status in unsettled:  # noqa: ASYNC110 - no event after disconnect
                    await asyncio.sleep(1.0)
        except TimeoutError:
            self.report_violation(
                "comes_to_rest",
                f"expected status connected, failed or disconnected {RECOVERY:g} s after all disturbances ended, "
                f"got {player.client.current_status}",
            )
        await asyncio.sleep(CATCH_UP)
        session = player.client.current_session_id
        if player.client.current_status is ConnectionStatus.CONNECTED and session is not None:
            up = next(watch for watch in reversed(player.watches) if watch.statuses)
            up.caught_up(session, player.context.rules.line(session))
        for spectator in player.spectators:
            await spectator.disconnect()
        await self._settled(player, Step("disconnect"))
        player.context.rules.check()
        for watch in player.watches:
            watch.over()
        await asyncio.sleep(QUIET)
        for watch in player.watches:
            watch.check()

    async def _look_again(self, player: Player) -> None:
        """Check that the client can connect, run a stream and disconnect without errors."""
        before = len(self.failures)
        self.run_log.add(player.actor.host, "starts a final session")
        watch = player.watch()
        try:
            async with asyncio.timeout(CALL_LIMIT):
                watch.connected(await player.client.connect(watch.handlers()))
                await player.client.start_stream("a meadow")
                await player.client.interact("the wind rises")
                await player.client.end_stream()
        except Exception as error:  # every error is a violation
            if len(self.failures) == before:
                self.report_violation(
                    "all_is_well_again",
                    f"expected a session without errors after all disturbances ended, got {error!r}",
                )
        await self._settled(player, Step("disconnect"))
        watch.over()
        await asyncio.sleep(QUIET)
        watch.check()

    def _unhandled(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.report_violation(
            "no_unhandled_error",
            f"expected no unhandled error in the event loop, got {context.get('message')}: {error!r}",
        )


async def _every_second(check: Callable[[], None]) -> None:
    while True:
        check()
        await asyncio.sleep(1.0)


async def _on(world: World, host: str, work: Coroutine[object, object, None]) -> None:
    """Run the coroutine `work` as a task of the simulated host `host`, and wait until it is done."""
    task = world.spawn(host, work)
    try:
        await task
    finally:
        task.cancel()


def _key(account: int) -> str:
    return f"ody_explorer_{account}"


@functools.cache
def _account_id(account: int) -> str:
    return account_id(_key(account))


class _Errors(logging.Handler):
    """Reports every log record of level ERROR or above as a violation."""

    def __init__(self, scenario_run: ScenarioRun) -> None:
        super().__init__(logging.ERROR)
        self._run = scenario_run

    @override
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._run.report_violation(
            "nothing_is_logged_as_an_error",
            f"expected no log record of level ERROR, got {record.name}: {record.getMessage()}: {error!r}",
        )


@contextmanager
def _errors_of(scenario_run: ScenarioRun) -> Iterator[None]:
    handler = _Errors(scenario_run)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
