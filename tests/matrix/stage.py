"""Runs one cell of the fault matrix: a client calls one method, and a fault acts on the call.

The mock's clock is manual, so a delayed fault acts exactly in the middle of the call. The client has its default
timeouts; only the timeout that the cell is expected to reach is shortened.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from odyssey_client import AdvancedConfig, Odyssey
from odyssey_mock import Fault, MockOdyssey
from tests.matrix.calls import CALLS, Call, Stage, nothing
from tests.support.leftovers import nothing_left
from tests.support.tls_contexts import NO_CERTIFICATES

PICTURE = (176, 320)
HANG_S = 30.0
"""Timeout in seconds for one cell of the matrix."""

SHORT: Mapping[str, float] = {
    "connect_timeout_s": 1.5,
    "operation_timeout_s": 1.0,
    "peer_timeout_s": 1.0,
    "queue_timeout_s": 0.0,
    "request_timeout_s": 1.0,
}
"""Short values in seconds for the client's timeouts, used in cells that expect the timeout to be reached."""

_LATER = frozenset({"signaling.connected", "peer.connected", "stream.running"})
"""Fault points that a connection usually reaches before the call. Their faults act `seconds` later, during the call."""

_AHEAD = _LATER | {"rest.telemetry"}
"""Fault points whose faults are added to the mock before the preparation of the call.

`rest.telemetry` is one of them, because the client collects telemetry for 1 s before it sends any.
"""


def described(fault: str) -> dict[str, object]:
    """Parse a fault in the format of `cells.txt` (`POINT ACTION name=value ...`); return arguments for `faults.add`."""
    at, do, *rest = fault.split()
    pairs = (each.partition("=")[::2] for each in rest)
    return {"at": at, "do": do, **{name: json.loads(value) for name, value in pairs}}


@dataclass(frozen=True)
class Outcome:
    """The outcome of one cell: the result of the call, the client's status, and the calls of its handlers."""

    result: str
    """`ok`, or the class and code of the error that the call raised."""
    status: str
    told: tuple[str, ...]
    """The client's statuses and handler calls since the call began, in order."""
    seconds: float
    """Duration of the call in seconds on the client's clock."""


async def played(
    fault: str, call: str, directory: Path, *, limit: str | None = None, recovers: bool = False
) -> Outcome:
    """Run one cell of the matrix: call the client, cause the fault during the call, and return the outcome.

    Args:
        fault: the fault in the format of `cells.txt`.
        call: a key of `CALLS`.
        directory: folder for downloads.
        limit: name of the client's timeout that the cell shortens, if any.
        recovers: whether the client is expected to reconnect before the call returns.
    """
    async with asyncio.timeout(HANG_S), _staged(directory, limit) as stage:
        return await _play(stage, described(fault), CALLS[call], recovers=recovers)


@asynccontextmanager
async def _staged(directory: Path, limit: str | None) -> AsyncIterator[Stage]:
    """Yield mock and client for one cell. Assert at the end that nothing leaked, and that the mock has no session."""
    limits: Mapping[str, float] = {} if limit is None else {limit: SHORT[limit]}
    advanced = AdvancedConfig(initial_retry_delay_ms=20, max_retry_delay_ms=40, **limits)  # type: ignore[arg-type]  # keyword names
    async with nothing_left(), MockOdyssey(clock="manual", portrait_size=PICTURE) as mock:
        client = Odyssey(mock.api_key, api_url=mock.url, advanced=advanced)
        stage = Stage(mock, client, advanced, directory)
        try:
            yield stage
        finally:
            for each in (client, stage.other):
                if each is not None:
                    await each.disconnect()
        mock.faults.clear()
        await mock.advance(901)  # past the grace period and the limit of unused sessions
        assert not mock.sessions, (
            f"expected the mock to have closed all sessions after 901 s, got {list(mock.sessions)}"
        )


async def _play(stage: Stage, fault: dict[str, object], call: Call, *, recovers: bool) -> Outcome:
    ahead = fault["at"] in _AHEAD
    if ahead:
        stage.mock.faults.add(fault)  # type: ignore[arg-type]  # validated there
    await call.before(stage)
    if not ahead:
        stage.mock.faults.add(fault)  # type: ignore[arg-type]  # validated there
    if fault["at"] == "peer.frame" and stage.client.is_connected:
        await stage.mock.wait_for("fault", "peer.frame", timeout=HANG_S)  # some calls return before the next frame
    stage.told.words.clear()
    early = fault["at"] in _LATER and call.before is not nothing
    clock = asyncio.get_running_loop().time
    began = clock()
    work = asyncio.ensure_future(call.make(stage))
    striking = asyncio.create_task(_strike(stage, Fault.of(fault), call, work, early=early, recovers=recovers))  # type: ignore[arg-type]  # validated there
    try:
        await asyncio.wait({work, striking}, return_when=asyncio.FIRST_EXCEPTION)
        elapsed = clock() - began
    finally:
        striking.cancel()
        work.cancel()
        await asyncio.wait({work, striking})
    if not striking.cancelled() and (defect := striking.exception()) is not None:
        raise defect
    error = work.exception()
    result = "ok" if error is None else f"{type(error).__name__}({getattr(error, 'code', '')})"
    return Outcome(result, str(stage.client.current_status), tuple(stage.told.words), elapsed)


async def _strike(
    stage: Stage, fault: Fault, call: Call, work: "asyncio.Future[None]", *, early: bool, recovers: bool
) -> None:
    """Advance the mock's clock until the fault acts during the call, and then until delayed replies are sent."""
    mock = stage.mock
    seconds = fault.number("seconds") if "seconds" in fault.parameters else 0.0
    if call.waits:
        await _due(mock, "late ")
    if early:
        await mock.advance(seconds)
    elif fault.at == "server":
        async with httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
            with suppress(httpx.HTTPError):  # the fault cuts this request
                await http.get(f"{mock.url}/regions")
    elif call.runs_jobs and fault.at.startswith("job"):
        await mock.advance(60)
    else:
        await mock.wait_for("fault", fault.at, timeout=HANG_S)
        if seconds and fault.at != "peer.frame":  # its `seconds` are real time
            await _due(mock, "late ", "fault")
            await mock.advance(seconds)
    if fault.do == "slow":
        await _trickle(mock, work)
    if recovers:
        await stage.told.until("reconnecting")
        if fault.at == "server":
            await mock.advance(seconds)
        await stage.told.until("reconnecting", "connected")
    if call.waits:
        await mock.advance(2)
    if call.runs_jobs:
        await mock.advance(60)


async def _trickle(mock: MockOdyssey, work: "asyncio.Future[None]") -> None:
    """Advance the mock's clock by 1 s whenever it has a pending deadline, until `work` is done."""
    while not work.done():
        if mock.clock.pending:
            await mock.advance(1)
        await asyncio.sleep(0.001)  # noqa: TID251 - the clock does not signal new deadlines


async def _due(mock: MockOdyssey, *names: str) -> None:
    """Wait until the mock's clock has a pending deadline whose name starts with one of `names`."""
    while not any(each.name.startswith(names) for each in mock.clock.pending):  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.01)  # noqa: TID251 - see above
