"""Tests that Chromium shows overlays, start images and prompts according to the mock's settings."""

import io
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.media.timeline import Size
from tests.contract.browser.official_client import Frame, OfficialClient
from tests.support.color_chart import CHART, chart_colors, color_chart
from tests.support.raw import RawApi
from tests.support.simulations import job, script, submit
from tests.support.streams import data_url

pytestmark = pytest.mark.asyncio(loop_scope="session")

PORTRAIT, LANDSCAPE = Size(704, 1280), Size(1280, 704)
TOLERANCE = 6
"""Maximum difference of a color after coding, out of 255."""


async def frame_of_chart(official: OfficialClient, colors: Callable[[NDArray[np.uint8]], NDArray[np.int64]]) -> Frame:
    """Return the first presented frame in which the patches of the color chart have the colors `CHART`.

    `colors` reads the colors of all patches, or of some, from the pixels of a frame. A frame without a stamp can be
    recognized only by its colors.
    """
    for _ in range(100):
        frame = await official.frame()
        shown = colors(frame.pixels)
        if np.abs(shown - CHART[:, : shown.shape[1]]).max() <= TOLERANCE:
            return frame
    raise AssertionError(f"expected a frame with the colors {CHART.tolist()}, got {shown.tolist()} in the last frame")


def above_the_panel(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the colors of the patches above the panel: the upper three quarters of a portrait chart."""
    return chart_colors(pixels)[:, :3]


def has_panel(frame: Frame) -> bool:
    """Return whether a panel covers the gray patch at the lower edge of a portrait chart, so that the patch is dark."""
    height, width, _ = frame.pixels.shape
    return bool(np.median(frame.pixels[round(height * 0.93) : round(height * 0.96), width // 3 : width // 2]) < 60)


@pytest.mark.parametrize(
    ("has_stamp", "panel"),
    [
        pytest.param(True, True, id="full"),
        pytest.param(True, False, id="stamp", marks=pytest.mark.odyssey(overlay="stamp")),
        pytest.param(False, False, id="none", marks=pytest.mark.odyssey(overlay="none")),
    ],
)
async def test_overlay_leaves_the_colors_of_the_image(
    official: OfficialClient, mock: MockOdyssey, has_stamp: bool, panel: bool
) -> None:
    await official.connect(mock.api_key)
    stream_id = await official.start_from_png("A golden sunset", color_chart(PORTRAIT))

    frame = await frame_of_chart(official, above_the_panel if panel else chart_colors)

    assert (frame.stamp is not None, has_panel(frame)) == (has_stamp, panel)
    await official.end_stream()
    async with Odyssey(mock.api_key, api_url=mock.url) as ours:
        recording = await ours.get_recording(stream_id)
    await official.load(str(recording.video_url))
    recorded = await official.seek(0.05)
    shown = above_the_panel(recorded.pixels) if panel else chart_colors(recorded.pixels)
    assert np.abs(shown - CHART[:, : shown.shape[1]]).max() <= TOLERANCE
    assert (recorded.stamp is not None, has_panel(recorded)) == (has_stamp, panel)


@pytest.mark.odyssey(overlay="none")
async def test_landscape_stream_shows_the_chart(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    await official.start_from_png("Snow at midnight", color_chart(LANDSCAPE), portrait=False)

    frame = await frame_of_chart(official, chart_colors)

    assert frame.size == (1280, 704)


async def test_official_client_crops_a_start_image(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    stream_id = await official.start_from_png("A chart", color_chart(LANDSCAPE))

    sent = mock.streams[stream_id].timeline.image

    # It cuts off 69 % of an image in landscape for a stream in portrait, and shows the two middle columns.
    assert sent is not None
    with Image.open(io.BytesIO(sent)) as image:
        assert image.size == (704, 1280)
        shown = np.asarray(image.convert("RGB")).astype(int)
    corners = np.array([[shown[200, x], shown[640, x], shown[1080, x]] for x in (100, 604)])
    assert np.abs(corners - CHART[:, 1:3].transpose(1, 0, 2)).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("portrait", "colors"),
    [
        pytest.param(
            True,
            # The image has 704x387 pixels, between bars.
            {(352, 430): (0, 0, 0), (352, 850): (0, 0, 0), (88, 510): (255, 0, 0), (616, 640): (128, 128, 128)},
            marks=pytest.mark.odyssey(start_image_fit="letterbox"),
            id="letterbox-portrait",
        ),
        pytest.param(
            False,
            {(160, 117): (255, 0, 0), (1120, 117): (255, 255, 255), (160, 587): (200, 60, 60)},
            marks=pytest.mark.odyssey(start_image_fit="letterbox"),
            id="letterbox-landscape",
        ),
        pytest.param(
            False,
            # The outer patches are narrower than in the image.
            {(90, 60): (255, 0, 0), (110, 60): (0, 255, 0), (400, 352): (255, 0, 255), (1240, 352): (128, 128, 128)},
            marks=pytest.mark.odyssey(start_image_fit="service_crop"),
            id="service-crop",
        ),
    ],
)
@pytest.mark.odyssey(overlay="none", simulation_dispatch_delay=0, simulation_start_delay=0, simulation_pace=0)
async def test_image_of_a_simulation_is_fitted(
    official: OfficialClient,
    mock: MockOdyssey,
    portrait: bool,
    colors: Mapping[tuple[int, int], tuple[int, int, int]],
) -> None:
    """The image is sent without the official client, because this client crops images before it sends them."""
    async with RawApi(mock) as api:
        job_id = await submit(api.http, script(0.5, image=data_url(color_chart(LANDSCAPE))), portrait=portrait)
        await mock.journal.wait_for("state", "simulation", to="completed")
        done = await job(api.http, job_id)

    await official.load(done["streams"][0]["video_url"])
    frame = await official.seek(0.2)

    assert frame.size == ((704, 1280) if portrait else (1280, 704))
    shown = {(x, y): np.median(frame.pixels[y - 4 : y + 4, x - 4 : x + 4], axis=(0, 1)) for x, y in colors}
    for place, color in colors.items():
        assert np.abs(shown[place] - color).max() <= TOLERANCE, (
            f"expected the RGB color {color} at the position {place}, got {shown[place]}"
        )
