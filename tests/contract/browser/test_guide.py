"""Tests that the JavaScript of the how-to guides runs with the official client in Chromium."""

import pytest

from odyssey_mock import MockOdyssey
from tests.contract.browser.official_client import OfficialClient
from tests.support.pages import Block, blocks

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEFAULT_URL = "http://127.0.0.1:8400"
"""The mock's URL in the guide, which the test replaces by the URL of its own mock."""

RUN = """async (code) => {
  const { Odyssey } = await import("@odysseyml/odyssey");
  const AsyncFunction = (async () => {}).constructor;
  await new AsyncFunction("Odyssey", code)(Odyssey);
}"""


@pytest.mark.parametrize("block", blocks("js"), ids=str)
async def test_javascript_block_runs_in_chromium(block: Block, official: OfficialClient, mock: MockOdyssey) -> None:
    assert DEFAULT_URL in block.code

    await official.page.evaluate(RUN, block.code.replace(DEFAULT_URL, mock.url))

    mock.expect_in_order(["stream_started", "update_acknowledged"])
    assert (await official.playback())["width"] > 0
