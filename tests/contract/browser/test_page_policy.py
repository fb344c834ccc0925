"""Tests in Chromium of the Content Security Policy of the mock's pages."""

import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from odyssey_mock import MockOdyssey

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOTE_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI}`);
});
"""

LOAD_EVERY_MODULE = """async () => {
  const { imports } = JSON.parse(document.querySelector("script[type=importmap]").textContent);
  const failed = [];
  for (const name of Object.keys(imports)) {
    await import(name).catch((error) => failed.push(`${name}: ${error}`));
  }
  return failed;
}"""

INJECT = """async () => {
  const violated = new Promise((resolve) => addEventListener("securitypolicyviolation", resolve, { once: true }));
  const script = document.createElement("script");
  const outcome = {};
  try { script.textContent = "window.injected = true"; } catch (error) { outcome.text = error.name; }
  const node = document.createTextNode("window.injected = true");
  script.append(node);
  document.head.append(script);
  await violated;
  try { document.body.innerHTML = "<img>"; } catch (error) { outcome.html = error.name; }
  const frame = document.createElement("img");
  const blocked = new Promise((resolve) => frame.onerror = () => resolve("blocked"));
  frame.src = "https://evil.example/pixel.png";
  document.body.append(frame);
  outcome.image = await blocked;
  outcome.request = await fetch("https://evil.example/").catch((error) => error.name);
  outcome.ran = "injected" in window;
  return outcome;
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.add_init_script(NOTE_VIOLATIONS)
        yield page


@pytest.mark.parametrize("name", ["console", "watch"])
async def test_page_runs_only_its_own_modules(name: str, page: Page, mock: MockOdyssey) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))

    response = await page.goto(f"{mock.url}/_mock/{name}/")
    assert response is not None
    assert response.status == 200
    await page.wait_for_selector("#app > *")
    assert await page.evaluate(LOAD_EVERY_MODULE) == []
    assert await page.evaluate("window.violations") == []
    assert problems == []

    assert await page.evaluate(INJECT) == {
        "text": "TypeError",
        "html": "TypeError",
        "image": "blocked",
        "request": "TypeError",
        "ran": False,
    }


async def test_pages_load_below_a_prefix(page: Page) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    url = f"http://127.0.0.1:{port}/below/a/prefix"
    async with MockOdyssey(port=port, public_url=url):
        await page.goto(f"{url}/")  # the redirect leads to the console
        await page.wait_for_selector("#app > *")
        assert page.url.partition("#")[0] == f"{url}/_mock/console/"
        assert await page.evaluate(LOAD_EVERY_MODULE) == []
        assert await page.evaluate("window.violations") == []
