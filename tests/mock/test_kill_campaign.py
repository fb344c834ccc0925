"""A small campaign of `kill -9` against `serve --state-dir`; `scripts/kill_campaign.py` runs a large one."""

from tests.support.kill_campaign import run_campaign


async def test_killed_server_loses_nothing_that_it_acknowledged() -> None:
    checked = await run_campaign(5, seed=1, longest=1.0)
    assert checked["kills"] == 5
    assert checked["accepted jobs"] > 0
    assert checked["journal entries"] > 0
