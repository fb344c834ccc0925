"""Tests that the vendor's React hook `useOdyssey` works with the mock, in both versions of the npm package.

In StrictMode, React runs the effects of a component twice: the component connects, disconnects, and connects again.
"""

import pytest

from odyssey_mock import MockOdyssey
from tests.contract.browser.official_client import OfficialClient
from tests.contract.browser.waiting import wait_until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.odyssey(portrait_size=(176, 320), landscape_size=(320, 176)),
]

SUPERSEDED = ["connect_rejected", "Connection superseded"]
"""The rejection of the first `connect` in StrictMode."""
FREE_SESSIONS = 5
"""Number of sessions that the free plan allows at the same time."""


class Application:
    """The React application in the page. Its component connects, and starts a stream with its property `prompt`."""

    def __init__(self, client: OfficialClient) -> None:
        self.client = client

    async def render(self, api_key: str, prompt: str = "A harbor") -> None:
        """Mount the component, or change the properties of the mounted one."""
        await self.client.page.evaluate("given => contract.render(given)", {"apiKey": api_key, "prompt": prompt})

    async def unmount(self) -> None:
        await self.client.page.evaluate("contract.unmount()")

    async def shows(self, text: str) -> None:
        """Wait until the component shows `text`, which contains the client's status and error."""
        script = "text => contract.text() === text"
        await wait_until(self.client.page, script, text)


@pytest.fixture(scope="session", params=["@odysseyml/odyssey", "odyssey-1.0.0"], ids=["1.3.1", "1.0.0"])
def page_url(page_url: str, request: pytest.FixtureRequest) -> str:
    """Return the URL of the React application with one version of the package."""
    return page_url.replace("page.html", f"react.html?package={request.param}")


@pytest.fixture
def app(official: OfficialClient) -> Application:
    return Application(official)


async def test_strict_mode_mount_uses_one_session(app: Application, mock: MockOdyssey) -> None:
    await app.render(mock.api_key)

    await app.client.frame_showing(0)

    await app.shows("connected: no error")
    assert len(mock.sessions) == 1
    assert len(mock.requests("POST /sessions/request")) == 1
    events = await app.client.told()
    assert events[0] == SUPERSEDED
    assert [name for name, *_ in events[1:]] == ["connected", "stream_started"]


async def test_unmount_ends_the_session(app: Application, mock: MockOdyssey) -> None:
    await app.render(mock.api_key)
    await app.client.frame_showing(0)

    await app.unmount()

    await mock.wait_for("state", "session", to="closed")
    assert mock.sessions == {}


async def test_remount_opens_another_session(app: Application, mock: MockOdyssey) -> None:
    await app.render(mock.api_key)
    await app.client.frame_showing(0)
    (first,) = mock.sessions
    await app.unmount()

    await app.render(mock.api_key, "A lighthouse")

    await app.client.frame_showing(0)
    (second,) = mock.sessions
    assert first != second
    assert len(mock.streams) == 2


async def test_changed_prompt_is_an_interaction(app: Application, mock: MockOdyssey) -> None:
    await app.render(mock.api_key)
    await app.client.frame_showing(0)

    await app.render(mock.api_key, "Snow falls")

    await app.client.frame_showing(1)
    ((applied,),) = await app.client.events("interact_acknowledged")
    assert str(applied).startswith("Snow falls")
    assert len(mock.sessions) == len(mock.streams) == 1


async def test_changed_key_connects_the_other_account(app: Application, mock: MockOdyssey) -> None:
    await app.render("ody_first_account")
    first = await mock.wait_for("state", "stream", to="running")

    await app.render("ody_second_account")

    second = await mock.wait_for("state", "stream", since=first.index + 1, to="running")
    assert second.account != first.account
    assert list(mock.sessions) == [second.session]


async def test_invalid_key_is_shown_until_it_is_corrected(app: Application, mock: MockOdyssey) -> None:
    await app.render("ody_invalid_key")
    await app.shows("failed: Invalid API key")

    await app.render(mock.api_key)

    await app.client.frame_showing(0)
    await app.shows("connected: no error")


@pytest.mark.odyssey(
    faults=[{"at": "rest.sessions.token", "do": "no_answer", "times": FREE_SESSIONS}],
)
async def test_unmount_before_the_connection_leaves_a_session(app: Application, mock: MockOdyssey) -> None:
    since = 0
    for count in range(FREE_SESSIONS):
        await app.render(mock.api_key)
        since = (await mock.wait_for("fault", "rest.sessions.token", since=since)).index + 1
        await app.unmount()
        assert len(mock.sessions) == count + 1

    await app.render(mock.api_key)

    await app.shows(f"failed: Maximum concurrent sessions ({FREE_SESSIONS}) reached")
