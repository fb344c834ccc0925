"""Campaigns on a Dask cluster, which is one of Dask's own on this machine."""

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
        dashboard_address="127.0.0.1:0",  # None would be the same port for all
        protocol="tcp",
        host="127.0.0.1",
    ) as local:
        yield local.scheduler_address


def test_seeds_are_played_on_the_workers_of_a_cluster() -> None:
    campaign = Campaign(range(100), "light")
    with scheduler(2) as address, on_cluster(JOB, address) as place:
        assert place.width == 4
        campaign.run(place, lambda _: None)
    assert (campaign.tally.seeds, campaign.tally.failed) == (100, 22)
    assert [(known.seed, known.count) for known in campaign.tally.examples()] == [(3, 14), (5, 9)]


def test_real_scenarios_are_on_a_cluster_what_they_are_here() -> None:
    job, few = SeedPlayer(explorer.play, "light"), range(3)
    with scheduler(1) as address, on_cluster(job, address) as place:
        records = [record for some in place.played([few]) for record in some]
    assert records == list(job.played(few))


def test_no_more_batches_are_sent_than_there_is_room_for() -> None:
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
    cluster.fingerprint = lambda: CODE  # type: ignore[assignment,attr-defined]  # in a process of the cluster, for its whole life
    return _OfOneVersion(play)  # as it goes by the scheduler on its way


class _OfOneVersion:
    """Explorers that take the processes they are sent to for such of one version: files may be edited meanwhile."""

    def __init__(self, play: PlaySeed) -> None:
        self._play = play

    def __reduce__(self) -> tuple[Callable[[PlaySeed], PlaySeed], tuple[PlaySeed]]:
        return _of_one_version, (self._play,)

    def __call__(
        self, seed: int, *, fidelity: Fidelity = "light", scenario: Scenario | None = None, keeps_trace: bool = False
    ) -> Outcome:
        return self._play(seed, fidelity=fidelity, scenario=scenario, keeps_trace=keeps_trace)


def test_a_worker_that_dies_costs_no_seed_but_the_one_that_kills_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_batch_that_may_have_killed_a_worker_is_played_alone_or_its_neighbors_would_be_blamed() -> None:
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


def test_an_error_of_a_worker_ends_the_campaign_and_names_the_seeds() -> None:
    with scheduler(1) as address, on_cluster(SeedPlayer(unloadable, "light"), address) as place:
        expected = r"the cluster could not play seeds 0 to 1: .*"
        with pytest.raises(WorkersError, match=expected):
            Campaign(range(10), "light").run(place, lambda _: None)


def test_other_code_on_the_cluster_is_an_error() -> None:
    with pytest.raises(WorkersError, match="other code of odyssey-testkit than this machine: install the same there"):
        cluster._played(JOB, range(3), "another")


def test_nobody_at_the_address_is_an_error_that_says_so() -> None:
    expected = r"no Dask scheduler at tcp://127\.0\.0\.1:1 answers within 0\.2 s: "
    with pytest.raises(WorkersError, match=expected), on_cluster(JOB, "tcp://127.0.0.1:1", limit=0.2):
        pass


@pytest.mark.parametrize("address", ["localhost", "tcp://localhost", "tcp://localhost:x", "nonsense://", ""])
def test_what_is_no_address_is_an_error_at_once_that_shows_one(address: str) -> None:
    expected = rf"no Dask scheduler at {address}: expected an address such as tcp://HOST:8786: "
    with (
        patch("distributed.Client", side_effect=AssertionError("nobody is to be asked")),
        pytest.raises(WorkersError, match=expected),
        on_cluster(JOB, address),
    ):
        pass


def test_a_scheduler_without_workers_is_an_error_that_says_what_to_do() -> None:
    with scheduler(0) as address:
        expected = rf"the scheduler at {address} has no workers: begin some with `dask worker {address} --nthreads 1`"
        with pytest.raises(WorkersError, match=expected), on_cluster(JOB, address, limit=0.2):
            pass


def test_without_the_extra_the_error_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from odyssey_mock.explore.cluster import on_cluster\n"
        "with on_cluster(None, 'tcp://127.0.0.1:1'): pass"
    )
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert tried.stderr.splitlines()[-1].endswith(
        "WorkersError: a cluster needs the extra `dask`: pip install 'odyssey-testkit[mock,sim,dask]'"
    )
