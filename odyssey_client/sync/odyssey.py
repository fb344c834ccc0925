"""The sync `Odyssey` client class."""

from __future__ import annotations

from odyssey_client.sync.live import LiveCalls
from odyssey_client.sync.recordings import RecordingCalls
from odyssey_client.sync.simulations import SimulationCalls
from odyssey_client.sync.spectator import connect_to_stream


class Odyssey(LiveCalls, SimulationCalls, RecordingCalls):
    """A client of the Odyssey API, with at most one live connection and one interactive stream at a time.

    ::

        with Odyssey() as client:  # the key from ODYSSEY_API_KEY
            stream = client.connect()
            client.start_stream("A lighthouse at dawn")
            for frame in stream:
                ...

    Simulations run in the background, without a live connection::

        script = Script().start("A cat").wait(3).interact("It looks out").wait(3).end()

        with Odyssey() as client:
            job = client.simulate(script=script)
            done = client.wait_for_simulation(job.job_id)
            recording = client.get_recording(done.streams[0].stream_id)

    Every call blocks its thread until it returns. A client may be used in any thread, and in several threads at the
    same time. All clients of a process share one event loop in a thread of their own. `disconnect`, or leaving the
    ``with`` block, ends the calls and connections of a client. The client can connect again afterward.

    Event handlers, ``on_update`` and ``on_progress`` are called in the thread of the event loop. They must return soon,
    and cannot call the client: the call would wait for its own thread. An async handler can
    ``await asyncio.to_thread(...)``.

    Ctrl-C ends the call that waits in the main thread with `KeyboardInterrupt`. The client can still be used.

    A child process that was created by a fork has the client without its connection.
    """

    connect_to_stream = staticmethod(connect_to_stream)

    def __repr__(self) -> str:
        return repr(self._client)
