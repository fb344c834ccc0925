"""Tests of the subcommands of `odyssey simulations` against the mock."""

import pytest

from odyssey_client import Odyssey, Script
from odyssey_mock import MockOdyssey

from .conftest import Run, document

SHORT = Script().start("A cat").wait(1).end()
FAILING = Script().start("A dog [error:no dogs]").wait(1).end()

pytestmark = pytest.mark.odyssey(clock="manual", portrait_size=(176, 320))


async def test_jobs_are_listed_newest_first(odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run) -> None:
    ids = []
    for script in (SHORT, FAILING):
        ids.append((await odyssey_client.simulate(script=script)).job_id)
        await odyssey_mock.advance(60)
    result = await run("simulations", "list")
    assert (result.exit_code, result.stderr) == (0, "")
    header, failed, completed = result.stdout.splitlines()
    assert header.split() == ["JOB", "STATUS", "PRIORITY", "CREATED", "COMPLETED", "ERROR"]
    assert failed.split()[:3] == [ids[1], "failed", "normal"]
    assert completed.split() == [
        ids[0],
        "completed",
        "normal",
        "2026-01-01T00:00:00.000Z",
        "2026-01-01T00:00:00.500Z",
        "-",
    ]
    assert failed.index("failed") == completed.index("completed") == header.index("STATUS")


async def test_list_can_be_filtered_and_paged(odyssey_client: Odyssey, odyssey_mock: MockOdyssey, run: Run) -> None:
    ids = [(await odyssey_client.simulate(script=SHORT)).job_id for _ in range(4)]
    await odyssey_client.cancel_simulation(ids[0])
    newest_first = ids[::-1]

    async def listed(*options: str) -> list[str]:
        found = document(await run("simulations", "list", "--json", *options))
        return [job["job_id"] for job in found["jobs"]]

    assert await listed() == newest_first
    assert await listed("--all") == newest_first
    assert await listed("--limit", "2", "--offset", "1") == newest_first[1:3]
    assert await listed("--active") == newest_first[:3]
    assert await listed("--all", "--active") == newest_first[:3]
    assert await listed("--status", "cancelled") == [ids[0]]


async def test_partial_list_states_total_count(odyssey_client: Odyssey, odyssey_mock: MockOdyssey, run: Run) -> None:
    for _ in range(3):
        await odyssey_client.simulate(script=SHORT)
    below = (await run("simulations", "list", "--limit", "2")).stdout.splitlines()[-1]
    assert below == "1 to 2 of 3 simulations; --all lists all."
    past = (await run("simulations", "list", "--offset", "5")).stdout
    assert past == "There are 3 simulations; --offset 5 skips all of them.\n"


async def test_empty_list_prints_a_message(odyssey_mock: MockOdyssey, run: Run) -> None:
    assert (await run("simulations", "list")).stdout == "No simulations found.\n"
    assert document(await run("simulations", "list", "--json"))["jobs"] == []
    assert document(await run("simulations", "list", "--all", "--json")) == {"jobs": [], "total": 0}


async def test_job_is_shown_with_streams(odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run) -> None:
    job = await odyssey_client.simulate(scripts=[SHORT, FAILING])
    await odyssey_mock.advance(60)
    result = await run("simulations", "show", job.job_id)
    assert result.exit_code == 0
    about, _, streams = result.stdout.partition("\n\n")
    assert f"job              {job.job_id}" in about
    assert "status           failed" in about
    assert "error            1 of 2 streams failed: script 1: no dogs" in about
    _, good, bad = streams.splitlines()
    assert good.split()[2:] == ["completed", "1", "s", "20", "-"]
    assert bad.split()[2:4] == ["failed", "-"]
    assert "no dogs" in bad
    found = document(await run("simulations", "show", job.job_id, "--json"))
    assert [stream["script_index"] for stream in found["streams"]] == [0, 1]


async def test_cancel_cancels_the_job(odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run) -> None:
    job = await odyssey_client.simulate(script=SHORT)
    result = await run("simulations", "cancel", job.job_id)
    assert (result.exit_code, result.stdout) == (0, f"Simulation {job.job_id} is cancelled.\n")
    assert odyssey_mock.jobs[job.job_id].status == "cancelled"
    other = await odyssey_client.simulate(script=SHORT)
    assert document(await run("simulations", "cancel", other.job_id, "--json"))["status"] == "cancelled"


async def test_ended_job_cannot_be_cancelled(odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run) -> None:
    job = await odyssey_client.simulate(script=SHORT)
    await odyssey_mock.advance(60)
    result = await run("simulations", "cancel", job.job_id, "--json")
    assert result.exit_code == 1
    assert document(result)["error"]["code"] == "not_cancellable"
    assert "Check its status with `odyssey simulations show`" in result.stderr


@pytest.mark.parametrize("command", ["show", "cancel"])
async def test_unknown_job_error_names_list_command(command: str, odyssey_mock: MockOdyssey, run: Run) -> None:
    result = await run("simulations", command, "unknown")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "There is no simulation job unknown. Check the id with `odyssey simulations list`." in result.stderr
