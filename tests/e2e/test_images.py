"""Tests that `start_stream` accepts images in every documented form, and that the stream shows them."""

import asyncio
import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odyssey_client import ImageError, Odyssey, VideoFrame
from odyssey_client.media.image_source import ImageSource
from odyssey_mock import MockOdyssey, read_stamp
from tests.support.color_profiles import display_p3
from tests.support.image_files import encoded

HORIZON = Image.new("RGB", (640, 480), "#1040ff")
HORIZON.paste("#ffd000", (0, 240, 640, 480))
"""The test image, whose upper half is blue and whose lower half is yellow."""


def png() -> bytes:
    buffer = io.BytesIO()
    HORIZON.save(buffer, "PNG")
    return buffer.getvalue()


def in_a_file(directory: Path) -> Path:
    path = directory / "horizon.png"
    path.write_bytes(png())
    return path


KINDS: dict[str, Callable[[Path], ImageSource]] = {
    "a path": in_a_file,
    "a path as text": lambda directory: str(in_a_file(directory)),
    "bytes": lambda _: png(),
    "a data URL": lambda _: f"data:image/png;base64,{base64.b64encode(png()).decode()}",
    "a binary file": lambda _: io.BytesIO(png()),
    "a PIL image": lambda _: HORIZON,
    "a numpy array": lambda _: np.asarray(HORIZON),
}


async def first_frame_of(client: Odyssey, tag: int | None) -> VideoFrame:
    async with asyncio.timeout(20):
        async for frame in client.frames(buffer=256):
            stamp = read_stamp(frame.luma)
            if stamp is not None and stamp.stream_tag == tag:
                return frame
    raise AssertionError("expected a frame of the new stream, but the video ended before one arrived")


async def test_stream_shows_image_of_every_kind(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    await odyssey_client.connect()
    for kind, make in KINDS.items():
        stream_id = await odyssey_client.start_stream("Clouds drift by", image=make(tmp_path))
        frame = await first_frame_of(odyssey_client, odyssey_mock.streams[stream_id].timeline.tag)
        await odyssey_client.end_stream()

        red, _, blue = (int(channel) for channel in frame.data[300:500, 300:400].mean(axis=(0, 1)))
        assert blue > red, (
            f"image given as {kind}: expected more blue than red in the upper half, which is blue in the image, "
            f"got the mean levels red {red} and blue {blue} (0 to 255)"
        )
        red, _, blue = (int(channel) for channel in frame.data[800:1000, 300:400].mean(axis=(0, 1)))
        assert red > blue, (
            f"image given as {kind}: expected more red than blue in the lower half, which is yellow in the image, "
            f"got the mean levels red {red} and blue {blue} (0 to 255)"
        )


async def test_photo_without_end_is_sent_in_srgb(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    photo = encoded(Image.new("RGB", (704, 1280), (200, 60, 60)), "JPEG", quality=95, icc_profile=display_p3())
    await odyssey_client.connect()

    stream_id = await odyssey_client.start_stream("Clouds drift by", image=photo[:-2])

    received = odyssey_mock.streams[stream_id].timeline.image
    assert received is not None
    with Image.open(io.BytesIO(received)) as picture:
        assert "icc_profile" not in picture.info
        assert picture.getpixel((352, 640)) == pytest.approx((217, 42, 52), abs=4)


@pytest.mark.parametrize("image", [b"no image", bytes(25 * 2**20 + 1)], ids=["not an image", "too large"])
async def test_next_start_works_after_rejected_image(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, image: bytes
) -> None:
    await odyssey_client.connect()

    with pytest.raises(ImageError):
        await odyssey_client.start_stream("Clouds drift by", image=image)

    assert odyssey_mock.streams == {}
    assert await odyssey_client.start_stream("Clouds drift by") in odyssey_mock.streams
