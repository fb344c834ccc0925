"""Runs seeds on a Dask cluster, in the same batches as in local processes."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from odyssey_mock.explore.code_version import fingerprint
from odyssey_mock.explore.outcome import SeedPlayer, SeedRecord
from odyssey_mock.explore.workers import PendingBatches, WorkersError

_EXTRA = "distributed"
BEGIN_LIMIT = 30.0
"""Seconds to wait for the scheduler to answer, and then for its first worker."""
AHEAD = 2
"""Number of submitted batches for each thread of the cluster: one that runs and one that waits."""


class DaskWorkers:
    """The workers of one Dask scheduler."""

    def __init__(self, player: SeedPlayer, client: Any) -> None:  # Any: `distributed.Client`, untyped for the most part
        self._player = player
        self._client = client
        self.width: int = sum(client.nthreads().values())

    def played(self, batches: Iterable[range]) -> Generator[tuple[SeedRecord, ...]]:
        distributed = importlib.import_module(_EXTRA)
        pending = PendingBatches(batches)
        under_way: dict[Any, range] = {}
        done = distributed.as_completed(loop=self._client.loop)
        try:
            while True:
                while (
                    len(under_way) < self._room(pending, under_way.values()) and (batch := pending.take()) is not None
                ):
                    future = self._client.submit(_played, self._player, batch, fingerprint(), pure=False)
                    under_way[future] = batch
                    done.add(future)
                if not under_way:
                    return
                future = next(done)
                batch = under_way.pop(future)
                try:
                    records = future.result()
                except distributed.KilledWorker:
                    records = pending.died(batch, "the Dask worker was killed")
                except Exception as error:
                    raise WorkersError(
                        f"the cluster could not run seeds {batch.start} to {batch.stop - 1}: {error}"
                    ) from error
                yield records
        finally:
            self._client.cancel(list(under_way), force=True)

    def _room(self, pending: PendingBatches, under_way: Iterable[range]) -> int:
        """Return how many batches may be submitted to the cluster at the same time.

        If a worker died during a batch, each seed of this batch is run again while no other batch runs. If a worker
        dies again, this seed is certainly the cause.
        """
        return 1 if pending.suspects or any(map(pending.suspected, under_way)) else AHEAD * self.width


@contextmanager
def on_cluster(player: SeedPlayer, address: str, *, limit: float = BEGIN_LIMIT) -> Iterator[DaskWorkers]:
    """Connect to the Dask scheduler at `address`, such as `tcp://10.0.0.5:8786`, and yield its workers.

    Raises:
        WorkersError: `distributed` is not installed, or the scheduler does not answer or has no workers within
            `limit` seconds.
    """
    if importlib.util.find_spec(_EXTRA) is None:
        raise WorkersError("a Dask cluster requires `distributed`: pip install 'distributed>=2025.1'")
    distributed = importlib.import_module(_EXTRA)
    try:
        # Check the address first: a client that rejects its address takes a minute to clean up.
        scheme, place = distributed.comm.addressing.parse_address(address)
        distributed.comm.registry.get_backend(scheme)
        distributed.comm.addressing.parse_host_port(place)
        client = distributed.Client(address, timeout=limit, set_as_default=False)
    except ValueError as error:
        raise WorkersError(
            f"expected the address of a Dask scheduler, such as tcp://HOST:8786, got {address}: {error}"
        ) from error
    except OSError as error:
        raise WorkersError(f"the Dask scheduler at {address} did not answer within {limit:g} s: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=limit)
        except TimeoutError as error:
            raise WorkersError(
                f"expected the Dask scheduler at {address} to have workers within {limit:g} s, got none: "
                f"start one or more with `dask worker {address} --nthreads 1`"
            ) from error
        yield DaskWorkers(player, client)


def _played(player: SeedPlayer, batch: range, code: str) -> tuple[SeedRecord, ...]:
    """Run a batch on a worker of the cluster, and return its records.

    `code`: the fingerprint of the code on the machine that started the campaign.

    Raises:
        WorkersError: the worker has different code.
    """
    if code != fingerprint():
        raise WorkersError("the worker's odyssey-testkit differs from this machine's: install the same version on both")
    return player.played(batch)
