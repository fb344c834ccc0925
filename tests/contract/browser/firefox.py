"""A client of WebDriver BiDi (https://w3c.github.io/webdriver-bidi/) that drives headless Firefox.

Playwright can drive only its own builds of Firefox, and versions of Firefox that are newer than Debian's.
"""

import asyncio
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.contract.browser.chromium import missing_package
from tests.contract.browser.trust import trust
from tests.contract.browser.waiting import wait_until

NAMES = ("firefox-esr", "firefox")
READY = "WebDriver BiDi listening on "
START_LIMIT_S = 60.0
COMMAND_LIMIT_S = 60.0
"""Timeout in seconds for the answer to a command, which usually takes much less. A test has 150 s in all."""
LARGEST_MESSAGE = 64 * 1024 * 1024
"""Maximum size in bytes of a message from Firefox. The largest are frames of a video as PNG, encoded in base64."""

PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.gmp-manager.updateEnabled": False,  # otherwise it downloads a decoder of H.264, and sometimes has one
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
"""Preferences without which Firefox uses the internet. With BiDi, Firefox itself adds those that suit tests."""

PRELOAD = "() => { window.__ODYSSEY_API_URL__ = location.hash.slice(1); }"

CALL = """async (code, given) => {
  try {
    const value = (0, eval)(`(${code})`);
    return JSON.stringify({ value: await (typeof value === "function" ? value(JSON.parse(given)) : value) });
  } catch (error) {
    return JSON.stringify({ error: String(error?.message ?? error) });
  }
}"""

WAIT = """async ([code, given, timeout, polling]) => {
  const value = (0, eval)(`(() => (${code}))`);
  const end = performance.now() + timeout;
  for (;;) {
    const now = value();
    if (await (typeof now === "function" ? now(given) : now)) return true;
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, polling));
  }
}"""


class BidiError(Exception):
    """An error with which Firefox answered a command, or with which a script ended."""


class FirefoxPage:
    """A page in Firefox. The methods have the names and the meaning of Playwright's `Page`.

    Attributes:
        console: lines that the page has written to its console.
        on_uncaught: the function that is called with the message of each uncaught error.
    """

    def __init__(self, firefox: "Firefox", context: str, user: str) -> None:
        self._firefox = firefox
        self._context = context
        self._user = user
        self.console: list[str] = []
        self.on_uncaught: Callable[[str], None] = self.console.append

    async def grant(self, name: str, origin: str) -> None:
        """Grant the permission `name` to the pages of an origin."""
        await self._firefox.command(
            "permissions.setPermission",
            descriptor={"name": name},
            state="granted",
            origin=origin,
            userContext=self._user,
        )

    async def goto(self, url: str) -> None:
        """Load a page, and wait for its event `load`."""
        await self._firefox.command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def go_back(self) -> None:
        """Begin to load the previous page of the history."""
        await self._firefox.command("browsingContext.traverseHistory", context=self._context, delta=-1)

    async def evaluate(self, expression: str, arg: object = None) -> Any:  # Any: JSON from the page
        """Evaluate an expression, and call its value with `arg` if it is a function; return the decoded result."""
        return await self._evaluate(expression, arg, COMMAND_LIMIT_S)

    async def _evaluate(self, expression: str, arg: object, limit: float) -> Any:  # Any: JSON from the page
        values = [{"type": "string", "value": text} for text in (expression, json.dumps(arg))]
        answer = await self._firefox.command(
            "script.callFunction",
            limit=limit,
            functionDeclaration=CALL,
            arguments=values,
            awaitPromise=True,
            target={"context": self._context},
            userActivation=True,
        )
        result = json.loads(answer["result"]["value"])
        if "error" in result:
            raise BidiError(result["error"])
        return result.get("value")

    async def text_of(self, expression: str) -> str:
        """Return the value of an expression: text, or a promise of text. The page's policy may forbid `eval`."""
        answer = await self._firefox.command(
            "script.evaluate", expression=expression, awaitPromise=True, target={"context": self._context}
        )
        if answer["type"] != "success":
            raise BidiError(answer["exceptionDetails"]["text"])
        return str(answer["result"]["value"])

    async def wait_for_function(
        self, expression: str, *, arg: object = None, timeout: float = 30_000, polling: float
    ) -> None:
        """Wait at most `timeout` milliseconds until the expression, or a call of its value, is true.

        The page evaluates it every `polling` milliseconds.
        """
        limit = timeout / 1000 + COMMAND_LIMIT_S
        assert await self._evaluate(WAIT, [expression, arg, timeout, polling], limit), (
            f"expected {expression} to become true within {timeout} ms, with the argument {arg!r}; it stayed false"
        )

    def log(self, entry: dict[str, Any]) -> None:
        """Pass an uncaught error in the page's log to `on_uncaught`, and add any other entry to `console`."""
        if entry["type"] == "javascript":
            self.on_uncaught(entry["text"])
        else:
            self.console.append(f"{entry['level']}: {entry['text']}")


class Firefox:
    """A running Firefox, connected over a WebSocket. `receive` must run as long as commands are in progress."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}  # Any: each command has an answer of its own form
        self._pages: dict[str, FirefoxPage] = {}
        self._ended: str | None = None
        """Why no answers are received any more; None as long as they are."""

    async def command(
        self, method: str, *, limit: float = COMMAND_LIMIT_S, **parameters: object
    ) -> Any:  # Any: see `_answers`
        """Send a command; return the result in its answer, for which it waits at most `limit` seconds.

        Raises:
            BidiError: Firefox answered with an error, or its answers are no longer received.
            TimeoutError: Firefox did not answer in time.
        """
        if self._ended is not None:
            raise BidiError(self._ended)
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(limit):
                await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
                return await answer
        except TimeoutError:
            raise TimeoutError(f"expected an answer to {method} within {limit} s, got none") from None
        finally:
            del self._answers[number]

    async def receive(self) -> None:
        """Pass answers to their commands, and log entries to their pages, until the connection is closed."""
        reason = "Firefox closed the connection"
        try:
            with suppress(ConnectionClosed):
                async for text in self._socket:
                    self._take(json.loads(text))
        except BaseException as error:
            reason = f"messages of Firefox are no longer received: {error!r}"
            raise
        finally:
            self._ended = reason
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(BidiError(reason))

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "event":
            page = self._pages.get(message["params"]["source"].get("context"))
            if page is not None:
                page.log(message["params"])
        elif (answer := self._answers.get(message["id"])) is not None and not answer.done():
            if message["type"] == "success":
                answer.set_result(message["result"])
            else:
                answer.set_exception(BidiError(f"{message['error']}: {message['message']}"))

    @asynccontextmanager
    async def opened(
        self, page_url: str, *, api_url: str, permissions: Sequence[str] = ()
    ) -> AsyncIterator[FirefoxPage]:
        """Load `page_url` without stored data, and yield the page. Its client connects to the service at `api_url`.

        The page has the given permissions, as after a user has granted them.
        """
        async with self.new_page() as page:
            for name in permissions:
                await page.grant(name, page_url.rpartition("/")[0])
            await page.goto(f"{page_url}#{api_url}")
            await wait_until(page, "window.contract")
            yield page

    @asynccontextmanager
    async def new_page(self) -> AsyncIterator[FirefoxPage]:
        """Yield an empty page without stored data."""
        user = (await self.command("browser.createUserContext"))["userContext"]
        context = (await self.command("browsingContext.create", type="tab", userContext=user))["context"]
        page = self._pages[context] = FirefoxPage(self, context, user)
        yield page
        del self._pages[context]
        await self.command(
            "browser.removeUserContext", userContext=user
        )  # closes the page, and with it its connections


def executable() -> str | None:
    """Return the path of the first Firefox on PATH; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def missing() -> str | None:
    """Return a description of the first missing requirement of the tests in Firefox; None if nothing is missing."""
    return missing_package() or (None if executable() else f"no Firefox on PATH (looked for {', '.join(NAMES)})")


@asynccontextmanager
async def launched(
    root: Path | None = None, *, preferences: Mapping[str, object] = MappingProxyType({})
) -> AsyncIterator[Firefox]:
    """Start headless Firefox with a new profile, and yield it. It is killed at the end.

    It trusts the certificate authority in the PEM file `root`, if there is one. `preferences` are added to those above.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});"
            for name, value in {**PREFERENCES, **preferences}.items()
        ]
        (Path(home) / "user.js").write_text("\n".join(lines))
        if root is not None:
            trust(root, Path(home))
        process = await asyncio.create_subprocess_exec(
            *(str(executable()), "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", home),
            env={**os.environ, "HOME": home, "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            address = await _address(process.stderr)
            rest = asyncio.create_task(process.stderr.read())  # a full pipe would stop Firefox
            async with connect(f"{address}/session", max_size=LARGEST_MESSAGE, proxy=None) as socket:
                firefox = Firefox(socket)
                receiving = asyncio.create_task(firefox.receive())
                await firefox.command("session.new", capabilities={})
                await firefox.command("session.subscribe", events=["log.entryAdded"])
                await firefox.command("script.addPreloadScript", functionDeclaration=PRELOAD)
                yield firefox
            await receiving
        finally:
            process.kill()
            await process.wait()
        await rest


async def _address(output: asyncio.StreamReader) -> str:
    """Return the address that Firefox prints when it is ready."""
    lines: list[str] = []
    async with asyncio.timeout(START_LIMIT_S):
        async for line in output:
            lines.append(line.decode().strip())
            if lines[-1].startswith(READY):
                return lines[-1].removeprefix(READY)
    raise AssertionError(f"expected Firefox to print {READY!r}, got {lines}")
