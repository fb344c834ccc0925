"""The sync client: the same names as in `odyssey_client`, without ``await``.

All other names, such as errors, models and `Script`, are those of `odyssey_client`.
"""

from odyssey_client.sync.events import Connected, Event, EventReader
from odyssey_client.sync.media import FrameReader, MediaStream, Recorder
from odyssey_client.sync.odyssey import Odyssey
from odyssey_client.sync.spectator import SpectatorConnection, connect_to_stream

__all__ = [
    "Connected",
    "Event",
    "EventReader",
    "FrameReader",
    "MediaStream",
    "Odyssey",
    "Recorder",
    "SpectatorConnection",
    "connect_to_stream",
]
