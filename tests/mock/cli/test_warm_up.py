"""Tests of the import of the libraries of live sessions after the first response."""

import asyncio
import gc

import httpx
import pytest

from odyssey_mock.cli import warm_up
from odyssey_mock.cli.warm_up import MODULES, warming_up, without_garbage_collection
from odyssey_mock.server import MockOdyssey
from tests.support.tls_contexts import NO_CERTIFICATES

LIMIT = 30.0


async def test_modules_are_imported_after_the_first_response(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, imported = asyncio.get_running_loop(), asyncio.Queue[str]()
    monkeypatch.setattr(warm_up, "import_module", lambda name: loop.call_soon_threadsafe(imported.put_nowait, name))
    async with warming_up(odyssey_mock), asyncio.timeout(LIMIT):
        assert not odyssey_mock.backend.first_response.is_set()
        assert imported.empty()
        async with httpx.AsyncClient(verify=NO_CERTIFICATES) as client:
            (await client.get(f"{odyssey_mock.url}/_mock/health")).raise_for_status()
        assert [await imported.get() for _ in MODULES] == [*MODULES]


async def test_unused_mock_imports_nothing(odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    monkeypatch.setattr(warm_up, "import_module", imported.append)
    async with warming_up(odyssey_mock):
        pass
    assert imported == []


async def test_missing_library_is_reported(odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, is_reported = asyncio.get_running_loop(), asyncio.Event()

    def broken(name: str) -> None:
        raise ImportError("libvpx.so.9 is missing", name=name)

    def report(text: str, *values: object) -> None:
        assert "libvpx.so.9 is missing; run `odyssey-mock doctor`" in text % values
        loop.call_soon(is_reported.set)

    monkeypatch.setattr(warm_up, "import_module", broken)
    monkeypatch.setattr(warm_up.logger, "warning", report)
    async with warming_up(odyssey_mock), asyncio.timeout(LIMIT), httpx.AsyncClient(verify=NO_CERTIFICATES) as client:
        (await client.get(f"{odyssey_mock.url}/_mock/health")).raise_for_status()
        await is_reported.wait()


def test_garbage_collection_is_restored() -> None:
    assert gc.isenabled()
    with without_garbage_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
