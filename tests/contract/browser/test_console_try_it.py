"""Tests of the console's view Try it and of the page of a broadcast, in Chromium, which has a fake camera."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from odyssey_mock import MockOdyssey
from tests.contract.browser.chromium import HERE
from tests.contract.browser.console_page import ConsoleTab, look_at, violations
from tests.contract.browser.waiting import wait_until
from tests.support.requirements import require

SMALL: Mapping[str, Any] = {"portrait_size": (176, 320), "landscape_size": (320, 176)}
"""Settings with which Chromium decodes and shows the video in little time."""

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.odyssey(**SMALL)]

JSQR = HERE / "node_modules/jsqr/dist/jsQR.js"
DECODE = """async (png) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, image.width, image.height);
  return jsQR(data, width, height)?.data ?? null;
}"""
FAILED_CLIENT = """async () => {
  const { createLiveClient } = await import("console/live_client.js");
  const service = { authorize: async () => { throw new Error("refused"); } };
  globalThis.serviceOfClient = new WeakRef(service);
  await createLiveClient({ service, onChange() {} }).connect().catch(() => {});
}"""
"""Keep a weak reference to the service of a client that could not connect."""
EXPLAINED = """async () => {
  const { explain, nextEntry } = await import("console/refusal.js");
  const fault = { kind: "fault", name: "stream.start", data: { id: "fault-1", do: "error" } };
  const explained = async (isKnown) => {
    const requested = [];
    const get = async (path) => {
      requested.push(path);
      if (path === "journal?limit=0" && !isKnown) throw new Error("cut");
      return { next: 7, entries: [fault] };
    };
    const { faults } = await explain(new Error("refused"), { api: { get }, since: await nextEntry({ get }) });
    return { requested, faults: faults.map(({ id }) => id) };
  };
  return [await explained(true), await explained(false)];
}"""
"""Explain an error while the mock tells the next entry of the journal, and while it does not."""
FRAMES = "() => document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames > 2"
ENDED = ("status of 404",)
"""What Chromium writes when the page of a broadcast asks whether it still exists, and it has ended."""


async def decoded(page: Page) -> str | None:
    """Return the text of the QR code that the page shows, from its picture."""
    await page.evaluate(JSQR.read_text(encoding="utf-8"))
    picture = await page.locator(".qr-code").screenshot()
    text: str | None = await page.evaluate(DECODE, base64.b64encode(picture).decode())
    return text


def sent(mock: MockOdyssey) -> list[dict[str, Any]]:
    """Return the messages about streams that the client has sent, in order."""
    entries = [*mock.journal.find("channel"), *mock.journal.find("signaling", "interactive_stream_start")]
    messages = [
        entry.data["message"]
        for entry in sorted(entries, key=lambda entry: entry.index)
        if entry.data["from"] == "client"
    ]
    return [dict(message) for message in messages]


async def started(page: Page, prompt: str = "A cat", *, options: Sequence[str] = ()) -> None:
    """Start a stream, and wait until it runs."""
    await page.get_by_role("textbox", name="Prompt", exact=True).fill(prompt)
    for label in options:
        await page.get_by_label(label).check(force=True)
    await page.get_by_role("button", name="Start").click()
    await page.wait_for_selector("[data-stream=running]")


async def test_keyboard_controls_a_whole_session(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url) as page:
        await page.keyboard.press("g")
        await page.keyboard.press("y")
        await expect(page.get_by_role("heading", name="Try it")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Control+A")
        await page.keyboard.type("A lighthouse")
        await page.keyboard.press("Tab")
        await page.keyboard.press("ArrowDown")
        for _ in range(5):  # Choose a file, Use the camera, Broadcast, More options, Start
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        interaction = page.get_by_label("Interaction")
        await expect(interaction).to_be_focused()
        await page.keyboard.type("A ship passes")
        await page.keyboard.press("Enter")
        await expect(page.locator(".prompts li .badge")).to_have_text(["applied", "applied"])
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="End the stream")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Start")).to_be_focused()
        await page.get_by_role("button", name="Disconnect").press("Enter")
        await expect(page.get_by_text("The session has ended.")).to_be_visible()

    assert [(message["type"], message.get("prompt")) for message in sent(mock)] == [
        ("interactive_stream_start", "A lighthouse"),
        ("update", "A ship passes"),
        ("interactive_stream_end", None),
    ]
    assert sent(mock)[0]["portrait"] is True
    mock.expect("client_disconnecting", kind="signaling")


@pytest.mark.odyssey(host="0.0.0.0", **SMALL)  # the control API needs its token, and the page of the broadcast none
async def test_broadcast_is_watched_through_its_qr_code(console: ConsoleTab, mock: MockOdyssey) -> None:
    require(None if JSQR.is_file() else "the npm package jsqr is not installed")
    async with console.opened(mock.url, f"?token={mock.control_token}") as page:
        await page.locator(".nav").get_by_role("link", name="Try it").click()
        await started(page, options=["Broadcast"])
        link = await decoded(page)
        assert link is not None
        assert link == await page.get_by_role("link", name="Watch").get_attribute("href")
        assert re.fullmatch(rf"{mock.url}/_mock/watch/#stream=[\w-]+&token=[\w-]+", link)
        spectator = await page.context.new_page()
        problems: list[str] = []
        spectator.on("console", lambda message: problems.append(message.text))
        await spectator.goto(link)
        await spectator.wait_for_selector("[data-state=live]")
        await wait_until(spectator, FRAMES)
        found = await violations(spectator)
        await expect(page.get_by_text("1 spectator", exact=True)).to_be_visible()

        await page.get_by_role("button", name="End the stream").click()
        await expect(spectator.get_by_text("The broadcast has ended.")).to_be_visible()
        await spectator.get_by_role("button", name="Try again").click()
        await expect(spectator.get_by_text("The broadcast has ended, or the link is not complete.")).to_be_visible()
        await spectator.goto(f"{mock.url}/_mock/watch/")
        await expect(spectator.get_by_role("heading", name="This link has no broadcast")).to_be_visible()
        found += await look_at(spectator, "watch-nothing")
        await spectator.close()
        await page.get_by_role("button", name="Disconnect").click()

    assert found == []
    assert [text for text in problems if not any(each in text for each in ENDED)] == []


async def test_start_image_from_file_and_camera(console: ConsoleTab, mock: MockOdyssey, tmp_path: Path) -> None:
    file = tmp_path / "red.png"
    Image.new("RGB", (64, 64), "red").save(file)
    async with console.opened(mock.url, "try") as page:
        await page.set_input_files(".start-image input[type=file]", file)
        await expect(page.get_by_text("red.png", exact=True)).to_be_visible()
        await started(page)
        await page.get_by_role("button", name="End the stream").click()
        await page.get_by_role("button", name="Remove").click()
        await page.get_by_role("button", name="Use the camera").click()
        await page.get_by_role("button", name="Take the picture").click()
        await expect(page.get_by_role("img", name="Start image")).to_have_js_property("complete", True)
        await started(page)
        await page.get_by_role("button", name="Disconnect").click()

    starts = [message["input_image_base64"] for message in sent(mock) if message["type"] == "interactive_stream_start"]
    assert [start[:15] for start in starts] == ["data:image/png;", "data:image/jpeg"]
    assert [record.error for record in mock.streams.values()] == [None, None]


async def test_refusals_say_why_and_what_to_do(console: ConsoleTab, mock: MockOdyssey) -> None:
    refused = ("status of 429", "status of 503", "status of 401")
    async with console.opened(mock.url, "try", expected=refused) as page:
        start = page.get_by_role("button", name="Start")
        alert = page.get_by_role("alert")
        await page.get_by_text("More options").click()
        for key, words, link in (
            ("ody_concurrent_limit", "Maximum concurrent sessions", "Setting concurrent_sessions"),
            ("ody_invalid", "Invalid API key", "Setting keys"),
        ):
            await page.get_by_label("API key").fill(key)
            await start.click()
            await expect(alert).to_contain_text(words)
            await expect(alert.get_by_role("link", name=link)).to_be_visible()
            await expect(page.get_by_text("refused", exact=True)).to_be_visible()

        await page.get_by_label("API key").fill("ody_no_capacity")
        await start.click()
        await expect(page.get_by_text("No streamer is free (503")).to_be_visible()
        await page.get_by_role("button", name="Cancel").click()
        await page.get_by_label("API key").fill("")

        await page.get_by_role("textbox", name="Prompt", exact=True).fill("A cat [moderated]")
        await start.click()
        await expect(alert).to_contain_text("the prompt contains the marker [moderated]")
        mock.faults.add({"at": "stream.start", "do": "error", "reason": "lease_denied", "times": 1})
        await page.get_by_role("textbox", name="Prompt", exact=True).fill("A cat")
        await start.click()
        await expect(alert).to_contain_text("Fault stream.start fired: error")
        await expect(alert.get_by_role("link", name="Faults")).to_be_visible()

        await started(page)
        await page.get_by_role("button", name="End the stream").click()
        await expect(page.get_by_text("Connected, no stream")).to_be_visible()
        await mock.advance(41)
        await expect(alert).to_contain_text("The mock ended the session")
        await expect(alert.get_by_role("link", name="Setting inactivity")).to_be_visible()
        await started(page)
        await mock.advance(151)
        await expect(alert).to_contain_text("Stream ended: credit lease expired")
        await expect(page.get_by_text("The session has ended.")).to_be_visible()
        await alert.get_by_role("link", name="Setting stream_duration").click()
        await expect(page.get_by_label("stream_duration", exact=True)).to_be_focused()


async def test_interaction_is_refused_only_above_the_message_size(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "try") as page:
        await started(page)
        for prompt, states in (
            ("x" * 100_000, ["applied", "applied"]),
            ("ä" * 140_000, ["refused", "applied", "applied"]),
        ):
            await page.get_by_label("Interaction").fill(prompt)
            await page.get_by_label("Interaction").press("Enter")
            await expect(page.locator(".prompts li .badge")).to_have_text(states)
        await expect(page.locator(".refusal-what")).to_have_text(
            "Expected a message of at most 262,144 bytes, got 280,029: shorten the prompt message_too_long"
        )
        await page.get_by_role("button", name="Disconnect").click()

    mock.expect("update", kind="channel", count=1)


async def test_client_whose_session_has_ended_is_released(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url) as page:
        await page.evaluate(FAILED_CLIENT)
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("HeapProfiler.collectGarbage")
        await devtools.detach()
        released = await page.evaluate("serviceOfClient.deref() === undefined")

    assert released


async def test_faults_of_earlier_actions_explain_nothing(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url) as page:
        known, unknown = await page.evaluate(EXPLAINED)

    assert known == {"requested": ["journal?limit=0", "journal?since=7&limit=1000"], "faults": ["fault-1"]}
    assert unknown == {"requested": ["journal?limit=0"], "faults": []}


async def test_session_goes_on_while_other_views_are_shown(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "try") as page:
        await started(page)
        await page.get_by_role("link", name="Clock").click()
        await expect(page.get_by_role("row", name="stream duration")).to_be_visible()
        await page.locator(".nav").get_by_role("link", name="Try it").click()
        await page.get_by_label("Interaction").fill("It rains")
        await page.get_by_label("Interaction").press("Enter")
        await expect(page.locator(".prompts li .badge")).to_have_text(["applied", "applied"])
        await page.get_by_role("button", name="Disconnect").click()

    mock.expect("update", kind="channel", count=1)


async def test_view_has_no_accessibility_violations(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "try") as page:
        await page.get_by_text("More options").click()
        await started(page, options=["Broadcast"])
        await page.wait_for_selector(".stage video.shown")
        await page.get_by_label("Interaction").fill("A dog [moderated]")
        await page.get_by_label("Interaction").press("Enter")
        await expect(page.get_by_role("alert")).to_be_visible()
        found = await look_at(page, "try")
        await page.get_by_role("button", name="Disconnect").click()

    assert found == []
