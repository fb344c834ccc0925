"""What a session shows: its streams and their video, which go on while lines to the client come and go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.sessions.client_connection import ClientConnection
from odyssey_mock.sessions.frame_pump import FramePump
from odyssey_mock.sessions.stream_controller import StreamController

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend


class SessionVideo:
    """Streams, pump and the line that both are seen through, if there is one.

    What is said on the data channel while the client is away waits for it. `on_overdue()` and `on_ended()` are as those
    of `StreamController`.
    """

    def __init__(
        self,
        backend: "Backend",
        *,
        session_id: str,
        account_id: str,
        may_bypass: bool,
        on_overdue: Callable[[], Awaitable[None]],
        on_ended: Callable[[], None],
    ) -> None:
        self._backend = backend
        self.keyframes = Keyframes(round(backend.settings.keyframe_gap * backend.settings.fps))
        self.streaming = StreamController(
            backend,
            session_id=session_id,
            account_id=account_id,
            may_bypass=may_bypass,
            keyframes=self.keyframes,
            send=self._say,
            on_overdue=on_overdue,
            on_ended=on_ended,
        )
        self._pump: FramePump | None = None
        self._video: asyncio.Task[None] | None = None
        self._carrier: asyncio.TaskGroup | None = None
        self._line: ClientConnection | None = None
        self._backlog: list[str] = []

    def is_carried_by(self, tasks: asyncio.TaskGroup) -> bool:
        """Whether the video is a task of that group."""
        return self._carrier is tasks

    def use(self, line: ClientConnection) -> None:
        """Say on this line from now on what is said before there is video; kept until its channel opens."""
        self._line = line

    def start(self, line: ClientConnection) -> None:
        """Begin the video on `line`, whose answer was applied; it may outlive it."""
        settings = self._backend.settings
        self._pump = FramePump(
            self.streaming.idle(),
            self.keyframes,
            fps=settings.fps,
            now=self._backend.clock.time,
            on_frame=self.streaming.frame_made,
            fault=self.streaming.frame_fault,
        )
        self.streaming.use(self._pump)
        self._carrier, self._video = line.lasting, line.lasting.create_task(self._pump.run())
        self.resume(line)

    def resume(self, line: ClientConnection) -> None:
        """Show and say it on `line`, whose answer was applied; first what was said meanwhile."""
        if line.codec is None or self._pump is None:
            raise RuntimeError("video was begun before the answer was applied, or resumed before it was begun")
        self._pump.attach(line.track, line.codec)
        self._line = line
        backlog, self._backlog = self._backlog, []
        for text in backlog:
            line.peer.send(text)

    def leave(self) -> None:
        """The line is lost: go on without."""
        self._line = None
        if self._pump is not None:
            self._pump.detach()

    def end(self) -> None:
        """The connection is over: end the stream, and the video once its last frame is made."""
        self.streaming.gone()
        if self._video is not None:
            self._video.cancel()

    def _say(self, text: str) -> None:
        if self._line is None:
            self._backlog.append(text)
        else:
            self._line.peer.send(text)
