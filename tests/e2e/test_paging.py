"""Tests that `iter_simulations` skips and repeats no job if jobs begin or end while it requests the pages."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey

SCRIPT = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 1000, "end": {}}]


@settings(max_examples=30)
@given(at_first=st.integers(0, 9), page_size=st.integers(1, 4), added=st.lists(st.integers(0, 3), max_size=12))
def test_jobs_added_during_listing_hide_no_earlier_job(at_first: int, page_size: int, added: list[int]) -> None:
    listed, before = asyncio.run(_list_while_adding(at_first, page_size, added))
    assert len(set(listed)) == len(listed)
    assert [job for job in listed if job in before] == before, (
        f"expected all jobs that existed before the listing, newest first: {before}, got {listed}"
    )


async def _list_while_adding(at_first: int, page_size: int, added: list[int]) -> tuple[list[str], list[str]]:
    """Submit `at_first` jobs, and list all jobs. After the listed job number i, submit `added[i]` new jobs.

    Return the ids of the listed jobs, and the ids of the jobs that existed before the listing, newest first.
    """
    async with (
        MockOdyssey(clock="manual", simulation_workers=0, queued_simulations=1000) as mock,
        Odyssey(mock.api_key, api_url=mock.url) as client,
    ):
        before = [(await client.simulate(script=SCRIPT)).job_id for _ in range(at_first)]
        more, listed = iter(added), []
        async for job in client.iter_simulations(page_size=page_size):
            listed.append(job.job_id)
            for _ in range(next(more, 0)):
                await client.simulate(script=SCRIPT)
        return listed, before[::-1]


@settings(max_examples=30)
@given(page_size=st.integers(1, 4), ending=st.sets(st.integers(0, 9)), after=st.integers(0, 9))
def test_jobs_ended_during_listing_hide_no_active_job(page_size: int, ending: set[int], after: int) -> None:
    listed, still_active = asyncio.run(_list_while_ending(page_size, ending, after))
    assert len(set(listed)) == len(listed)
    assert set(still_active) <= set(listed)


async def _list_while_ending(page_size: int, ending: set[int], after: int) -> tuple[list[str], list[str]]:
    """Submit ten jobs, and list the active jobs. When `after` jobs are listed, cancel the jobs at the indexes `ending`.

    Return the ids of the listed jobs, and the ids of the jobs that were not cancelled.
    """
    async with (
        MockOdyssey(clock="manual", simulation_workers=0, queued_simulations=1000) as mock,
        Odyssey(mock.api_key, api_url=mock.url) as client,
    ):
        jobs = [(await client.simulate(script=SCRIPT)).job_id for _ in range(10)]
        listed: list[str] = []
        async for job in client.iter_simulations(active=True, page_size=page_size):
            if len(listed) == after:
                for index in ending:
                    await client.cancel_simulation(jobs[index])
            listed.append(job.job_id)
        return listed, [job for index, job in enumerate(jobs) if index not in ending]
