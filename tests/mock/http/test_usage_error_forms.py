"""Tests of the form of usage errors: the npm package 1.0 gets strings, all other clients get objects."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from starlette.requests import HTTPConnection

from odyssey_mock import MockOdyssey
from odyssey_mock.http.usage_error_forms import REMEMBERED, UsageErrorForms
from tests.support.raw import RawApi

KEY = "ody_concurrent_limit"
ORIGIN = {"Origin": "http://localhost:5173"}
MESSAGE = "Maximum concurrent sessions (5) reached"


@pytest_asyncio.fixture
async def browser(odyssey_mock: MockOdyssey) -> AsyncIterator[httpx.AsyncClient]:
    """Yield an HTTP client that sends an `Origin` header, and whose session requests are rejected with 429."""
    async with RawApi(odyssey_mock, KEY) as api:
        api.http.headers.update(ORIGIN)
        yield api.http


async def detail_of(http: httpx.AsyncClient, **body: object) -> object:
    answer = await http.post("/sessions/request", json=body)
    assert answer.status_code == 429
    return answer.json()["detail"]


async def test_browser_that_never_lists_regions_gets_strings(browser: httpx.AsyncClient) -> None:
    assert await detail_of(browser) == MESSAGE


async def test_client_that_sends_latencies_gets_objects(browser: httpx.AsyncClient) -> None:
    assert isinstance(await detail_of(browser, region_latencies={}), dict)


async def test_client_that_listed_regions_gets_objects(browser: httpx.AsyncClient) -> None:
    await browser.get("/regions")
    assert isinstance(await detail_of(browser), dict)


@pytest.mark.odyssey(faults=[{"at": "rest.regions.list", "do": "status", "status": 500}])
async def test_failed_list_of_regions_counts_too(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/regions")).status_code == 500
    assert isinstance(await detail_of(browser), dict)


async def test_client_outside_a_browser_gets_objects(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock, KEY) as api:
        assert isinstance(await detail_of(api.http), dict)


async def test_two_pages_with_one_key_are_told_apart(odyssey_mock: MockOdyssey, browser: httpx.AsyncClient) -> None:
    async with RawApi(odyssey_mock, KEY) as later:
        later.http.headers.update(ORIGIN)
        await later.http.get("/regions")
        assert isinstance(await detail_of(later.http), dict)
        assert await detail_of(browser) == MESSAGE


@pytest.mark.parametrize(("with_session", "form"), [(True, str), (False, dict)])
@pytest.mark.odyssey(simulation_workers=0, queued_simulations=1)
async def test_jobs_follow_the_session_requests(odyssey_mock: MockOdyssey, with_session: bool, form: type) -> None:
    script = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 1000, "end": {}}]
    job = {"script": script, "portrait": True, "output_video": True}
    async with RawApi(odyssey_mock) as api:
        api.http.headers.update(ORIGIN)
        if with_session:
            await api.request_session()
        await api.http.post("/simulation-jobs", json=job)
        refused = await api.http.post("/simulation-jobs", json=job)
    assert refused.status_code == 429
    assert isinstance(refused.json()["detail"], form)


@pytest.mark.odyssey(usage_error_form="object")
async def test_setting_applies_to_all_clients(browser: httpx.AsyncClient) -> None:
    assert isinstance(await detail_of(browser), dict)


def test_oldest_clients_are_forgotten() -> None:
    forms = UsageErrorForms(lambda: "auto")
    pages = [page(number) for number in range(REMEMBERED + 1)]
    for each in pages:
        forms.session_requested(each, has_latencies=False)
    assert [forms.form_for(each) for each in (pages[0], pages[1], pages[-1])] == ["object", "string", "string"]


def page(number: int) -> HTTPConnection:
    """Return a request of a browser page that has its own access token."""
    headers = [(b"authorization", b"Bearer %d" % number), (b"origin", b"http://localhost:5173")]
    return HTTPConnection({"type": "http", "headers": headers})
