"""Tests of `GET /openapi.json`: it describes every route of the mock, and nothing else."""

import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator

import httpx
import pytest
import pytest_asyncio
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from odyssey_mock import MockOdyssey
from odyssey_mock.http.app import Service
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.lazy_routes import RemainingRoutes
from odyssey_mock.http.openapi import document, merged
from tests.support.tls_contexts import NO_CERTIFICATES

BASE = "http://127.0.0.1:8400"
METHODS = {"get", "post", "put", "patch", "delete", "options", "head", "trace"}


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as client:
        yield client


def served(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[str]:
    """Yield each method with its path, without the HEAD of each GET. A WebSocket is opened with GET."""
    for route in routes:
        match route:
            case Mount():
                yield from served(route.routes, prefix + route.path)
            case RemainingRoutes():
                yield from served(route.routes, prefix)
            case WebSocketRoute():
                yield f"GET {prefix}{route.path}"
            case Route():
                path = route.template if isinstance(route, ServiceRoute) else route.path
                yield from (f"{method} {prefix}{path}" for method in route.methods or () if method != "HEAD")


async def test_every_route_is_described() -> None:
    async with MockOdyssey() as mock:
        routes = set(served(Service(mock.backend, mock.go_away).routes))
    described = {
        f"{method.upper()} {path}" for path, item in document(BASE)["paths"].items() for method in METHODS & set(item)
    }
    assert described == routes


def test_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(document(BASE)).validate()


def test_every_request_body_has_limits() -> None:
    operations = {
        f"{method} {path}": item[method]
        for path, item in document(BASE)["paths"].items()
        for method in METHODS & set(item)
    }
    missing = {
        name: sorted({"408", "413"} - set(operation["responses"]))
        for name, operation in operations.items()
        if "requestBody" in operation and not {"408", "413"} <= set(operation["responses"])
    }
    assert missing == {}


def test_operation_ids_are_unique() -> None:
    text = json.dumps(document(BASE))
    ids = re.findall(r'"operationId": "(\w+)"', text)
    assert sorted(ids) == sorted(set(ids))


def test_every_component_is_used() -> None:
    described = document(BASE)
    text = json.dumps(described)
    unused = [
        f"{kind}/{name}"
        for kind in ("schemas", "responses", "parameters", "headers")
        for name in described["components"][kind]
        if f'"#/components/{kind}/{name}"' not in text
    ]
    assert unused == []


async def test_document_names_the_address_of_the_request(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    got = (await http.get(f"{odyssey_mock.url}/openapi.json")).raise_for_status().json()
    assert got == document(odyssey_mock.url)
    assert [each["url"] for each in got["servers"]] == [odyssey_mock.url]


async def test_document_names_the_public_url(http: httpx.AsyncClient) -> None:
    async with MockOdyssey(public_url="https://mock.example/below/a/prefix") as mock:
        for path in ("/openapi.json", "/below/a/prefix/openapi.json"):
            got = (await http.get(f"{mock.listening_url}{path}")).raise_for_status().json()
            assert [each["url"] for each in got["servers"]] == ["https://mock.example/below/a/prefix"]
            (socket,) = got["paths"]["/signaling/{streamer_id}/client/{session_id}"]["servers"]
            assert socket["url"] == "wss://mock.example/below/a/prefix"


def test_no_other_path_has_its_own_servers() -> None:
    own = {path: item["servers"] for path, item in document(BASE)["paths"].items() if "servers" in item}
    assert [*own] == ["/signaling/{streamer_id}/client/{session_id}"]


def test_path_parameters_match_the_paths() -> None:
    described = document(BASE)
    for path, item in described["paths"].items():
        declared = [each["name"] for each in item.get("parameters", ()) if each["in"] == "path"]
        assert sorted(declared) == sorted(re.findall(r"{(\w+)}", path)), f"the path {path}"


async def test_request_leaves_no_journal_entry(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    before = len(odyssey_mock.journal.entries)
    await http.get(f"{odyssey_mock.url}/openapi.json")
    assert len(odyssey_mock.journal.entries) == before


async def test_fault_at_the_server_spares_the_document(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    fault = odyssey_mock.faults.add(at="server", do="away", seconds=60)
    assert (await http.get(f"{odyssey_mock.url}/openapi.json")).status_code == 200
    assert fault.reached == 0


async def test_other_methods_are_rejected(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    response = await http.post(f"{odyssey_mock.url}/openapi.json")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
    head = await http.head(f"{odyssey_mock.url}/openapi.json")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_the_rfc(target: object, patch: object, expected: object) -> None:
    """The examples are those of RFC 7396, appendix A."""
    assert merged(target, patch) == expected
