"""The steps that the actors of a scenario perform. Each step calls `odyssey_client` as an application does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from odyssey_client import Odyssey, OdysseyError, OperationTimeoutError, Script, connect_to_stream
from odyssey_client.spectator.spectator_connection import SpectatorConnection
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.explore.callback_rules import CallbackRules, ReportViolation
from odyssey_mock.explore.scenario import Actor, ScenarioError
from odyssey_mock.explore.server_rules import ServerRules
from odyssey_mock.sim.run_log import RunLog
from odyssey_mock.sim.world import World

FRAMES_LIMIT = 5.0
"""Maximum seconds that the step `look` waits for three frames."""


ENDS_WITHIN = 1.0
"""Seconds within which a call must return or raise after its connection has ended."""
_ON_A_CONNECTION = frozenset({"start", "interact", "end"})


class NothingToDoError(Exception):
    """The step needs an object that the actor has not created yet, such as a job. The step is skipped."""


@dataclass(eq=False)
class RunContext:
    """Objects that all actors of a scenario share."""

    world: World
    run_log: RunLog
    report_violation: ReportViolation
    rules: ServerRules
    download_directory: Callable[[], Path]
    """Returns the directory for downloads, which it creates when it is first called."""
    may_repeat: bool
    watches: list[CallbackRules] = field(default_factory=list)
    downloads: int = 0


@dataclass(eq=False)
class Player:
    """An actor at run time: its client, and the jobs, streams and spectators that its steps created."""

    actor: Actor
    client: Odyssey
    context: RunContext
    watches: list[CallbackRules] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)
    spectators: list[SpectatorConnection] = field(default_factory=list)

    def watch(self) -> CallbackRules:
        """Create the `CallbackRules` that check a new connection, add the object to `watches`, and return it."""
        watch = CallbackRules(
            self.actor.host,
            self.client,
            self.context.run_log,
            self.context.report_violation,
            self.context.rules.said,
            now=self.context.world.now,
            first_wait=float(self.actor.advanced.get("initial_retry_delay_ms", 1000)) / 1000,  # type: ignore[arg-type]
            may_repeat=self.context.may_repeat,
            pause=self.actor.pause,
        )
        self.watches.append(watch)
        self.context.watches.append(watch)
        return watch


type ActorAction = Callable[[Player, Mapping[str, Any]], Awaitable[JSON]]  # Any: arguments differ by step
"""A function that performs a step. It returns a short result for the log, or None."""


async def _connect(player: Player, _: Mapping[str, Any]) -> JSON:
    watch = player.watch()
    watch.connected(await player.client.connect(watch.handlers()))
    return None


async def _connect_with_credentials(player: Player, _: Mapping[str, Any]) -> JSON:
    credentials = await player.client.create_client_credentials()
    watch = player.watch()
    watch.connected(await player.client.connect_with_credentials(credentials, watch.handlers()))
    return None


async def _disconnect(player: Player, _: Mapping[str, Any]) -> JSON:
    ended = list(player.watches)
    await player.client.disconnect()
    for watch in ended:
        watch.over()
    return None


async def _start(player: Player, arguments: Mapping[str, Any]) -> JSON:
    stream_id = await player.client.start_stream(**arguments)
    player.streams.append(stream_id)
    return None


async def _interact(player: Player, arguments: Mapping[str, Any]) -> JSON:
    prompt, began = arguments["prompt"], player.context.world.now()
    try:
        applied = await player.client.interact(prompt)
    except OperationTimeoutError:
        heard = any(watch.has_acknowledged(prompt, began) for watch in player.watches)
        player.context.rules.interaction_timed_out(player.actor.host, prompt, was_acknowledged=heard)
        raise
    player.context.rules.interaction_returned(player.actor.host, prompt, applied)
    return applied


async def _end(player: Player, _: Mapping[str, Any]) -> JSON:
    await player.client.end_stream()
    return None


async def _look(player: Player, _: Mapping[str, Any]) -> JSON:
    seen = 0
    try:
        async with asyncio.timeout(FRAMES_LIMIT) as limit:
            async for _frame in player.client.frames():
                seen += 1
                if seen == 3:
                    break
    except TimeoutError:
        if not limit.expired():  # raised by frames(), not by the timeout above
            raise
    return seen


async def _simulate(player: Player, arguments: Mapping[str, Any]) -> JSON:
    script = Script().start(arguments["prompt"])
    for prompt in arguments["interactions"]:
        script = script.wait(arguments["seconds"]).interact(prompt)
    job = await player.client.simulate(script=script.wait(arguments["seconds"]).end())
    player.jobs.append(job.job_id)
    return job.status


async def _poll(player: Player, _: Mapping[str, Any]) -> JSON:
    return (await player.client.get_simulate_status(_latest(player.jobs))).status


async def _wait_for_job(player: Player, _: Mapping[str, Any]) -> JSON:
    return (await player.client.wait_for_simulation(_latest(player.jobs), poll_interval=0.5, timeout=30.0)).status


async def _cancel_job(player: Player, _: Mapping[str, Any]) -> JSON:
    return (await player.client.cancel_simulation(_latest(player.jobs))).status


async def _list_jobs(player: Player, _: Mapping[str, Any]) -> JSON:
    listed = (await player.client.list_simulations()).jobs
    return len(listed)


async def _list_recordings(player: Player, _: Mapping[str, Any]) -> JSON:
    return len((await player.client.list_stream_recordings()).recordings)


async def _recording(player: Player, _: Mapping[str, Any]) -> JSON:
    recording = await player.client.get_recording(_latest(player.streams))
    return recording.frame_count


async def _download(player: Player, _: Mapping[str, Any]) -> JSON:
    stream_id = _latest(player.streams)
    player.context.downloads += 1
    path = player.context.download_directory() / f"{player.context.downloads}.jsonl"
    await player.client.download_recording(stream_id, path, artifact="events")
    return _has_content(path)


def _has_content(path: Path) -> bool:
    return path.stat().st_size > 0


async def _spectate(player: Player, _: Mapping[str, Any]) -> JSON:
    info = _latest([info for watch in player.context.watches for info in watch.broadcasts])
    platform = player.context.world.platform(player.actor.host)
    spectator = await connect_to_stream(
        info.webrtc_url, info.spectator_token, clock=platform.clock, network=platform.network
    )
    player.spectators.append(spectator)
    return None


async def _leave(player: Player, _: Mapping[str, Any]) -> JSON:
    await _latest(player.spectators).disconnect()
    return None


def _latest[T](known: list[T]) -> T:
    if not known:
        raise NothingToDoError
    return known[-1]


ACTIONS: Mapping[str, ActorAction] = MappingProxyType(
    {
        "connect": _connect,
        "connect with credentials": _connect_with_credentials,
        "start": _start,
        "interact": _interact,
        "end": _end,
        "disconnect": _disconnect,
        "look": _look,
        "simulate": _simulate,
        "poll": _poll,
        "wait for job": _wait_for_job,
        "cancel job": _cancel_job,
        "list jobs": _list_jobs,
        "list recordings": _list_recordings,
        "recording": _recording,
        "download": _download,
        "spectate": _spectate,
        "leave": _leave,
    }
)
"""The function that performs each step, by name of the step."""


async def done(player: Player, name: str, arguments: Mapping[str, Any]) -> None:
    """Perform one step, and record in the log whether it succeeded, failed or was skipped.

    A rule is violated if the step raises an error other than `OdysseyError`, or if it continues for more than
    `ENDS_WITHIN` seconds after the connection that it uses has ended.

    Raises:
        asyncio.CancelledError: the task that performs the step was cancelled.
        ScenarioError: the step is unknown.
    """
    if name not in ACTIONS:
        raise ScenarioError(f"expected a step ({', '.join(ACTIONS)}), got {name!r}")
    log, host = player.context.run_log, player.actor.host
    began = player.context.world.now()
    connection = next((watch for watch in reversed(player.watches) if watch.statuses), None)
    log.add(host, f"{name} ...", arguments)
    try:
        result = await ACTIONS[name](player, arguments)
    except NothingToDoError:
        log.add(host, f"{name}: skipped")
    except OdysseyError as error:
        log.add(host, f"{name}: {error.code}", {"message": str(error)})
        player.context.rules.refused(host, name, error)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            player.context.report_violation(
                "only_who_is_cancelled_stops",
                f"expected {name} to raise CancelledError only if its task is cancelled, got one without",
            )
            return
        log.add(host, f"{name}: cancelled")
        raise
    except Exception as error:
        player.context.report_violation("only_our_errors", f"expected {name} to raise an OdysseyError, got {error!r}")
    else:
        log.add(host, f"{name}: done", None if result is None else {"result": result})
    if name in _ON_A_CONNECTION and connection is not None and connection.ended_at is not None:
        late = player.context.world.now() - max(began, connection.ended_at)
        if late > ENDS_WITHIN:
            player.context.report_violation(
                "calls_end_with_their_connection",
                f"expected step {name} to finish within {ENDS_WITHIN:g} s after its connection ended, got {late:.1f} s",
            )
