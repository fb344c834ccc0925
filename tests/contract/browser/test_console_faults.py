"""Tests of the console's view of faults in Chromium: the form, presets, counts, and what can be copied."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import expect

from odyssey_mock import MockOdyssey
from odyssey_mock.faults.catalog import POINTS
from tests.contract.browser.console_page import ConsoleTab, copied, look_at
from tests.mock.faults.test_catalog import described
from tests.support.forks import run_python

pytestmark = pytest.mark.asyncio(loop_scope="session")

REFUSED = ["422 (Unprocessable"]  # Content, or Entity in Python 3.12
"""What Chromium writes when the mock refuses a fault."""
EXPORTED = """async ({ faults, catalog }) => {
  const { draftOf, faultOf } = await import("console/fault_form.js");
  const { describedFault, pointGroups } = await import("console/fault_catalog.js");
  const { markerOf, yamlOf } = await import("console/fault_text.js");
  const shown = faults.map((fault) => describedFault(fault, catalog));
  const drafts = faults.map((fault) => faultOf(catalog, draftOf(catalog, fault)));
  const groups = pointGroups(catalog).flatMap(({ options }) => options.map(({ at }) => at));
  return { yaml: yamlOf(shown), marker: markerOf(shown), drafts, groups };
}"""
HOSTILE: list[dict[str, Any]] = [
    {"at": "rest.auth.token", "do": "not_json", "body": '- "a": \\ \u2028 \u0085 \x7f \t é 😀 [{#&*!|>%@`'},
    {"at": "rest.auth.token", "do": "wrong_shape", "body": {"a b": [None, True, 1e-7, 1e21, "yes", "1.0", "\ud800"]}},
    {"at": "rest.*", "do": "delay", "seconds": 1e-7, "probability": 0.25, "after": 2, "match": {"account": "acct_1"}},
    {"at": "stream.interact", "do": "error", "reason": "no", "ends_stream": True, "match": {"prompt": 'it\'s "x"'}},
]
"""Faults whose values are hard to write as YAML and as Python."""


def plain(mock: MockOdyssey) -> list[dict[str, Any]]:
    """Return the faults of a mock, without ids and counts."""
    return [active.fault.to_json() for active in mock.faults]


async def test_fault_of_the_form_fires(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "faults", expected=["503"]) as page:
        await expect(page.locator(".empty-title")).to_have_text("No active faults")
        await page.get_by_label("Where").select_option("rest.auth.token")
        await page.get_by_label("What").select_option("status")
        await page.get_by_label("status", exact=False).first.fill("503")
        await page.get_by_label("detail").fill("No cats today")
        await page.get_by_label("times").fill("1")
        await page.get_by_role("button", name="Add the fault").click()
        badge = page.locator(".fault-list .badge")
        await expect(badge).to_have_text("Waiting")
        body = json.dumps({"api_key": mock.api_key})
        answer = await page.evaluate(
            "(body) => fetch('/auth/token', { method: 'POST', body }).then((response) => response.json())", body
        )
        await expect(badge).to_have_text("Fired once, spent")
        assert answer == {"detail": "No cats today"}
        await page.get_by_role("button", name="Remove fault-1").click()
        await expect(page.locator(".empty-title")).to_have_text("No active faults")

    mock.expect("rest.auth.token", kind="fault", do="status")


async def test_errors_are_beside_their_fields(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "faults", expected=REFUSED) as page:
        await page.get_by_label("Where").select_option("stream.interact")
        await page.get_by_label("What").select_option("error")
        add = page.get_by_role("button", name="Add the fault")
        await add.click()
        reason = page.get_by_label("reason")
        await expect(reason).to_be_focused()
        await expect(page.locator("#fault-reason-hint")).to_have_text("stream.interact error requires reason: a string")
        await reason.fill("quota_exceeded")
        await page.get_by_label("probability").fill("2")
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("probability")).to_be_focused()
        await expect(page.locator("#fault-probability-hint")).to_contain_text("a number above 0, up to 1, got 2")
        await expect(reason).not_to_have_attribute("aria-invalid", "true")
        await page.get_by_label("Where").select_option("rest.regions.list")
        await page.get_by_label("What").select_option("wrong_shape")
        await page.get_by_label("body").fill('{"regions": ')
        await add.click()
        await expect(page.locator("#fault-body-hint")).to_contain_text("expected JSON")
        assert plain(mock) == []


async def test_keyboard_adds_and_removes_a_preset(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url) as page:
        for key in ("g", "f"):
            await page.keyboard.press(key)
        await page.get_by_role("button", name="Add Moderation").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator(".toast")).to_have_text("Moderation: 2 faults added")
        assert [(fault["at"], fault["reason"]) for fault in plain(mock)] == [
            ("stream.start", "moderation_failed"),
            ("stream.interact", "moderation_failed"),
        ]
        for number in (1, 2):
            await page.get_by_role("button", name=f"Remove fault-{number}").focus()
            await page.keyboard.press("Enter")
        await expect(page.locator(".empty-title")).to_have_text("No active faults")
        assert plain(mock) == []


async def test_entry_of_the_timeline_fills_in_the_form(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "timeline") as page:
        await page.evaluate("fetch('/ping/us-east-1')")
        await page.locator("[role=option]").click()
        await page.get_by_role("link", name="Fault here").click()
        await expect(page.get_by_label("Where")).to_have_value("rest.regions.ping")
        await expect(page.get_by_label("times")).to_have_value("1")
        await expect(page.get_by_label("What")).to_be_focused()


async def test_links_that_no_entry_has_fill_in_nothing(console: ConsoleTab, mock: MockOdyssey) -> None:
    strange: list[Any] = [
        [1],
        "x",
        None,
        *({"at": at} for at in (5, ["rest.auth.token"], "toString", "__proto__", "constructor.*")),
        {"at": "rest.auth.token", "do": "toString", "match": 5},
    ]
    async with console.opened(mock.url, "faults") as page:
        for fault in strange:
            await page.evaluate(
                "(hash) => { location.hash = hash; }", f"#/faults?{urlencode({'fault': json.dumps(fault)})}"
            )
            await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
            await expect(page.get_by_label("Where"), f"after a link with {fault}").to_have_value("rest.auth.token")


async def test_copied_yaml_starts_a_mock(console: ConsoleTab, tmp_path: Path) -> None:
    async with MockOdyssey(faults=HOSTILE) as mock, console.opened(mock.url, "faults") as page:
        await expect(page.locator(".fault-list > li")).to_have_count(len(HOSTILE))
        file = tmp_path / "faults.yaml"
        file.write_text(await copied(page, "The faults as YAML, for serve --faults"), encoding="utf-8")
        expected = plain(mock)
    show = (
        "import os, urllib.request as r; "
        "print(r.urlopen(os.environ['ODYSSEY_API_URL'] + '/_mock/faults').read().decode())"
    )
    run = "from odyssey_mock.cli.app import main; main()"
    arguments = ("-c", run, "exec", "--faults", str(file), "--", sys.executable, "-c", show)
    ran = await asyncio.to_thread(run_python, *arguments, limit_s=60)
    assert ran.returncode == 0, ran.stderr
    counts = {"id", "reached", "passed", "fired", "spent", "why_not"}
    started = [{name: each[name] for name in each if name not in counts} for each in json.loads(ran.stdout)["faults"]]
    assert started == expected


async def test_copied_marker_starts_a_mock(console: ConsoleTab) -> None:
    async with MockOdyssey(faults=HOSTILE) as mock, console.opened(mock.url, "faults") as page:
        await expect(page.locator(".fault-list > li")).to_have_count(len(HOSTILE))
        marker = (await copied(page, "The pytest marker")).strip()
        expected = plain(mock)
    assert marker.startswith("@pytest.mark.odyssey(")
    (mark,) = [eval(marker[1:], {"pytest": pytest}).mark]
    async with MockOdyssey(**mark.kwargs) as mock:
        assert plain(mock) == expected


async def test_form_keeps_every_fault_of_the_catalog(console: ConsoleTab, mock: MockOdyssey) -> None:
    faults = [described(at, do) for at in POINTS for do in POINTS[at].actions] + HOSTILE
    async with console.opened(mock.url, "faults") as page:
        catalog = await page.evaluate("fetch('/_mock/faults/catalog').then((response) => response.json())")
        exported = await page.evaluate(EXPORTED, {"faults": faults, "catalog": catalog})

    assert [each["fault"] for each in exported["drafts"]] == faults
    assert {"rest.*", "rest.sessions.*", "hls.*", "job.*"} <= set(exported["groups"])
    assert "signaling.*" not in exported["groups"], "its points have no action in common"


async def test_faults_look_right(console: ConsoleTab, mock: MockOdyssey) -> None:
    async with console.opened(mock.url, "faults", expected=REFUSED) as page:
        await expect(page.locator(".fault-form")).to_be_visible()
        problems = await look_at(page, "faults-empty")
        await page.get_by_role("button", name="Add Bad network").click()
        await page.get_by_role("button", name="Add No capacity").click()
        await expect(page.locator(".fault-list > li")).to_have_count(4)
        await page.get_by_role("button", name="Add the fault").click()
        await expect(page.locator(".field-error")).to_have_count(1)
        await page.locator(".fault-match summary").click()
        await page.locator("main.view").evaluate("(view) => view.scrollTo(0, 0)")
        problems += await look_at(page, "faults")
        mock.faults.clear()

    assert problems == []
