"""Tests of the console's view Simulations, in Chromium: the script editor, jobs, recordings and their player."""

import json
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Locator, Page, expect

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from tests.contract.browser.console_page import ConsoleTab, look_at
from tests.contract.browser.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WRONG = """[
  {"timestamp_ms": 1, "start": {"prompt": 3}},
  {"timestamp_ms": 3000, "interact": {"prompt": "Pet", "x": 1}}
]"""
PLACES = """async (texts) => {
  const { placesOf } = await import("console/json_places.js");
  const parsed = (text) => { try { return [JSON.parse(text)]; } catch { return null; } };
  return texts.filter((text) => {
    let places = null;
    try { places = placesOf(text); } catch (error) { if (error.name !== "JsonTextError") return true; }
    const whole = parsed(text);
    if (whole === null || places === null) return (whole === null) !== (places === null);
    const count = (value) =>
      1 + (value && typeof value === "object" ? Object.values(value).reduce((sum, each) => sum + count(each), 0) : 0);
    if (places.size !== count(whole[0])) return true;
    return [...places].some(([path, { start, end }]) => {
      const keys = JSON.parse(path);
      const value = keys.reduce((inner, key) => inner[key], whole[0]);
      const source = text.slice(start, end);
      const shown = typeof keys.at(-1) === "string" ? parsed(`{${source}}`)?.[0][keys.at(-1)] : parsed(source)?.[0];
      return JSON.stringify(shown) !== JSON.stringify(value);
    });
  });
}"""
"""Return the texts for which `placesOf` and `JSON.parse` differ: in whether they are JSON, or in a value."""


SAMPLE = '[{"a": [1, -2.5e3, true, null], "b\\u00e9\\"": "\\n{", "": {}}, [], "\u2028"]\n'


def mutations(text: str) -> list[str]:
    """Return the text, and each text that differs from it in one character that is deleted, inserted or replaced."""
    found = [
        text,
        "",
        "0",
        "01",
        "-",
        "1.",
        "nul",
        "[1 2]",
        '{"a":1,"a":[2]}',
        '{"__proto__": 1}',
        "\ufeff[]",
        "\t[]\r\n",
    ]
    for at in range(len(text)):
        found.append(text[:at] + text[at + 1 :])
        for character in '[]{}",:0.e\\ \n':
            found += [text[:at] + character + text[at:], text[:at] + character + text[at + 1 :]]
    return found


def editor(page: Page) -> Locator:
    return page.get_by_label("Script (JSON)")


async def test_errors_are_shown_while_typing(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "simulations") as page:
        await expect(page.get_by_text("Valid: a video of 9.0 s.")).to_be_visible()
        await editor(page).fill('[{"timestamp_ms": 0,}]')
        await expect(page.locator(".problem")).to_have_text(['1:21JSON: expected a key in quotation marks, got "}"'])
        await editor(page).fill(WRONG)
        await expect(page.locator(".problem")).to_have_text(
            [
                "2:4[0].timestamp_ms expected 0, the time of the first entry; got 1",
                "2:33[0].start.prompt expected text that UTF-8 can encode, got 3",
                "3:3[1] expected an end, as the last entry; got interact",
                "3:56[1].interact.x expected prompt, got an unknown key",
            ]
        )
        await expect(page.get_by_role("button", name="Run", exact=True)).to_be_disabled()
        await page.locator(".problem").nth(1).click()
        await page.keyboard.type('"prompt": "A cat"')
        await expect(page.locator(".problem")).to_have_count(3)
        assert await editor(page).input_value() == WRONG.replace('"prompt": 3', '"prompt": "A cat"')
        problems = await look_at(page, "simulations-errors")

    assert problems == []
    assert mock.journal.find("rest", "POST /simulation-jobs") == []


async def test_film_has_interactions_on_its_time_bar(console: ConsoleTab, mock: MockOdyssey, tmp_path: Path) -> None:
    async with console.opened(mock.url, "simulations") as page:
        await editor(page).focus()
        await page.keyboard.press("Control+Enter")
        marker = page.get_by_role("button", name="interact at 3.00 s")
        await marker.press("Enter")
        video = page.get_by_label("Film: A cat on a windowsill")
        await expect(video).to_have_js_property("currentTime", 3)
        await expect(page.locator(".film-event.current")).to_contain_text("Pet the cat")
        await expect(page.locator(".job .badge")).to_have_text("completed")
        await page.get_by_role("button", name="Play", exact=True).press("Enter")
        await wait_until(page, "() => document.querySelector('.film-player video').currentTime > 3.2")
        await page.get_by_role("button", name="Pause").press("Enter")
        async with page.expect_download() as started:
            await page.get_by_role("link", name="Event log").click()
        await (await started.value).save_as(tmp_path / "events.jsonl")
        problems = await look_at(page, "simulations")

    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["start", "interact", "interact", "end"]
    assert problems == []
    mock.expect("POST /simulation-jobs", status=200)


async def test_attached_image_starts_the_video(console: ConsoleTab, mock: MockOdyssey, tmp_path: Path) -> None:
    file = tmp_path / "red.png"
    Image.new("RGB", (64, 64), "red").save(file)
    async with console.opened(mock.url, "simulations") as page:
        await page.set_input_files(".script input[type=file]", file)
        await expect(page.get_by_text("Valid: a video of 9.0 s.")).to_be_visible()
        await page.get_by_role("button", name="Run", exact=True).click()
        await expect(page.get_by_role("link", name="Play the video")).to_be_visible()
        await page.get_by_role("button", name="Remove red.png").click()
        await expect(page.locator(".problem")).to_contain_text('got "attached:red.png"; attach the image below')

    (entry,) = mock.journal.find("rest", "POST /simulation-jobs")
    assert entry.data["request"]["script"][0]["start"]["image"].startswith("data:image/png;base64,iVBOR")


async def test_refused_job_is_explained(console: ConsoleTab, mock: MockOdyssey) -> None:
    mock.faults.add({"at": "rest.simulations.create", "do": "status", "status": 429, "detail": "Too many jobs"})
    async with console.opened(mock.url, "simulations", expected=("status of 429",)) as page:
        await page.get_by_role("button", name="Run", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("Fault rest.simulations.create fired: status")
        await expect(page.get_by_role("alert")).to_contain_text("Too many jobs")


@pytest.mark.odyssey(host="0.0.0.0")  # so that the control API needs its token
async def test_recording_is_played_with_a_control_token(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        media = await client.connect()
        await client.start_stream("A lighthouse", portrait=False)
        await anext(aiter(media))
        await client.end_stream()
    async with console.opened(mock.url, f"?token={mock.control_token}") as page:
        await page.locator(".nav").get_by_role("link", name="Simulations").click()
        await page.get_by_role("link", name="A lighthouse").click()
        video = page.get_by_label("Film: A lighthouse")
        await expect(video).to_have_js_property("videoWidth", 1280)
        assert (await video.get_attribute("src") or "").startswith("blob:")
        await expect(page.locator(".film-event-type")).to_have_text(["start", "end"])
        async with page.expect_download() as started:
            await page.get_by_role("button", name="Thumbnail").click()
        assert (await started.value).suggested_filename.endswith("-thumbnail.jpg")


async def test_places_of_values_agree_with_the_parser(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "simulations") as page:
        assert await page.evaluate(PLACES, mutations(SAMPLE)) == []
