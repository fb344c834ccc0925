"""Tests of the fault point of each HTTP request, and of faults that fire only for requests that match."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from odyssey_mock import MockOdyssey
from odyssey_mock.accounts.accounts import account_id
from odyssey_mock.faults.catalog import POINTS
from odyssey_mock.http.app import Service
from odyssey_mock.http.fault_points import FaultPoint, ServiceRoute
from odyssey_mock.http.fault_responses import ACTIONS
from tests.support.http_points import ASKS, HTTP_POINTS, STREAM, ask, token_of
from tests.support.raw import raw_peer
from tests.support.streams import START
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.whep import live

WITHOUT_A_POINT = {
    ("GET", "/artifacts/{rest:path}"),
    ("GET", "/artifacts"),
    ("OPTIONS", "/broadcast/{stream_id}/whep"),
    ("OPTIONS", "/broadcast/{stream_id}/whep/{resource}"),
    ("GET", "/openapi.json"),
    ("GET", "/"),
}
"""Method and route of the requests for which the mock offers no faults.

They reject unsigned URLs, do nothing, or are not requests of the service.
"""


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as client:
        yield client


async def test_every_http_point_belongs_to_one_route() -> None:
    async with MockOdyssey() as mock:
        routes = [route for route in Service(mock.backend, mock.go_away).routes if isinstance(route, ServiceRoute)]
    operations = {(method, route.path): each for route in routes for method, each in route.operations.items()}
    points = [each.point for each in operations.values() if isinstance(each, FaultPoint)]
    assert {key for key, each in operations.items() if not isinstance(each, FaultPoint)} == WITHOUT_A_POINT
    by_http = [name for name, point in POINTS.items() if set(point.actions) & set(ACTIONS) >= {"status"}]
    assert sorted(points) == sorted(by_http) == sorted(HTTP_POINTS)


@pytest.mark.parametrize("point", HTTP_POINTS)
async def test_request_reaches_only_its_own_fault_point(http: httpx.AsyncClient, point: str) -> None:
    async with MockOdyssey(simulation_workers=0) as mock:
        token = await token_of(mock, http)
        faults = {name: mock.faults.add({"at": name, "do": "status", "status": 418}) for name in HTTP_POINTS}
        assert (await ask(mock, http, point, token)).status_code == 418
        assert {name for name, fault in faults.items() if fault.passed} == {point}
        assert mock.journal.entries[-1].name in POINTS[point].events


async def test_other_requests_reach_no_fault_point(
    http: httpx.AsyncClient,
) -> None:
    async with MockOdyssey() as mock:
        faults = [mock.faults.add(at=at, do="status", status=503) for at in ("rest.*", "whep.*", "hls.*", "artifact")]
        asks = [
            ("PATCH", "/regions", 405),
            ("GET", "/nope", 404),
            ("GET", "/artifacts/nothing", 403),
            ("OPTIONS", f"/broadcast/{STREAM}/whep", 204),
            ("GET", "/_mock/health", 200),
            ("DELETE", "/_mock/faults/nope", 404),
        ]
        for method, path, status in asks:
            assert (await http.request(method, mock.url + path)).status_code == status
        preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
        assert (await http.options(f"{mock.url}/regions", headers=preflight)).status_code == 200
        assert [fault.passed for fault in faults] == [0, 0, 0, 0]


@pytest.mark.parametrize("point", [point for point in ASKS if point.startswith("rest.")])
async def test_fault_for_one_key_ignores_other_keys(http: httpx.AsyncClient, point: str) -> None:
    async with MockOdyssey(simulation_workers=0) as mock:
        tokens = {key: await token_of(mock, http, key) for key in ("ody_somebody", "ody_another")}
        mock.faults.add({"at": point, "do": "status", "status": 503, "match": {"account": "ody_somebody"}})
        if point == "rest.auth.token":
            answers = {
                key: await http.post(f"{mock.url}/auth/token", json={"api_key": key}) for key in (*tokens, "ody_third")
            }
            assert [each.status_code for each in answers.values()] == [503, 200, 200]
        else:
            assert (await ask(mock, http, point, tokens["ody_somebody"])).status_code == 503
            for token in (tokens["ody_another"], "unknown"):
                assert (await ask(mock, http, point, token)).status_code != 503
        (fired,) = mock.journal.find("fault", point)
        assert fired.account is not None
        assert "ody_somebody" not in mock.journal.to_jsonl() + repr(list(mock.faults))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"api_key": 7}', b"[" * 60_000])
async def test_body_without_key_matches_no_account(http: httpx.AsyncClient, body: bytes) -> None:
    async with MockOdyssey() as mock:
        usual = await http.post(f"{mock.url}/auth/token", content=body)
        fault = mock.faults.add(at="rest.auth.token", do="status", status=503, match={"account": "ody_somebody"})
        answer = await http.post(f"{mock.url}/auth/token", content=body)
        assert (answer.status_code, answer.json()) == (usual.status_code, usual.json())
        assert answer.status_code == 422
        assert fault.passed == 0


@pytest.mark.parametrize(
    ("point", "narrowed"),
    [
        ("rest.simulations.get", {"job": "a-job"}),
        ("rest.simulations.cancel", {"job": "a-job"}),
        ("rest.recordings.get", {"stream": STREAM}),
        ("whep.offer", {"stream": STREAM}),
        ("whep.candidates", {"stream": STREAM}),
        ("whep.leave", {"stream": STREAM}),
        ("hls.playlist", {"stream": STREAM}),
        ("hls.segment", {"stream": STREAM}),
        ("artifact", {"stream": STREAM}),
        ("artifact", {"artifact": "video.mp4"}),
    ],
)
async def test_fault_matches_values_of_the_path(http: httpx.AsyncClient, point: str, narrowed: dict[str, str]) -> None:
    async with MockOdyssey() as mock:
        token = await token_of(mock, http)
        other = mock.faults.add(
            {"at": point, "do": "status", "status": 500, "match": dict.fromkeys(narrowed, "another")}
        )
        wanted = mock.faults.add({"at": point, "do": "status", "status": 418, "match": narrowed})
        assert (await ask(mock, http, point, token)).status_code == 418
        assert (other.fired, wanted.fired) == (0, 1)


async def test_journal_has_session_of_a_token_request(http: httpx.AsyncClient) -> None:
    async with MockOdyssey() as mock:
        token = await token_of(mock, http)
        mock.faults.add(at="rest.sessions.token", do="status", status=503)
        await ask(mock, http, "rest.sessions.token", token)
        (fired,) = mock.journal.find("fault", "rest.sessions.token")
        assert (fired.session, fired.account) == (STREAM, account_id(mock.api_key))


async def test_streams_and_streamers_belong_to_their_account(http: httpx.AsyncClient) -> None:
    async with MockOdyssey(portrait_size=(176, 320)) as mock, live(mock) as broadcast:
        session = mock.sessions[str(mock.streams[broadcast.stream_id].session_id)]
        asks = {
            "signaling.config": f"{mock.url}/signaling/{session.streamer_id}/config",
            "hls.playlist": str(broadcast.ready["broadcast_url"]),
            "hls.segment": f"{broadcast.ready['webrtc_url']}/hls/segment0.mp4",
            "artifact": f"{mock.url}/artifacts/{broadcast.stream_id}/video.mp4",
        }
        for point, url in asks.items():
            mock.faults.add({"at": point, "do": "status", "status": 418, "match": {"account": mock.api_key}})
            mock.faults.add({"at": point, "do": "status", "status": 500})
            assert (await http.get(url)).status_code == 418
            (fired,) = mock.journal.find("fault", point)
            assert (fired.account, fired.session) == (session.account_id, session.id)
            (request,) = mock.journal.find("rest", fault="status", since=fired.index)
            assert (request.account, request.session) == (session.account_id, session.id)


@pytest.mark.parametrize("part", ["video.mp4", "events.jsonl"])
async def test_fault_for_one_file_ignores_other_files(http: httpx.AsyncClient, part: str) -> None:
    async with MockOdyssey(portrait_size=(176, 320)) as mock:
        async with raw_peer(mock) as peer:
            peer.say(START)
            stream_id = (await peer.hear())["stream_id"]
            peer.say({"type": "interactive_stream_end"})
            await peer.hear()
        http.headers["Authorization"] = f"Bearer {await token_of(mock, http)}"
        recording = (await http.get(f"{mock.url}/recordings/{stream_id}")).json()
        mock.faults.add(at="artifact", do="status", status=404, match={"artifact": part})
        statuses = {
            name: (await http.get(recording[name])).status_code
            for name in ("video_url", "events_url", "thumbnail_url", "preview_url")
        }
        assert [name for name, status in statuses.items() if status != 200] == [f"{part.partition('.')[0]}_url"]


async def test_group_fault_fires_at_each_point(http: httpx.AsyncClient) -> None:
    async with MockOdyssey(simulation_workers=0) as mock:
        token = await token_of(mock, http)
        mock.faults.add(at="rest.*", do="status", status=503)
        answered = {point: (await ask(mock, http, point, token)).status_code for point in HTTP_POINTS}
        assert {point for point, status in answered.items() if status == 503} == {
            point for point in HTTP_POINTS if point.startswith("rest.")
        }
