"""Helpers for streams: start one as a protocol-level client, make test images, and wait until a session is closed."""

import base64
import io

from PIL import Image

from odyssey_mock import MockOdyssey
from tests.support.raw import RawPeer

START = {"type": "interactive_stream_start", "prompt": "A cat"}


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def picture(size: tuple[int, int] = (64, 96), form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (180, 40, 40)).save(buffer, form)
    return buffer.getvalue()


async def start(peer: RawPeer, **fields: object) -> str:
    peer.say({**START, **fields})
    started = await peer.hear()
    assert started["type"] == "stream_started", f"expected the message stream_started, got {started}"
    return str(started["stream_id"])


async def gone(mock: MockOdyssey, session: str) -> None:
    await mock.wait_for("state", "session", session=session, to="closed")
