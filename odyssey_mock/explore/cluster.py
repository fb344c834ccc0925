"""Seeds played on a Dask cluster: the same batches as in processes of this machine."""

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
"""Seconds that the scheduler may take to answer, and to have a worker."""
AHEAD = 2
"""Batches in flight for each thread of the cluster: one that is played, one that waits there for its turn."""


class DaskWorkers:
    """The workers of one scheduler."""

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
                    records = pending.died(batch, "Dask worker killed by it")
                except Exception as error:
                    raise WorkersError(
                        f"the cluster could not play seeds {batch.start} to {batch.stop - 1}: {error}"
                    ) from error
                yield records
        finally:
            self._client.cancel(list(under_way), force=True)

    def _room(self, pending: PendingBatches, under_way: Iterable[range]) -> int:
        """How many batches may be in flight: one that may have killed a worker is alone, or others would be blamed."""
        return 1 if pending.suspects or any(map(pending.suspected, under_way)) else AHEAD * self.width


@contextmanager
def on_cluster(player: SeedPlayer, address: str, *, limit: float = BEGIN_LIMIT) -> Iterator[DaskWorkers]:
    """Play on the workers of the scheduler at `address`, such as `tcp://10.0.0.5:8786`.

    Raises:
        WorkersError: the extra is missing, the scheduler does not answer, or has no workers, within `limit` seconds.
    """
    if importlib.util.find_spec(_EXTRA) is None:
        raise WorkersError("a cluster needs the extra `dask`: pip install 'odyssey-testkit[mock,sim,dask]'")
    distributed = importlib.import_module(_EXTRA)
    try:
        # Before a client is made: one that cannot read its address is half made, and takes a minute to be gone.
        scheme, place = distributed.comm.addressing.parse_address(address)
        distributed.comm.registry.get_backend(scheme)
        distributed.comm.addressing.parse_host_port(place)
        client = distributed.Client(address, timeout=limit, set_as_default=False)
    except ValueError as error:
        raise WorkersError(
            f"no Dask scheduler at {address}: expected an address such as tcp://HOST:8786: {error}"
        ) from error
    except OSError as error:
        raise WorkersError(f"no Dask scheduler at {address} answers within {limit:g} s: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=limit)
        except TimeoutError as error:
            raise WorkersError(
                f"the scheduler at {address} has no workers: begin some with `dask worker {address} --nthreads 1`"
            ) from error
        yield DaskWorkers(player, client)


def _played(player: SeedPlayer, batch: range, code: str) -> tuple[SeedRecord, ...]:
    """Play a batch: what a worker of the cluster does."""
    if code != fingerprint():
        raise WorkersError("its worker has other code of odyssey-testkit than this machine: install the same there")
    return player.played(batch)
