"""Tests of broadcasts that end while a spectator is connecting: the spectator learns of the end within a short time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, override

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from odyssey_client import (
    AdvancedConfig,
    BroadcastInfo,
    BroadcastNotFoundError,
    ConnectTimeoutError,
    Odyssey,
    OdysseyError,
    PeerError,
    SpectatorConnection,
    SpectatorState,
    SystemNetwork,
    connect_to_stream,
)
from odyssey_client.platform import Clock
from odyssey_client.rtc.spectator_peer import AiortcSpectatorPeer
from odyssey_mock import MockOdyssey
from odyssey_mock.sim.world import SERVER, World
from tests.support.leftovers import nothing_left
from tests.support.simulated_worlds import at_step, complete
from tests.support.whep_server import TOKEN, WhepServer, good, whep_server

LIMIT = 10.0
SOON = 3.0
"""Maximum seconds from the end of the broadcast until the spectator is told. Connecting may take 30 s."""

type End = Callable[[MockOdyssey, Odyssey], Awaitable[object]]

ENDS: dict[str, End] = {
    "end_stream": lambda mock, host: host.end_stream(),
    "disconnect": lambda mock, host: host.disconnect(),
    "reset": lambda mock, host: mock.reset(),
}


class Paused(SystemNetwork):
    """A network whose spectator peers wait for the event `go_on` before they apply the SDP answer."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    @override
    def spectator_peer(self, clock: Clock, **callbacks: Any) -> AiortcSpectatorPeer:
        go_on = self.go_on

        class PausedPeer(AiortcSpectatorPeer):
            @override
            async def apply(self, answer: str) -> None:
                await go_on.wait()
                await super().apply(answer)

        return PausedPeer(self.ice_addresses(), clock, tls=self._tls, **callbacks)


async def on_air(host: Odyssey) -> BroadcastInfo:
    """Connect `host` and start a broadcast; return the broadcast's URLs and token."""
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
    await host.connect(on_broadcast_ready=ready.set_result)
    await host.start_stream("A cat", broadcast=True)
    return await ready


@pytest.mark.odyssey(portrait_size=(176, 320))
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_end_of_answered_spectator_is_reported(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, end: End
) -> None:
    network = Paused()
    async with nothing_left(), asyncio.timeout(LIMIT):
        info = await on_air(odyssey_client)
        watching = asyncio.ensure_future(connect_to_stream(info.webrtc_url, info.spectator_token, network=network))
        await odyssey_mock.wait_for("state", "spectator", to="answered")
        await end(odyssey_mock, odyssey_client)
        network.go_on.set()
        with pytest.raises(BroadcastNotFoundError, match="the broadcast has ended"):
            await asyncio.wait_for(watching, SOON)
        await odyssey_client.disconnect()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, BroadcastNotFoundError),
        (410, BroadcastNotFoundError),
        (405, ConnectTimeoutError),
        (500, ConnectTimeoutError),
        (204, ConnectTimeoutError),
    ],
)
async def test_status_tells_whether_resource_was_removed(status: int, error: type[OdysseyError]) -> None:
    async def gone(server: WhepServer, offer: str) -> Response:
        response = await good(server, offer)
        await server.peers[-1].close()
        return response

    async with nothing_left(), whep_server(gone, patch_status=status) as server, asyncio.timeout(LIMIT):
        with pytest.raises(error):
            await connect_to_stream(server.url, TOKEN, advanced=AdvancedConfig(connect_timeout_s=2))


@given(step=st.integers(1, 200), how=st.sampled_from(sorted(ENDS)))
@settings(max_examples=40)
def test_end_at_any_step_is_reported(step: int, how: str) -> None:
    async def scenario(world: World) -> bool:
        reached = asyncio.Event()
        async with world.client() as host:
            info = await on_air(host)
            watching = asyncio.ensure_future(connect_to_stream(info.webrtc_url, info.spectator_token))
            at_step(world, step, reached.set)
            await reached.wait()
            ending = ENDS[how](world.mock, host)
            await (world.spawn(SERVER, ending) if how == "reset" else ending)
            async with asyncio.timeout(SOON):
                await over(watching)
        return True

    assert complete(scenario).left == ()


async def over(watching: asyncio.Future[SpectatorConnection]) -> None:
    """Wait until an error of `connect_to_stream` or a call of `on_disconnect` reports the end of the broadcast."""
    try:
        spectator = await watching
    except (BroadcastNotFoundError, PeerError):
        return
    told = asyncio.Event()
    spectator.on_disconnect(told.set)
    await told.wait()
    assert spectator.connection_state is SpectatorState.CLOSED
    await spectator.disconnect()
