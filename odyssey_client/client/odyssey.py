"""The `Odyssey` client class."""

from __future__ import annotations

from odyssey_client.client.live import LiveCalls
from odyssey_client.client.recordings import RecordingCalls
from odyssey_client.client.simulations import SimulationCalls
from odyssey_client.spectator.spectator_connection import connect_to_stream


class Odyssey(LiveCalls, SimulationCalls, RecordingCalls):
    """A client of the Odyssey API, with at most one live connection and one interactive stream at a time.

    ::

        async with Odyssey() as client:  # the key from ODYSSEY_API_KEY
            stream = await client.connect()
            await client.start_stream("A lighthouse at dawn")
            async for frame in stream:
                ...

    Simulations run in the background, without a live connection::

        script = Script().start("A cat").wait(3).interact("It looks out").wait(3).end()

        async with Odyssey() as client:
            job = await client.simulate(script=script)
            done = await client.wait_for_simulation(job.job_id)
            recording = await client.get_recording(done.streams[0].stream_id)

    Use a client in one event loop at a time. `disconnect`, or leaving the ``async with`` block, ends its calls and
    connections. The client can connect again afterward.
    """

    connect_to_stream = staticmethod(connect_to_stream)

    def __repr__(self) -> str:
        return f"Odyssey({self._config.api_url}, {self.current_status})"
