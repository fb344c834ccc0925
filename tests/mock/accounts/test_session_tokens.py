"""Tests of session tokens: round trips, expiry on the server's clock, and rejection of malformed or foreign tokens."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.accounts.session_tokens import SessionTokens, TokenError
from odyssey_mock.core.clock import ManualClock


def tokens(clock: ManualClock | None = None, seed: int = 1) -> SessionTokens:
    return SessionTokens(clock or ManualClock(), lambda: f"a secret of at least thirty-two bytes, number {seed}")


@given(st.uuids().map(str), st.from_regex(r"acct_[0-9a-f]{12}", fullmatch=True), st.integers(1, 10**6))
def test_claims_survive_a_round_trip(session_id: str, account: str, lifetime: int) -> None:
    clock = ManualClock()
    server = tokens(clock)
    claims = server.verify(server.mint(session_id, account, lifetime))
    assert (claims.session_id, claims.account) == (session_id, account)
    assert claims.expires_at == clock.time() + lifetime


async def test_token_expires_on_the_servers_clock() -> None:
    clock = ManualClock()
    server = tokens(clock)
    token = server.mint("session", "acct", 600)
    await clock.advance(599.9)
    assert server.verify(token).session_id == "session"
    await clock.advance(0.1)
    with pytest.raises(TokenError, match=r"the session token expired 0 s ago$"):
        server.verify(token)


async def test_expiry_in_whole_seconds_is_rounded_up() -> None:
    clock = ManualClock(1000.25)
    server = tokens(clock)
    token = server.mint("session", "acct", 600)
    assert server.verify(token).expires_at == server.expiry(600) == 1601
    await clock.advance(600.5)
    assert server.verify(token).session_id == "session"


def test_expiry_ignores_the_machines_clock() -> None:
    for start in (0.0, 4e9):
        server = tokens(ManualClock(start))
        assert server.verify(server.mint("session", "acct", 600)).expires_at == start + 600


def test_session_id_is_readable_without_the_secret() -> None:
    payload = tokens().mint("session", "acct", 600).split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["session_id"] == "session"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "ey.ey.ey", "\ud800"])
def test_malformed_token_is_rejected(text: str) -> None:
    with pytest.raises(TokenError, match="expected a session token of this server, got an invalid one"):
        tokens().verify(text)


def test_token_of_another_server_is_rejected() -> None:
    token = tokens(seed=1).mint("session", "acct", 600)
    with pytest.raises(TokenError, match="expected a session token of this server, got an invalid one") as refusal:
        tokens(seed=2).verify(token)
    assert token not in str(refusal.value)


@given(st.data())
def test_token_with_a_changed_character_is_rejected(data: st.DataObject) -> None:
    server = tokens()
    token = server.mint("session", "acct", 600)
    # The last characters stay unchanged: base64 has unused bits there, so changing them may not change the token.
    where = data.draw(st.integers(0, len(token) - 3))
    other = data.draw(st.sampled_from("Aa0_-.").filter(lambda letter: letter != token[where]))
    with pytest.raises(TokenError):
        server.verify(token[:where] + other + token[where + 1 :])


json_parts = st.dictionaries(
    st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jku", "session_id", "sub", "exp", "iat", "nbf", "aud"]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["HS256", "none", "RS256"])
    | st.lists(st.text(max_size=3)),
)


@given(json_parts, json_parts, st.binary(max_size=32))
def test_any_token_without_the_secret_is_rejected(
    header: dict[str, object], claims: dict[str, object], signature: bytes
) -> None:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    with pytest.raises(TokenError):
        tokens().verify(token)
