"""Tests of leaving a page: the official client does not disconnect by itself, only if the page calls `disconnect`."""

import pytest

from odyssey_mock import MockOdyssey
from tests.contract.browser.official_client import OfficialClient
from tests.contract.browser.waiting import wait_until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.odyssey(stale_session=40, concurrent_sessions=1, portrait_size=(176, 320)),
]


async def test_old_tab_blocks_the_account_for_40_seconds(official: OfficialClient, mock: MockOdyssey) -> None:
    connection = await official.connect(mock.api_key)
    await official.page.goto("about:blank")
    left = await mock.wait_for("state", "session", session=connection["sessionId"], event="socket_abandoned")
    mock.expect_none("client_disconnecting")
    assert left.data["to"] == "stale"

    await official.page.go_back()
    await wait_until(official.page, "window.contract")
    error = await official.connect_error(mock.api_key)
    assert error is not None
    assert (error["code"], error["details"]) == ("CONCURRENT_LIMIT_REACHED", {"active_count": 1, "limit": 1})

    await mock.advance(40)
    await official.connect(mock.api_key)


async def test_page_that_disconnects_on_pagehide_frees_its_session(official: OfficialClient, mock: MockOdyssey) -> None:
    connection = await official.connect(mock.api_key)
    await official.page.evaluate("addEventListener('pagehide', () => contract.disconnect())")
    await official.page.goto("about:blank")

    await mock.wait_for("state", "session", session=connection["sessionId"], to="closed")
    mock.expect("client_disconnecting")
    assert not mock.sessions
