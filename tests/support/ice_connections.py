"""Two ICE connections of aioice on simulated machines, and the times of their connectivity checks."""

import asyncio
from collections.abc import Callable

import pytest
from aioice import Candidate, Connection

from tests.support.simulated_net import HERE, THERE, Inbox, Net, now, wait

type Prepare = Callable[[Connection], None]
"""A function that changes a connection before it connects, such as `complete_at_once`."""


async def connections(net: Net, prepare: Prepare, *, candidates: bool = True) -> tuple[Connection, Connection]:
    """Return a connection on `HERE` and one on `THERE`, both ready to connect.

    `candidates`: whether the connection on `THERE` gets the candidates of the other one.
    """
    here, there = Connection(ice_controlling=True), Connection(ice_controlling=False)
    for host, connection in ((HERE, here), (THERE, there)):
        prepare(connection)
        found = await net.on(host, connection.get_component_candidates(1, [net.wire.address(host)]))
        connection._local_candidates, connection._local_candidates_end = found, True
    for one, other in ((here, there), (there, here)):
        one.remote_username, one.remote_password = other.local_username, other.local_password
        if one is here or candidates:
            for candidate in other.local_candidates:
                await one.add_remote_candidate(candidate)
    return here, there


async def connect_both(net: Net, prepare: Prepare, *, candidates: bool = True) -> float:
    """Connect two connections; return the seconds that it takes."""
    here, there = await connections(net, prepare, candidates=candidates)
    began = now()
    async with asyncio.TaskGroup() as group:
        group.create_task(net.on(HERE, here.connect()))
        group.create_task(net.on(THERE, there.connect()))
    took = now() - began
    await here.close()
    await there.close()
    return took


async def check_times(net: Net, prepare: Prepare, count: int) -> list[float]:
    """Connect to `count` candidates that do not answer; return the seconds until the first check of each arrives."""
    inboxes = []
    here = Connection(ice_controlling=True)
    prepare(here)
    here._local_candidates = await net.on(HERE, here.get_component_candidates(1, [net.wire.address(HERE)]))
    here._local_candidates_end = True
    here.remote_username, here.remote_password = "user", "password"
    for port in range(9, 9 + count):
        silent = asyncio.get_running_loop().create_datagram_endpoint(Inbox, ("0.0.0.0", port))
        inboxes.append((await net.on(THERE, silent))[1])
        line = f"{port} 1 udp {2**31 - port} {net.wire.address(THERE)} {port} typ host"
        await here.add_remote_candidate(Candidate.from_sdp(line))
    began = now()
    connecting = asyncio.ensure_future(net.on(HERE, here.connect()))
    await wait(1)
    await here.close()
    with pytest.raises(ConnectionError):
        await connecting
    return [round(inbox.at[0] - began, 6) for inbox in inboxes]
