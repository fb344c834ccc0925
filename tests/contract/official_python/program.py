"""A program that runs scenarios with the vendor's Python SDK, the package `odyssey`.

The test process runs it with the SDK's own interpreter, Python 3.11 or later, so it imports nothing of this project.
The environment has the address of the mock (`ODYSSEY_API_URL`) and an API key (`ODYSSEY_API_KEY`). The arguments are a
folder for frames, and the names of scenarios. For each scenario, the program prints one line of JSON: its result, or
its error.

The scenarios use only what the vendor documents for Python: https://documentation.api.odyssey.ml/sdk/python/client
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from odyssey import Odyssey  # type: ignore[import-not-found,unused-ignore]  # on no package index

LIMIT_S = 40.0
"""Timeout in seconds for one scenario. Some calls of the SDK have none."""
FRAMES = 8
"""Number of frames to wait for before the last one is saved. The first may show what was before."""

FRAME_FOLDER = Path(sys.argv[1])
API_KEY = os.environ["ODYSSEY_API_KEY"]
Result = dict[str, Any]  # Any: JSON
SCRIPT = [
    {"timestamp_ms": 0, "start": {"prompt": "A mountain"}},
    {"timestamp_ms": 500, "interact": {"prompt": "Clouds roll by"}},
    {"timestamp_ms": 1000, "end": {}},
]


class Handlers:
    """Handlers for the SDK's `connect`. They record the names of their calls, and queue the received frames."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.errors: list[list[str]] = []
        self.broadcast: Any = None  # Any: the SDK has no types here
        self._frames: asyncio.Queue[Any] = asyncio.Queue()

    def all(self) -> dict[str, Callable[..., None]]:
        return {
            "on_connected": self._note("connected"),
            "on_disconnected": self._note("disconnected"),
            "on_stream_started": self._note("stream_started"),
            "on_stream_ended": self._note("stream_ended"),
            "on_interact_acknowledged": self._note("interact_acknowledged"),
            "on_stream_error": lambda reason, message: self.errors.append([reason, message]),
            "on_broadcast_ready": self._ready,
            "on_video_frame": self._frames.put_nowait,
        }

    def _note(self, name: str) -> Callable[..., None]:
        return lambda *_: self.called.append(name)

    def _ready(self, info: Any) -> None:
        self.broadcast = info

    async def save_frame(self, name: str) -> str:
        """Discard the queued frames, wait for `FRAMES` more, and save the last one; return the name of its file."""
        while not self._frames.empty():
            self._frames.get_nowait()
        for _ in range(FRAMES - 1):
            await self._frames.get()
        frame = await self._frames.get()
        file = FRAME_FOLDER / f"{name}.npy"
        np.save(file, frame.data)
        return str(file)


async def live_session() -> Result:
    handlers = Handlers()
    client = Odyssey(api_key=API_KEY)
    await client.connect(**handlers.all())
    stream_id = await client.start_stream("A cat on a windowsill", portrait=True)
    started = await handlers.save_frame("started")
    applied = await client.interact("Pet the cat")
    changed = await handlers.save_frame("changed")
    await client.end_stream()
    await client.disconnect()
    return {
        "stream_id": stream_id,
        "applied": applied,
        "started": started,
        "changed": changed,
        "called": [name for name in handlers.called if name != "disconnected"],  # version 1.3.0 never calls it
    }


async def landscape() -> Result:
    handlers = Handlers()
    client = Odyssey(api_key=API_KEY)
    await client.connect(**handlers.all())
    first = await client.start_stream("A tower", portrait=True)
    await client.end_stream()
    second = await client.start_stream("A plain", portrait=False)
    frame = await handlers.save_frame("landscape")
    await client.disconnect()
    return {"stream_ids": [first, second], "frame": frame}


async def broadcast() -> Result:
    handlers = Handlers()
    client = Odyssey(api_key=API_KEY)
    await client.connect(**handlers.all())
    stream_id = await client.start_stream("A temple", broadcast=True)
    await handlers.save_frame("broadcast")
    info = handlers.broadcast
    await client.disconnect()
    return {
        "stream_id": stream_id,
        "urls": [info.webrtc_url, info.spectator_token, info.hls_url],
    }


async def credentials() -> Result:
    server = Odyssey(api_key=API_KEY)
    minted = await server.create_client_credentials()
    client = Odyssey(api_key=API_KEY)
    await client.connect_with_credentials(minted)
    stream_id = await client.start_stream("Handed over")
    await client.disconnect()
    return {"session_id": minted.to_dict()["session_id"], "stream_id": stream_id}


async def recording() -> Result:
    handlers = Handlers()
    client = Odyssey(api_key=API_KEY)
    await client.connect(**handlers.all())
    stream_id = await client.start_stream("A lighthouse")
    await handlers.save_frame("recording")
    await client.end_stream()
    found = await client.get_recording(stream_id)
    listed = await client.list_stream_recordings(limit=1)
    await client.disconnect()
    return {
        "stream_id": stream_id,
        "found": found.stream_id,
        "video_url": found.video_url,
        "frame_count": found.frame_count,
        "newest": listed.recordings[0].stream_id,
    }


async def simulation() -> Result:
    client = Odyssey(api_key=API_KEY)
    job = await client.simulate(script=SCRIPT, portrait=False)
    while (status := await client.get_simulate_status(job.job_id)).completed_at is None:  # noqa: ASYNC110
        await asyncio.sleep(0.05)  # noqa: TID251 - the SDK has no event for this
    listed = await client.list_simulations(limit=1)
    await client.disconnect()
    return {
        "job_id": job.job_id,
        "streams": [[stream.stream_id, stream.frame_count] for stream in status.streams],
        "newest": listed.jobs[0].job_id,
    }


async def invalid_key() -> Result:
    return await _refused("ody_invalid_key")


async def concurrent_limit() -> Result:
    return await _refused("ody_concurrent_limit")


async def _refused(api_key: str) -> Result:
    client = Odyssey(api_key=api_key)
    try:
        await client.connect()
    except Exception as error:
        return {
            "error": type(error).__name__,
            "bases": [base.__name__ for base in type(error).mro()],
            "text": str(error),
        }
    finally:
        await client.disconnect()
    return {"error": None}


async def refused_start() -> Result:
    handlers = Handlers()
    client = Odyssey(api_key=API_KEY)
    await client.connect(**handlers.all())
    error = None
    try:
        await client.start_stream("A harbor [error:quota_exceeded]")
    except Exception as raised:
        error = str(raised)
    stream_id = await client.start_stream("A harbor")
    await client.disconnect()
    return {"error": error, "handled": handlers.errors, "stream_id": stream_id}


SCENARIOS: dict[str, Callable[[], Awaitable[Result]]] = {
    scenario.__name__: scenario
    for scenario in (
        live_session,
        landscape,
        broadcast,
        credentials,
        recording,
        simulation,
        invalid_key,
        concurrent_limit,
        refused_start,
    )
}


async def main(names: list[str]) -> None:
    for name in names:
        played: Result = {"scenario": name}
        try:
            async with asyncio.timeout(LIMIT_S):
                played["result"] = await SCENARIOS[name]()
        except Exception as error:
            played["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(played), flush=True)


asyncio.run(main(sys.argv[2:]))
