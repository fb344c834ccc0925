"""A typed Python interface to `contract.js`, which drives the official JavaScript client."""

import asyncio
import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from odyssey_mock import FrameStamp, read_stamp
from tests.contract.browser.waiting import WaitingPage, wait_until

FRAMES_TO_LOOK_AT = 100
STAMPED_PART = 1 / 40
"""The upper part of a frame that contains its stamp, which has 2 of 160 rows (of 88 in landscape)."""

SECONDS = 30.0
"""Default timeout in seconds for every wait in the page. Waits usually take much less."""


class ScriptedPage(WaitingPage, Protocol):
    """A page in a browser: Playwright's `Page`, or a `FirefoxPage`."""

    async def evaluate(self, expression: str, arg: object = None) -> Any: ...  # Any: JSON from the page

    async def goto(self, url: str) -> object: ...

    async def go_back(self) -> object: ...


class Connection(TypedDict):
    sessionId: str
    status: str
    isConnected: bool


class Playback(TypedDict):
    """State of the video that the page plays, from `HTMLVideoElement` and `RTCInboundRtpStreamStats`."""

    width: int
    height: int
    currentTime: float
    framesDecoded: int
    codec: str | None


class Statistics(TypedDict):
    """The browser's reports `inbound-rtp` and `candidate-pair` (webrtc-stats)."""

    video: dict[str, Any]  # Any: JSON
    pair: dict[str, Any]  # Any: JSON


class Film(TypedDict):
    """Size in pixels and duration in seconds of a loaded video file."""

    width: int
    height: int
    duration: float


class Broadcast(TypedDict):
    """The argument with which the official client calls the handler `onBroadcastReady`."""

    webrtcUrl: str
    spectatorToken: str
    hlsUrl: str | None


class ConnectError(TypedDict):
    """The error with which the client's `connect` was rejected. Only usage errors have `code` and `details`."""

    message: str
    code: str | None
    details: dict[str, object] | None


class Starts(TypedDict):
    started: int
    lost: int
    refused: list[str]


@dataclass(frozen=True)
class Presented:
    """A frame that the browser presented: its size (width, height) and stamp. `media_time` is in seconds."""

    size: tuple[int, int]
    stamp: FrameStamp | None
    media_time: float


@dataclass(frozen=True)
class Frame(Presented):
    """A frame with its picture. `pixels` is uint8 RGB `(height, width, 3)`."""

    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Outcome:
    """The state of a JavaScript call's promise. `value` is the result or the error message, or None while pending."""

    state: Literal["pending", "resolved", "rejected"]
    value: object = None


PENDING = Outcome("pending")


@dataclass(frozen=True)
class Call:
    """A JavaScript call whose promise may never settle."""

    page: ScriptedPage
    number: int

    async def outcome(self) -> Outcome:
        """Return the current state of the call."""
        return Outcome(**await self.page.evaluate("number => contract.calls[number]", self.number))

    async def settled(self, limit: float = SECONDS) -> Outcome:
        """Wait at most `limit` seconds until the call is settled; return its outcome."""
        script = "number => contract.calls[number].state !== 'pending'"
        await wait_until(self.page, script, self.number, limit=limit)
        return await self.outcome()


class OfficialClient:
    """The official client in one page. The methods call the functions of `contract.js`."""

    def __init__(self, page: ScriptedPage) -> None:
        self.page = page
        self._uncaught: asyncio.Queue[str] = asyncio.Queue()

    def note_uncaught(self, message: object) -> None:
        """Note the message of an uncaught error in the page."""
        self._uncaught.put_nowait(str(message))

    async def uncaught(self, limit: float = SECONDS) -> str:
        """Wait at most `limit` seconds for the next uncaught error in the page; return its message."""
        async with asyncio.timeout(limit):
            return await self._uncaught.get()

    def all_uncaught(self) -> list[str]:
        """Return the messages of the page's uncaught errors, except those that `uncaught` has already returned."""
        return [self._uncaught.get_nowait() for _ in range(self._uncaught.qsize())]

    async def begin(self, function: str, *arguments: object) -> Call:
        """Call a function of `contract.js` without waiting for its result; return the call."""
        return Call(self.page, await self._call("begin", function, *arguments))

    async def connect(self, api_key: str) -> Connection:
        """Connect, wait until the client reports the status `connected`, and return the state of the connection.

        The client's `connect` resolves when video track and data channel exist. A busy browser may report the state of
        the peer connection later, and then the status changes later too.
        """
        await self._call("connect", api_key)
        await self.reached("connected")
        return cast("Connection", await self._call("connection"))

    async def connect_error(self, api_key: str) -> ConnectError | None:
        return cast("ConnectError | None", await self._call("connectError", api_key))

    async def create_credentials(self, api_key: str) -> dict[str, object]:
        return cast("dict[str, object]", await self._call("createCredentials", api_key))

    async def connect_with_credentials(self, credentials: Mapping[str, object]) -> str:
        return cast("str", await self._call("connectWithCredentials", credentials))

    async def start_stream(self, prompt: str, *, portrait: bool = True) -> str:
        return cast("str", await self._call("startStream", {"prompt": prompt, "portrait": portrait}))

    async def start_broadcast(self, prompt: str) -> str:
        return cast("str", await self._call("startStream", {"prompt": prompt, "broadcast": True}))

    async def broadcast(self) -> Broadcast:
        """Wait until the client reports a ready broadcast; return the URLs and the token of the broadcast."""
        await wait_until(self.page, "contract.broadcast()", limit=SECONDS)
        return cast("Broadcast", await self._call("broadcast"))

    async def watch(self, webrtc_url: str, spectator_token: str) -> str | None:
        """Call `connectToStream` for a broadcast; return the error message, or None if the call succeeds."""
        return cast("str | None", await self._call("watch", webrtc_url, spectator_token))

    async def leave(self) -> None:
        """Stop watching the broadcast."""
        await self._call("leave")

    async def happened(self, name: str, limit: float = SECONDS) -> None:
        """Wait at most `limit` seconds until the handler `name` has been called."""
        script = "name => contract.events.some(([event]) => event === name)"
        await wait_until(self.page, script, name, limit=limit)

    async def reached(self, status: str, limit: float = SECONDS) -> None:
        """Wait at most `limit` seconds until the client has reported `status`."""
        script = "status => contract.events.some(([event, value]) => event === 'status' && value === status)"
        await wait_until(self.page, script, status, limit=limit)

    async def start_from_image(self, prompt: str) -> str:
        return cast("str", await self._call("startFromImage", {"prompt": prompt}))

    async def start_from_png(self, prompt: str, content: bytes, *, portrait: bool = True) -> str:
        """Start a stream from the content of a PNG file."""
        options = {"prompt": prompt, "portrait": portrait}
        return cast("str", await self._call("startFromPng", options, base64.b64encode(content).decode()))

    async def interact(self, prompt: str) -> str:
        return cast("str", await self._call("interact", prompt))

    async def end_stream(self) -> None:
        await self._call("endStream")

    async def disconnect(self) -> None:
        await self._call("disconnect")

    async def start_at_once(self, api_key: str, connections: int, *, patience: float) -> Starts:
        """Open `connections` connections one after another, and start a stream on each as soon as it is connected.

        Return how many starts succeeded (`started`), how many got no reply in `patience` seconds (`lost`), and the
        messages of the errors (`refused`).
        """
        script = "([key, connections, patience]) => contract.startAtOnce(key, connections, patience)"
        return cast("Starts", await self.page.evaluate(script, [api_key, connections, patience * 1000]))

    async def first_frame(self, api_key: str) -> float:
        """Connect, wait until the browser presents a frame, and disconnect; return how long that took, in ms."""
        return cast("float", await self._call("firstFrame", api_key))

    async def use(self, api_key: str) -> None:
        """Create a client for calls of the REST API. It does not connect."""
        await self._call("use", api_key)

    async def call(self, name: str, *arguments: object) -> Any:
        """Call a method of the official client by its JavaScript name; return the decoded result."""
        return await self._call("call", name, *arguments)

    async def refusal(self, name: str, argument: object) -> str | None:
        """Call a method of the official client; return the message of its rejection, or None if it succeeds."""
        return cast("str | None", await self._call("refusal", name, argument))

    async def simulate_from_image(self, prompt: str) -> dict[str, Any]:
        return cast("dict[str, Any]", await self._call("simulateFromImage", prompt))

    async def load(self, url: str) -> Film:
        """Load a video file into the `<video>` element of the page; return its size and duration."""
        return cast("Film", await self._call("load", url))

    async def play_until(self, seconds: float) -> float:
        """Play the video to the position `seconds`, then pause it; return the position in seconds."""
        return cast("float", await self._call("playUntil", seconds))

    async def seek(self, seconds: float) -> Frame:
        """Seek to the position `seconds` of the video; return the frame that the browser shows there."""
        return _frame(await self._call("seek", seconds))

    async def playback(self) -> Playback:
        return cast("Playback", await self._call("playback"))

    async def statistics(self) -> Statistics:
        """Return the reports of the browser's `getStats` about the video and the network path."""
        return cast("Statistics", await self._call("statistics"))

    async def events(self, name: str) -> list[list[object]]:
        """Return the arguments of each call of the handler `name`, in order."""
        return [values for event, *values in await self.page.evaluate("contract.events") if event == name]

    async def decoded(self, *, frames: int) -> None:
        """Wait until the browser has decoded `frames` frames, even if it has not shown them."""
        await self._call("decoded", frames)

    async def channels_closed(self, limit: float = SECONDS) -> None:
        """Wait at most `limit` seconds until every data channel is closed in the browser."""
        script = "contract.channels.length > 0 && contract.channels.every(({ readyState }) => readyState === 'closed')"
        await wait_until(self.page, script, limit=limit)

    async def received(self, message: str, times: int, limit: float = SECONDS) -> None:
        """Wait at most `limit` seconds until the client has handled `times` messages of this type on a data channel."""
        script = "([name, times]) => contract.received.filter((text) => text.includes(name)).length >= times"
        await wait_until(self.page, script, [f'"{message}"', times], limit=limit)

    async def told(self, *, after: str | None = None) -> list[list[object]]:
        """Return all handler calls in order. Each is a list of the handler's name and its arguments.

        With `after`, return only the calls that follow the first call of the handler `after`.
        """
        events = cast("list[list[object]]", await self.page.evaluate("contract.events"))
        return events if after is None else events[[name for name, *_ in events].index(after) + 1 :]

    async def told_since_connected(self) -> list[list[object]]:
        """Return the handler calls that follow both `onConnected` and the status `connected`."""
        told = await self.told()
        return told[max(told.index(["connected"]), told.index(["status", "connected"])) + 1 :]

    async def frame(self) -> Frame:
        """Return the next frame that the browser presents, with its picture."""
        return _frame(await self._call("nextFrame"))

    async def presented(self) -> Presented:
        """Return size and stamp of the next frame that the browser presents."""
        found = _frame(await self._call("nextFrame", STAMPED_PART))
        return Presented(found.size, found.stamp, found.media_time)

    async def frame_showing(self, revision: int | None, size: tuple[int, int] | None = None) -> Presented:
        """Return the next presented frame that has this prompt revision and size.

        If `revision` is None, the frame must show the idle scene. If `size` is None, any size is accepted.
        """
        seen: list[str] = []
        for _ in range(FRAMES_TO_LOOK_AT):
            frame = await self.presented()
            if frame.stamp is not None and frame.stamp.prompt_revision == revision and size in {None, frame.size}:
                return frame
            seen.append(f"{frame.size} {frame.stamp}")
        raise AssertionError(
            f"expected one of {FRAMES_TO_LOOK_AT} frames to have the prompt revision {revision} and the size "
            f"{size or '(any)'}, got other frames; the last frames were {seen[-5:]}"
        )

    async def frame_sized(self, size: tuple[int, int]) -> Presented:
        """Return the next presented frame whose (width, height) is `size`."""
        seen: set[tuple[int, int]] = set()
        for _ in range(FRAMES_TO_LOOK_AT):
            frame = await self.presented()
            if frame.size == size:
                return frame
            seen.add(frame.size)
        raise AssertionError(
            f"expected a frame of size {size} among {FRAMES_TO_LOOK_AT} frames, got only frames of the sizes {seen}"
        )

    async def _call(self, function: str, *arguments: object) -> Any:
        """Call a function of `contract.js`; return the decoded result.

        Raises:
            TimeoutError: if the function does not return within `SECONDS`.
        """
        async with asyncio.timeout(SECONDS):
            return await self.page.evaluate(f"(given) => contract.{function}(...given)", list(arguments))


def _frame(presented: Any) -> Frame:  # Any: JSON from the page
    """Decode a frame of which the page sent the upper part, or all; the rest is black."""
    png = base64.b64decode(presented["png"].partition(",")[2])
    part = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    width, height = size = presented["width"], presented["height"]
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: len(part)] = part
    return Frame(size, read_stamp(pixels), presented["mediaTime"], pixels)
