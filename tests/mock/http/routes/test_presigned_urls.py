"""Tests that presigned URLs are rejected after they have expired or if they were modified."""

import asyncio
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_mock import MockOdyssey
from tests.support.recordings import remembered, timeline, url_of
from tests.support.tls_contexts import NO_CERTIFICATES

LIMIT = 10.0
"""Timeout of a request in seconds, much longer than a request takes."""


@pytest.mark.odyssey(clock="manual", artifact_url_lifetime=60)
async def test_presigned_url_expires_on_the_mocks_clock(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    video = url_of(odyssey_mock, remembered(odyssey_mock))
    await odyssey_mock.advance(59.9)
    assert (await http.get(video)).status_code == 200
    await odyssey_mock.advance(0.1)
    answer = await http.get(video)
    assert answer.status_code == 403
    assert "expired" in answer.json()["detail"]
    assert "Accept-Ranges" not in answer.headers


@pytest.mark.parametrize("suffix", ["", "?expires=99999999999", "?signature=x", "?expires=99999999999&signature=x"])
@pytest.mark.off_contract("a URL that the mock did not sign")
async def test_missing_or_wrong_signature_is_403(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, suffix: str
) -> None:
    answer = await http.get(f"/artifacts/{remembered(odyssey_mock)}/video.mp4{suffix}")
    assert answer.status_code == 403
    assert "signature of this URL is invalid" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/artifacts/", "/artifacts/x", "/artifacts/a/b/c", "/artifacts//video.mp4", "/artifacts", "/artifacts?a"]
)
async def test_unsigned_paths_below_artifacts_are_403(path: str) -> None:
    async with (
        MockOdyssey() as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        assert (await http.get(path)).status_code == 403


async def status_of(mock: MockOdyssey, target: bytes) -> int:
    """Send a GET request with exactly these bytes as its target; return the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(mock.url.rpartition(":")[2]))
    writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(LIMIT):
        answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


byte = st.one_of(st.sampled_from(b"0123456789abcdef%/?&=.#"), st.integers(0, 255))
tampering = st.tuples(st.sampled_from(["another", "added", "missing"]), st.integers(0, 200), byte)


@given(st.lists(tampering, min_size=20, max_size=20))
@settings(max_examples=20)
def test_changed_presigned_url_is_rejected(changes: list[tuple[str, int, int]]) -> None:
    async def check() -> None:
        async with MockOdyssey() as mock:
            whole = urlsplit(url_of(mock, remembered(mock, timeline(1))))
            target = f"{whole.path}?{whole.query}".encode()
            assert await status_of(mock, target) == 200
            for kind, place, byte in changes:
                here = place % (len(target) + 1)
                rest = target[here:] if kind == "added" else target[here + 1 :]
                changed = target[:here] + (b"" if kind == "missing" else bytes([byte])) + rest
                status = await status_of(mock, changed) if changed != target else 403
                is_http = all(0x21 <= each < 0x7F for each in changed)
                is_below = changed.startswith(b"/artifacts/")
                expected = {403} if is_http and is_below else {400, 403, 404}
                assert status in expected, f"expected status {expected} for the changed URL {changed!r}, got {status}"

    asyncio.run(check())
