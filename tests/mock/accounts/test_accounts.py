"""Tests of API keys (`protocol.md` section 2), and of access tokens that expire on the server's clock."""

import json
import re
from typing import Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.accounts import accounts as module
from odyssey_mock.accounts.accounts import EXPIRED_KEPT, TEST_KEYS, Accounts, account_id
from odyssey_mock.accounts.errors import AccountError, InvalidTokenError, TokenExpiredError
from odyssey_mock.core.clock import MANUAL_START, ManualClock
from odyssey_mock.core.entropy import SeededEntropy
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.http.errors import ApiError, answer_to
from odyssey_mock.http.usage_error_forms import DetailForm
from odyssey_mock.settings import KEY_PATTERN, AccountSettings, MockOverrides, Priority, Settings
from tests.support.work_counts import instructions_of

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
tails = st.text(ALPHABET, max_size=12)
ordinary_keys = st.text(ALPHABET, min_size=4, max_size=24).map("ody_{}".format)
ordinary_keys = ordinary_keys.filter(lambda key: not key.startswith(tuple(TEST_KEYS)))


def accounts(clock: ManualClock | None = None, **settings: Unpack[MockOverrides]) -> Accounts:
    return Accounts(CurrentSettings(Settings().replace(**settings)), clock or ManualClock(), SeededEntropy(1))


def refusal_of(server: Accounts, api_key: str, form: DetailForm = "object") -> ApiError:
    """Return the error response to a session request with this key; its `detail` has the given form."""
    with pytest.raises(AccountError) as error:
        server.check_session_request(server.authenticate(api_key))
    return answer_to(error.value, form)


@given(ordinary_keys, ordinary_keys)
def test_each_well_formed_key_has_its_own_account(one: str, other: str) -> None:
    server = accounts()
    first, second = server.authenticate(one), server.authenticate(other)
    assert (first == second) == (one == other)
    assert first == server.authenticate(one)
    assert one not in repr(first)
    server.check_session_request(first)


@given(st.text(max_size=12).map("ody_{}".format) | st.text(max_size=12) | ordinary_keys.map("{}\n".format))
def test_malformed_key_is_422_without_repeating_it(api_key: str) -> None:
    if re.fullmatch(KEY_PATTERN.removesuffix("$"), api_key):
        return
    error = refusal_of(accounts(), api_key)
    assert (error.status, error.detail) == (
        422,
        [
            {
                "loc": ["body", "api_key"],
                "msg": "String should match pattern '^ody_[A-Za-z0-9_-]{4,}$'",
                "type": "string_pattern_mismatch",
            }
        ],
    )


@given(tails)
def test_ody_invalid_keys_are_rejected_with_401(tail: str) -> None:
    error = refusal_of(accounts(), f"ody_invalid{tail}")
    assert (error.status, error.detail) == (401, "Invalid API key")


@given(tails)
def test_ody_suspended_keys_are_rejected_with_403(tail: str) -> None:
    error = refusal_of(accounts(), f"ody_suspended{tail}")
    assert (error.status, error.detail) == (403, "Account suspended: payment overdue")


@given(
    st.sampled_from(
        [
            ("ody_monthly_limit", "MONTHLY_LIMIT_REACHED", {"used_hours", "limit_hours", "reset_date"}),
            ("ody_concurrent_limit", "CONCURRENT_LIMIT_REACHED", {"active_count", "limit"}),
            ("ody_rate_limited", "RATE_LIMITED", {"retry_after_seconds"}),
        ]
    ),
    tails,
    st.sampled_from(["object", "string"]),
)
def test_usage_limit_keys_get_429_for_sessions(key: tuple[str, str, set[str]], tail: str, form: DetailForm) -> None:
    prefix, code, details = key
    error = refusal_of(accounts(), prefix + tail, form)
    assert error.status == 429
    assert error.headers == ({"Retry-After": "30"} if code == "RATE_LIMITED" else {})
    if form == "string":
        assert isinstance(error.detail, str)
    else:
        detail = json.loads(json.dumps(error.detail))
        assert detail["error"] == code
        assert set(detail["details"]) == details
        assert all(detail[field] for field in ("message", "action", "action_url"))


def test_concurrent_limit_uses_the_vendors_message() -> None:
    error = refusal_of(accounts(concurrent_sessions=7), "ody_concurrent_limit", "string")
    assert error.detail == "Maximum concurrent sessions (7) reached"


@pytest.mark.parametrize(
    ("seconds", "reset_date"), [(0, "2026-02-01"), (40 * 86_400, "2026-03-01"), (364 * 86_400, "2027-01-01")]
)
async def test_monthly_limit_resets_on_the_next_first(seconds: float, reset_date: str) -> None:
    clock = ManualClock(MANUAL_START)
    await clock.advance(seconds)
    detail = json.loads(json.dumps(refusal_of(accounts(clock), "ody_monthly_limit").detail))
    assert detail["details"]["reset_date"] == reset_date


@given(tails)
def test_ody_no_capacity_keys_never_get_a_streamer(tail: str) -> None:
    assert refusal_of(accounts(), f"ody_no_capacity{tail}").status == 503


@given(ordinary_keys, ordinary_keys)
def test_only_configured_keys_are_accepted(configured: str, other: str) -> None:
    server = accounts(keys={configured: AccountSettings()})
    assert server.authenticate(configured).id
    if other != configured:
        assert refusal_of(server, other).status == 401


def test_configured_test_key_keeps_its_behavior() -> None:
    assert refusal_of(accounts(keys={"ody_suspended_1": AccountSettings()}), "ody_suspended_1").status == 403


@pytest.mark.parametrize("general", [True, False])
@pytest.mark.parametrize("own", [True, False, None])
def test_bypass_privilege_of_a_key_overrides_the_setting(general: bool, own: bool | None) -> None:
    server = accounts(bypass_privilege=general, keys={"ody_mine": AccountSettings(bypass_privilege=own)})
    assert server.authenticate("ody_mine").bypass_vlm_expansion == (general if own is None else own)


@pytest.mark.parametrize(("own", "expected"), [("high", "high"), ("low", "low"), (None, "normal")])
def test_priority_of_a_key_overrides_the_setting(own: Priority | None, expected: str) -> None:
    server = accounts(keys={"ody_mine": AccountSettings(simulation_priority=own)})
    assert server.authenticate("ody_mine").simulation_priority == expected
    assert accounts(simulation_priority="low").authenticate("ody_ordinary").simulation_priority == "low"


@given(tails)
def test_ody_no_bypass_keys_lack_the_privilege(tail: str) -> None:
    server = accounts()
    assert not server.authenticate(f"ody_no_bypass{tail}").bypass_vlm_expansion
    assert server.authenticate("ody_ordinary").bypass_vlm_expansion


async def test_access_token_is_valid_until_it_expires() -> None:
    clock = ManualClock()
    server = accounts(clock, access_token_lifetime=60.0)
    one, other = server.authenticate("ody_one_"), server.authenticate("ody_other")
    first, second = server.issue_token(one), server.issue_token(other)
    assert (server.holder_of(first.value), server.holder_of(second.value)) == (one, other)
    await clock.advance(59.999)
    again = server.issue_token(one)
    assert server.holder_of(first.value) == one
    await clock.advance(0.001)
    with pytest.raises(TokenExpiredError, match="Access token expired") as expired:
        server.holder_of(first.value)
    assert answer_to(expired.value).status == 401
    assert server.holder_of(again.value) == one


async def test_expired_token_is_known_after_others_were_issued() -> None:
    clock = ManualClock()
    server = accounts(clock, access_token_lifetime=10.0)
    one = server.authenticate("ody_one_")
    first, second = server.issue_token(one), server.issue_token(one)
    await clock.advance(11)
    for _ in range(EXPIRED_KEPT - 1):
        server.issue_token(one)
    for token in (first, second):
        with pytest.raises(TokenExpiredError):
            server.holder_of(token.value)
    await clock.advance(11)
    server.issue_token(one)
    with pytest.raises(InvalidTokenError, match="Invalid access token") as forgotten:
        server.holder_of(first.value)
    why = "; ".join(forgotten.value.__notes__)
    assert why.endswith("got an unknown token; the mock remembers only the latest 1000 expired tokens")
    with pytest.raises(TokenExpiredError):
        server.holder_of(second.value)


def test_oldest_tokens_above_the_limit_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOKENS_KEPT", 3)
    server = accounts(ManualClock())
    one = server.authenticate("ody_one_")
    oldest, *kept = [server.issue_token(one) for _ in range(4)]
    with pytest.raises(InvalidTokenError):
        server.holder_of(oldest.value)
    assert [server.holder_of(token.value) for token in kept] == [one] * 3


async def test_new_token_takes_no_longer_after_many_others() -> None:
    clock = ManualClock()
    server = accounts(clock, access_token_lifetime=10)
    account = server.authenticate("ody_one_")
    first = instructions_of(lambda: server.issue_token(account))
    for _ in range(2):  # expired ones and valid ones
        for _ in range(2000):
            server.issue_token(account)
        await clock.advance(10)
    server.issue_token(account)
    assert instructions_of(lambda: server.issue_token(account)) < 2 * first


def test_clients_are_listed_by_their_latest_use() -> None:
    server = accounts()
    for key in ("ody_first", "ody_second", "ody_first"):
        server.issue_token(server.authenticate(key))
    assert [each.id for each in server.known("ody_own_key")] == list(
        map(account_id, ("ody_own_key", "ody_first", "ody_second"))
    )


def test_list_of_clients_ignores_tokens() -> None:
    server = accounts()
    account = server.authenticate("ody_one_")
    first = instructions_of(lambda: server.known("ody_own_key"))
    for _ in range(1000):
        server.issue_token(account)
    assert instructions_of(lambda: server.known("ody_own_key")) == first


def test_unknown_token_is_rejected_with_401() -> None:
    server = accounts()
    token = server.issue_token(server.authenticate("ody_some")).value
    assert token not in repr(server.issue_token(server.authenticate("ody_some")))
    with pytest.raises(InvalidTokenError, match="Invalid access token") as invalid:
        server.holder_of(token + "x")
    assert answer_to(invalid.value).status == 401
    server.clear()
    with pytest.raises(InvalidTokenError) as forgotten:
        server.holder_of(token)
    assert answer_to(forgotten.value).status == 401
