"""Tests of the web pages that the mock serves: the pages, their files, and the redirect from `/`."""

import base64
import hashlib
import json
import re

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.pages.page_files import PAGES
from tests.support.tls_contexts import NO_CERTIFICATES

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
NAVIGATION = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


async def test_browser_is_redirected_to_the_console(http: httpx.AsyncClient) -> None:
    response = await http.get("/", headers=HTML)
    assert (response.status_code, response.headers["Location"]) == (307, "_mock/console/")
    assert response.headers["Vary"].split(", ")[0] == "Accept"


@pytest.mark.off_contract("the service has no path /")
@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/*", ""])
async def test_client_gets_404_at_the_root(http: httpx.AsyncClient, odyssey_mock: MockOdyssey, accept: str) -> None:
    response = await http.get("/", headers={"Accept": accept})
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
    odyssey_mock.expect("GET /", status=404)


@pytest.mark.off_contract("the service has no path /")
async def test_post_to_the_root_is_404_as_before(http: httpx.AsyncClient) -> None:
    assert (await http.post("/", headers=HTML)).status_code == 404


async def test_redirect_keeps_the_prefix_of_the_public_url() -> None:
    async with (
        MockOdyssey(public_url="https://example.com/below/mock") as mock,
        httpx.AsyncClient(base_url=mock.listening_url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        response = await http.get("/below/mock/", headers=HTML)
        page = await http.get("/below/mock/_mock/console/")
    assert response.headers["Location"] == "_mock/console/"  # relative to the URL in the browser
    assert page.status_code == 200


@pytest.mark.parametrize("page", ["console", "watch"])
async def test_policy_permits_the_relative_import_map(http: httpx.AsyncClient, page: str) -> None:
    response = await http.get(f"/_mock/{page}/")
    (imports,) = re.findall(r'<script type="importmap">(.*)</script>', response.text)
    urls = json.loads(imports)["imports"]
    policy = dict(each.split(" ", 1) for each in response.headers["Content-Security-Policy"].split("; "))
    hashed = base64.b64encode(hashlib.sha256(imports.encode()).digest()).decode()

    assert urls["preact/hooks"] == "./files/vendor/preact-hooks.js"
    assert urls[f"{page}/app.js"] == f"./files/{page}/app.js"
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'self' 'sha256-{hashed}'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("page", ["console", "watch"])
async def test_every_url_of_a_page_is_served(http: httpx.AsyncClient, page: str) -> None:
    html = (await http.get(f"/_mock/{page}/")).text
    (imports,) = re.findall(r'<script type="importmap">(.*)</script>', html)
    urls = [*json.loads(imports)["imports"].values(), *re.findall(r'(?:src|href)="(files/[^"]*)"', html)]
    got = {url: await http.get(f"/_mock/{page}/{url}") for url in urls}

    assert {url: response.status_code for url, response in got.items()} == dict.fromkeys(urls, 200)
    types = {url.rpartition(".")[2]: response.headers["Content-Type"] for url, response in got.items()}
    assert types == {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}


async def test_unchanged_file_is_not_sent_again(http: httpx.AsyncClient) -> None:
    path = "/_mock/console/files/components/html.js"
    first = await http.get(path)
    again = await http.get(path, headers={"If-None-Match": first.headers["ETag"]})

    assert first.content == (PAGES / "components/html.js").read_bytes()
    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert (await http.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_unchanged_page_keeps_its_policy(http: httpx.AsyncClient) -> None:
    first = await http.get("/_mock/console/")
    again = await http.get("/_mock/console/", headers={"If-None-Match": first.headers["ETag"]})

    assert again.status_code == 304
    assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "name",
    [
        "page_files.py",
        "README.md",
        "../page_files.py",
        "..%2Fpage_files.py",
        "console/..%2F..%2Fpage_files.py",
        "%2Fetc%2Fpasswd",
        "console/index.html",
        "viewer/app.js",
        "watch/app.js",
        "console/",
        "console%00/app.js",
        "",
    ],
)
async def test_other_files_are_not_served(http: httpx.AsyncClient, name: str) -> None:
    response = await http.get(
        httpx.URL(str(http.base_url), raw_path=f"/_mock/console/files/{name}".encode())  # not normalized
    )
    assert response.status_code == 404


async def test_requests_of_pages_leave_no_trace(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    fault = odyssey_mock.faults.add(at="server", do="away", seconds=60)
    for path in ("/", "/_mock/console", "/_mock/console/", "/_mock/console/files/console/app.js", "/_mock/watch/"):
        await http.get(path, headers=HTML)
    assert (odyssey_mock.journal.entries, fault.reached) == ((), 0)


async def test_link_of_another_page_opens_only_pages(http: httpx.AsyncClient) -> None:
    """A chat can link to a broadcast. Only a tab that the user sees counts: no frame, no request of a script."""

    async def status(path: str, **changed: str) -> int:
        headers = NAVIGATION | {name.replace("_", "-"): value for name, value in changed.items()}
        return (await http.get(path, headers=headers)).status_code

    assert [await status(f"/_mock/{page}/") for page in ("console", "watch")] == [200, 200]
    assert await status("/_mock/console") == 307
    assert await status("/_mock/console/", Sec_Fetch_Dest="iframe") == 403
    assert await status("/_mock/console/", Sec_Fetch_Mode="no-cors") == 403
    assert await status("/_mock/console/", Origin="https://evil.example") == 403
    assert await status("/_mock/console/", Host="evil.example") == 403
    assert [await status(f"/_mock/{path}") for path in ("state", "consoles", "health", "journal")] == [403] * 4


async def test_page_may_connect_to_the_public_url() -> None:
    async with (
        MockOdyssey(public_url="https://example.com/mock") as mock,
        httpx.AsyncClient(base_url=mock.listening_url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        policy = (await http.get("/_mock/console/")).headers["Content-Security-Policy"]
        public = (await http.get("/_mock/console/", headers={"Host": "example.com"})).headers["Content-Security-Policy"]
    assert "; connect-src 'self' https://example.com wss://example.com; " in policy
    assert "; connect-src 'self' https://example.com wss://example.com; " in public
