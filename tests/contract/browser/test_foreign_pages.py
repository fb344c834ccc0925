"""Tests in Chromium that a web page of another origin can neither control the mock nor read local services with it."""

import json

import pytest
from playwright.async_api import Page

from odyssey_mock import MockOdyssey
from tests.contract.browser.chromium import Pages
from tests.support.script_server import SCRIPT, ok, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

ATTEMPTS = """async (url) => {
  const fault = JSON.stringify({at: "server", do: "away", seconds: 600});
  const outcome = async (path, options) => {
    try {
      const response = await fetch(url + path, options);
      return `${response.type} ${response.status} ${await response.text()}`;
    } catch (error) {
      return error.name;
    }
  };
  const loaded = (element, where) => new Promise((resolve) => {
    element.onload = () => resolve("loaded");
    element.onerror = () => resolve("error");
    where.append(element);
  });
  const found = {
    "a simple request": await outcome("/_mock/faults", {method: "POST", body: fault}),
    "a request with a preflight": await outcome("/_mock/faults", {method: "DELETE"}),
    "a request without CORS": await outcome("/_mock/faults", {method: "POST", body: fault, mode: "no-cors"}),
    "a reset": await outcome("/_mock/reset", {method: "POST", mode: "no-cors"}),
    "the journal": await outcome("/_mock/journal"),
    "the overview, which has a key": await outcome("/_mock/overview"),
    "the accounts": await outcome("/_mock/accounts", {mode: "no-cors"}),
    "the events": await outcome("/_mock/events"),
    "a pause of the clock": await outcome("/_mock/clock/pause", {method: "POST", mode: "no-cors"}),
    "a page": await outcome("/_mock/console/"),
  };
  const module = `${url}/_mock/console/files/components/html.js`;
  found["a module"] = await import(module).then(() => "loaded", (error) => error.name);
  const script = Object.assign(document.createElement("script"), {src: `${url}/_mock/journal`});
  found["a script"] = await loaded(script, document.head);
  const frame = Object.assign(document.createElement("iframe"), {name: "target"});
  const form = Object.assign(document.createElement("form"), {
    action: `${url}/_mock/faults`, method: "POST", enctype: "text/plain", target: "target",
  });
  const field = Object.assign(document.createElement("input"), {name: fault.slice(0, -1) + ', "x": "', value: '"}'});
  form.append(field);
  document.body.append(form);
  await loaded(frame, document.body);
  const sent = new Promise((resolve) => frame.onload = resolve);
  form.submit();
  await sent;
  return found;
}"""
"""A function that tries every way in which a page can send a request to the control API at `url`."""

REFUSED = {
    "a simple request": "TypeError",
    "a request with a preflight": "TypeError",
    "a request without CORS": "opaque 0 ",
    "a reset": "opaque 0 ",
    "the journal": "TypeError",
    "the overview, which has a key": "TypeError",
    "the accounts": "opaque 0 ",
    "the events": "TypeError",
    "a pause of the clock": "opaque 0 ",
    "a page": "TypeError",
    "a module": "TypeError",
    "a script": "error",
}

FRAME = """(url) => new Promise((resolve) => {
  const frame = Object.assign(document.createElement("iframe"), {src: `${url}/_mock/console/`, onload: resolve});
  document.body.append(frame);
})"""
"""A function that shows the console at `url` in a frame."""

SUBMIT = """async ([url, key, script_url]) => {
  const json = {"Content-Type": "application/json"};
  const login = await fetch(`${url}/auth/token`, {method: "POST", headers: json, body: JSON.stringify({api_key: key})});
  const headers = {...json, "Authorization": `Bearer ${(await login.json()).access_token}`};
  const body = JSON.stringify({script_url, portrait: true, output_video: true});
  const answer = await fetch(`${url}/simulation-jobs`, {method: "POST", headers, body});
  return (await answer.json()).job_id;
}"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_foreign_page_cannot_control_the_mock(host: str, pages: Pages, page_url: str, mock: MockOdyssey) -> None:
    """The page is on another port of the same site, or on another site. Both are other origins."""
    mock.faults.add(at="stream.start", do="silent")
    before = len(mock.journal.entries)
    async with pages.opened(page_url.replace("127.0.0.1", host), api_url=mock.url) as page:
        assert await page.evaluate(ATTEMPTS, mock.url) == REFUSED
        await page.evaluate(FRAME, mock.url)
        assert "the control API accepts no requests of pages of other origins" in await page.frames[-1].content()
    assert [(each.fault.at, each.fault.do) for each in mock.faults] == [("stream.start", "silent")]
    assert len(mock.journal.entries) == before
    assert not mock.clock.is_paused
    mock.faults.clear()


async def test_page_of_the_mock_can_control_it(pages: Pages, page_url: str) -> None:
    # Not the fixture `mock`, which checks requests against the contract: the browser also requests /favicon.ico.
    async with MockOdyssey() as mock, pages.opened(page_url, api_url=mock.url) as page:
        shown = await typed(page, f"{mock.url}/_mock/state")
        assert shown["sessions"] == []
        fault = {"at": "stream.start", "do": "silent"}
        added = await page.evaluate(
            "async (fault) => (await fetch('/_mock/faults', {method: 'POST', body: fault})).status", json.dumps(fault)
        )
        assert added == 201
        assert [each.fault.at for each in mock.faults] == ["stream.start"]


async def typed(page: Page, url: str) -> dict[str, object]:
    """Load `url` as if the user typed it into the address bar; return the JSON that it contains."""
    response = await page.goto(url)
    assert response is not None
    shown: dict[str, object] = await response.json()
    return shown


async def test_foreign_page_cannot_read_local_services(pages: Pages, page_url: str, mock: MockOdyssey) -> None:
    async with serving(ok(SCRIPT)) as server, pages.opened(page_url, api_url=mock.url) as page:
        job_id = await page.evaluate(SUBMIT, [mock.url, mock.api_key, server.url])
        await mock.wait_for("state", "simulation", job=job_id, to="failed")
    assert server.opened == 0
    assert "because a web page of another origin submitted the job" in (mock.jobs[job_id].error_message or "")
