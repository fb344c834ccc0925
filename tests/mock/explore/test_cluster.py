"""Tests of campaigns on a Dask cluster, with Dask's `LocalCluster`."""

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import dask
import pytest
from distributed import LocalCluster

from odyssey_mock.explore import cluster, explorer
from odyssey_mock.explore.campaign import Campaign
from odyssey_mock.explore.cluster import on_cluster
from odyssey_mock.explore.outcome import PROCESS_DIED, FailedSeed, Outcome, PlaySeed, SeedPlayer, batches
from odyssey_mock.explore.scenario import Scenario
from odyssey_mock.explore.workers import PendingBatches, WorkersError
from odyssey_mock.sim.fidelity import Fidelity
from tests.support.explore.commanded import CODE
from tests.support.explore.scenarios import kills, play, unloadable

JOB = SeedPlayer(play, "light")


@contextmanager
def scheduler(workers: int, *, processes: bool = False) -> Iterator[str]:
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=workers,
        threads_per_worker=2,
        processes=processes,
        dashboard_address="127.0.0.1:0",  # with None, all clusters would use the same port
        protocol="tcp",
        host="127.0.0.1",
    ) as local:
        yield local.scheduler_address


def test_campaign_runs_on_dask_workers() -> None:
    campaign = Campaign(range(100), "light")
    with scheduler(2) as address, on_cluster(JOB, address) as place:
        assert place.width == 4
        campaign.run(place, lambda _: None)
    assert (campaign.tally.seeds, campaign.tally.failed) == (100, 22)
    assert [(known.seed, known.count) for known in campaign.tally.examples()] == [(3, 14), (5, 9)]


def test_scenarios_have_same_results_on_a_cluster() -> None:
    job, few = SeedPlayer(explorer.play, "light"), range(3)
    with scheduler(1) as address, on_cluster(job, address) as place:
        records = [record for some in place.played([few]) for record in some]
    assert records == list(job.played(few))


def test_number_of_batches_in_flight_is_limited() -> None:
    taken = 0

    def endless() -> Iterator[range]:
        nonlocal taken
        while True:
            taken += 1
            yield range(taken, taken + 1)

    with scheduler(1) as address, on_cluster(JOB, address) as place:
        under_way = place.played(endless())
        for count in range(1, 20):
            next(under_way)
            assert taken <= count + cluster.AHEAD * place.width
        under_way.close()


def _of_one_version(play: PlaySeed) -> PlaySeed:
    cluster.fingerprint = lambda: CODE  # type: ignore[assignment,attr-defined]  # not restored: it runs in a worker process
    return _OfOneVersion(play)  # a wrapper, because the scheduler pickles it again


class _OfOneVersion:
    """A wrapper of `play` that sets a fixed code version in each process that unpickles it.

    The real version would change if files were edited while the tests run.
    """

    def __init__(self, play: PlaySeed) -> None:
        self._play = play

    def __reduce__(self) -> tuple[Callable[[PlaySeed], PlaySeed], tuple[PlaySeed]]:
        return _of_one_version, (self._play,)

    def __call__(
        self, seed: int, *, fidelity: Fidelity = "light", scenario: Scenario | None = None, keeps_log: bool = False
    ) -> Outcome:
        return self._play(seed, fidelity=fidelity, scenario=scenario, keeps_log=keeps_log)


def test_only_seed_that_kills_its_worker_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "fingerprint", lambda: CODE)
    job = SeedPlayer(_OfOneVersion(functools.partial(kills, tmp_path)), "light")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        scheduler(1, processes=True) as address,
        on_cluster(job, address) as place,
    ):
        records = [record for some in place.played(batches([range(8, 15)], 7)) for record in some]
    assert sorted(seed for record in records for seed in record.seeds) == list(range(8, 15))
    assert [
        record.seed for record in records if isinstance(record, FailedSeed) and record.failures[0].rule == PROCESS_DIED
    ] == [12]


def test_batch_whose_worker_died_runs_alone() -> None:
    class Client:
        def nthreads(self) -> dict[str, int]:
            return {"a worker": 2}

    place = cluster.DaskWorkers(JOB, Client())
    pending = PendingBatches([range(2), range(2, 4)])
    first = pending.take()
    assert first is not None
    assert place._room(pending, [first]) == 4
    pending.died(first, "death")
    assert place._room(pending, [range(2, 4)]) == 1
    suspects = [pending.take(), pending.take()]
    assert suspects == [range(1), range(1, 2)]
    assert place._room(pending, [range(1, 2)]) == 1
    assert place._room(pending, []) == 4


def test_error_of_a_worker_names_its_seeds() -> None:
    with scheduler(1) as address, on_cluster(SeedPlayer(unloadable, "light"), address) as place:
        expected = r"the cluster could not run seeds 0 to 1: .*"
        with pytest.raises(WorkersError, match=expected):
            Campaign(range(10), "light").run(place, lambda _: None)


def test_worker_with_other_code_is_rejected() -> None:
    with pytest.raises(WorkersError, match="differs from this machine's: install the same version on both"):
        cluster._played(JOB, range(3), "another")


def test_unreachable_scheduler_is_reported() -> None:
    expected = r"the Dask scheduler at tcp://127\.0\.0\.1:1 did not answer within 0\.2 s: "
    with pytest.raises(WorkersError, match=expected), on_cluster(JOB, "tcp://127.0.0.1:1", limit=0.2):
        pass


@pytest.mark.parametrize("address", ["localhost", "tcp://localhost", "tcp://localhost:x", "nonsense://", ""])
def test_invalid_address_is_rejected_without_connecting(address: str) -> None:
    expected = rf"expected the address of a Dask scheduler, such as tcp://HOST:8786, got {address}: "
    with (
        patch("distributed.Client", side_effect=AssertionError("expected no connection to the scheduler")),
        pytest.raises(WorkersError, match=expected),
        on_cluster(JOB, address),
    ):
        pass


def test_missing_workers_error_shows_the_command() -> None:
    with scheduler(0) as address:
        expected = (
            rf"expected the Dask scheduler at {address} to have workers within .* s, got none: "
            rf"start one or more with `dask worker {address} --nthreads 1`"
        )
        with pytest.raises(WorkersError, match=expected), on_cluster(JOB, address, limit=0.2):
            pass


def test_missing_dask_error_shows_the_command() -> None:
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from odyssey_mock.explore.cluster import on_cluster\n"
        "with on_cluster(None, 'tcp://127.0.0.1:1'): pass"
    )
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert tried.stderr.splitlines()[-1].endswith(
        "WorkersError: a Dask cluster requires `distributed`: pip install 'distributed>=2025.1'"
    )
