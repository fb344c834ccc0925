"""Tests of a hostile service: every call of the client ends with a typed error, and blocks its event loop only briefly.

`ODYSSEY_TEST_HOSTILE_CASES` is the number of random responses, 40 by default. Set it to some thousands for a campaign.
"""

import asyncio
import gzip
import json
import os
from collections.abc import Callable, Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.hostile_responses import HTTP_RESPONSES, SIGNALING_MESSAGES
from tests.support.hostile_service import frame, http
from tests.support.hostile_visits import SIGNALING, VISITS, visit
from tests.support.loop_watchdog import again_if_slow

CASES = int(os.environ.get("ODYSSEY_TEST_HOSTILE_CASES", "40"))

LONGEST_MESSAGE = 25_000
"""Maximum length of the message of an error."""

TYPICAL = ("GET /simulation-jobs", "POST /stream/whep")
"""A point of each of the client's two ways to read an HTTP response."""


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """Visit the service once, because the client imports some modules at its first call: that takes 0.1 s."""
    for point in TYPICAL:
        asyncio.run(visit(point, lambda: [http(b"")]))


@again_if_slow
async def check(point: str, response: Callable[[], Iterable[bytes]]) -> None:
    error, watchdog = await visit(point, response)
    assert len(str(error)) < LONGEST_MESSAGE, f"expected a short message, got {len(str(error))} characters"
    watchdog.assert_responsive()


@pytest.mark.parametrize("point", TYPICAL)
@pytest.mark.parametrize("response", HTTP_RESPONSES)
async def test_hostile_response_ends_quickly(point: str, response: str) -> None:
    await check(point, HTTP_RESPONSES[response])


@pytest.mark.parametrize("messages", SIGNALING_MESSAGES)
async def test_hostile_signaling_ends_quickly(messages: str) -> None:
    await check(SIGNALING, SIGNALING_MESSAGES[messages])


# Random responses at every point.

texts = st.text(max_size=30) | st.sampled_from(
    ["x" * 5000, "ws://127.0.0.1:1", "http://[", "\ud800", "v=0\r\n", "pending"]
)
numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 2**53, 10**400, 1e308])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts, lambda inner: st.lists(inner, max_size=4), max_leaves=8
)
FIELDS = """
access_token detail error expires_in frame_count iceServers id job_id jobs limit message msg loc offset ping_url reason
recordings regions retry_count sdp session_id session_token signalling_url status stream_id streams total type urls
"""
names = st.sampled_from(FIELDS.split())
objects = st.dictionaries(names, values | st.dictionaries(names, values, max_size=4), max_size=8)
bodies = st.binary(max_size=200) | (objects | values).map(lambda value: json.dumps(value).encode())
headers = st.sampled_from(
    (
        "Content-Encoding: gzip",
        "Content-Encoding: deflate",
        "Content-Range: bytes 0-1/9999999",
        "Location: http://[::1",
        "Location: /resource",
        "Retry-After: 999999999999999",
        "Transfer-Encoding: chunked",
        "X-Request-Id: \x00",
    )
)
statuses = st.sampled_from(
    [
        "200",
        "201",
        "204",
        "206",
        "301",
        "307",
        "400",
        "401",
        "403",
        "404",
        "409",
        "416",
        "422",
        "429",
        "500",
        "503",
        "999",
    ]
)


@st.composite
def responses(draw: st.DrawFn) -> Callable[[], Iterable[bytes]]:
    """Draw an HTTP response: one of the table, any bytes, or a correct form with a random body, cut or changed."""
    if draw(st.integers(0, 3)) == 0:
        return HTTP_RESPONSES[draw(st.sampled_from(sorted(HTTP_RESPONSES)))]
    body = draw(bodies)
    if draw(st.booleans()):
        body = gzip.compress(body)
    content = http(body, *draw(st.lists(headers, max_size=2)), status=f"{draw(statuses)} Reason")
    cut = draw(st.none() | st.integers(0, len(content)))
    noise = draw(st.binary(max_size=20))
    place = draw(st.integers(0, len(content)))
    return lambda: [(content[:place] + noise + content[place:])[:cut]]


@st.composite
def messages(draw: st.DrawFn) -> Callable[[], Iterable[bytes]]:
    """Draw messages of the signaling socket: some of the table, or random ones, cut or changed."""
    if draw(st.integers(0, 3)) == 0:
        return SIGNALING_MESSAGES[draw(st.sampled_from(sorted(SIGNALING_MESSAGES)))]
    kinds = st.sampled_from(["offer", "ice_candidate", "error"])
    drawn = draw(st.lists(st.tuples(kinds, objects), max_size=5))
    content = b"".join(frame(json.dumps({**fields, "type": kind}).encode()) for kind, fields in drawn)
    cut = draw(st.none() | st.integers(0, len(content)))
    noise = draw(st.binary(max_size=20))
    return lambda: [content[:cut] + noise]


visits = st.tuples(st.sampled_from(sorted(VISITS)), responses()) | st.tuples(st.just(SIGNALING), messages())


@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(visits)
def test_random_response_at_any_point_ends_quickly(case: tuple[str, Callable[[], Iterable[bytes]]]) -> None:
    asyncio.run(check(*case))
