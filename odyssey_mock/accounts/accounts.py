"""API keys, the accounts they belong to, and access tokens (`protocol.md` section 2)."""

import hashlib
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from odyssey_mock.accounts.errors import (
    AccountError,
    AccountSuspendedError,
    InvalidKeyError,
    InvalidTokenError,
    MalformedKeyError,
    NoCapacityError,
    TokenExpiredError,
    UsageLimitError,
    monthly_limit_error,
)
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.redaction import REDACTED
from odyssey_mock.core.state_store import NO_STATE, RecordKind, StateStore
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.settings import KEY_HEAD, KEY_PATTERN, AccountSettings, Limits, Plan, Priority, Settings

type Refusal = Callable[[Settings, float], AccountError]
"""Creates the error that rejects requests of a test key, from the settings and the server's current time."""


TOKENS_KEPT = 10_000
"""Maximum number of access tokens that are remembered, because every API key can request any number of them."""
EXPIRED_KEPT = 1000
"""Number of expired access tokens that the server remembers, to tell them from unknown ones."""

SEEN_KEPT = 1000
"""Maximum number of accounts of clients that `Accounts.known` lists: the latest ones."""

LONG_KEY = 24
"""Length from which the last four characters of a masked key are shown. Those of a shorter key reveal too much."""

TEST_KEY_HOURS = 10.0
"""The hours that the error of the test key `ody_monthly_limit` states, both as hours used and as limit."""
TEST_KEY_SESSIONS = 5
"""The session limit that the error of the test key `ody_concurrent_limit` states if the settings have no limit."""


def _monthly_limit(_settings: Settings, now: float) -> AccountError:
    return monthly_limit_error(now, used=TEST_KEY_HOURS, limit=TEST_KEY_HOURS)


def _concurrent_limit(settings: Settings, _now: float) -> AccountError:
    limit = settings.concurrent_sessions or TEST_KEY_SESSIONS
    return UsageLimitError("CONCURRENT_LIMIT_REACHED", {"active_count": limit, "limit": limit})


@dataclass(frozen=True, slots=True)
class TestKey:
    """The error or privilege of the API keys that begin with one prefix of `TEST_KEYS`, such as `ody_suspended`."""

    __test__: ClassVar = False
    """Keeps pytest from collecting this class, whose name begins with `Test`."""

    at: Literal["token", "session", "never"]
    """The rejected request: `POST /auth/token` ("token"), `POST /sessions/request` ("session") or none ("never")."""
    refusal: Refusal | None = None
    bypass_privilege: bool | None = None
    """Replaces the setting `bypass_privilege` for these keys; None keeps the setting."""

    def refuse(self, settings: Settings, now: float) -> None:
        """Raise the error of the test key; do nothing if the test key has no error.

        Raises:
            AccountError: the test key has an error.
        """
        if self.refusal is not None:
            prefix = next(prefix for prefix, each in TEST_KEYS.items() if each is self)
            raise self.refusal(settings, now).because(
                f"API keys that begin with {prefix} are test keys, which always get this error; use another key"
            )


TEST_KEYS: Mapping[str, TestKey] = {
    "ody_invalid": TestKey("token", lambda *_: InvalidKeyError()),
    "ody_suspended": TestKey("token", lambda *_: AccountSuspendedError("payment overdue")),
    "ody_monthly_limit": TestKey("session", _monthly_limit),
    "ody_concurrent_limit": TestKey("session", _concurrent_limit),
    "ody_rate_limited": TestKey("session", lambda *_: UsageLimitError("RATE_LIMITED", {"retry_after_seconds": 30})),
    "ody_no_capacity": TestKey("session", lambda *_: NoCapacityError()),
    "ody_no_bypass": TestKey("never", bypass_privilege=False),
}
"""The test keys (`protocol.md` section 2), by prefix."""

_ORDINARY = TestKey("never")


def test_key_of(api_key: str) -> TestKey:
    """Return the `TestKey` for an API key that begins with a prefix of `TEST_KEYS`.

    For any other API key, return a `TestKey` that rejects no request.
    """
    return next((test_key for prefix, test_key in TEST_KEYS.items() if api_key.startswith(prefix)), _ORDINARY)


def account_id(api_key: str) -> str:
    """Return the account id for an API key: `acct_` and a digest of the key. Return an account id unchanged."""
    if re.fullmatch(r"acct_[0-9a-f]{12}", api_key):
        return api_key
    return f"acct_{hashlib.sha256(api_key.encode(errors='surrogatepass')).hexdigest()[:12]}"


def masked_key(api_key: str) -> str:
    """Return a key of a client, which could be a real one, as the control API shows it.

    Test keys are no secrets: they are shown as they are in `TEST_KEYS`.
    """
    if api_key in TEST_KEYS:
        return api_key
    head = next((prefix for prefix in TEST_KEYS if api_key.startswith(prefix)), KEY_HEAD)
    return f"{head}{REDACTED}{api_key[-4:] if len(api_key) >= LONG_KEY else ''}"


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """An account that the mock knows, as the control API shows it."""

    id: str
    """`acct_` and a digest of the key."""
    key: str = field(repr=False)
    """The key: in full if it is one of the mock's own, otherwise masked."""
    is_own: bool
    """Whether the key is one that the mock has created, or that its settings contain."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account of one API key. Accounts of the same key are equal; the key itself is not stored."""

    id: str
    """`acct_` and a digest of the key."""
    bypass_vlm_expansion: bool
    """Whether the account may turn off the expansion of its prompts."""
    simulation_priority: Priority = "normal"
    """The `priority` of the account's simulation jobs."""
    test_key: TestKey = field(default=_ORDINARY, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class MockAccount:
    """An additional account of a mock, with its own API key."""

    id: str
    """`acct_` and a digest of the key."""
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token, as `POST /auth/token` returns it."""

    value: str = field(repr=False)
    expires_in: float
    """The lifetime in seconds."""


@dataclass(frozen=True, slots=True)
class _Issued:
    """The account, lifetime and expiry time of an access token that the server has issued."""

    account: Account
    lifetime: float
    """The setting `access_token_lifetime` when the token was issued."""
    expires_at: float


@dataclass(frozen=True, slots=True)
class _SavedToken:
    """The saved record of an access token. Its key is the token."""

    account_id: str
    bypass_vlm_expansion: bool
    simulation_priority: Priority
    test_key: str
    """The prefix of the account's test key in `TEST_KEYS`; empty for an ordinary key."""
    lifetime: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class _SavedAccount:
    """The saved record of an account that was added. Its key is the API key."""

    bypass_privilege: bool | None
    simulation_priority: Priority | None
    plan: Plan | None
    limits: Mapping[str, int | float | None]
    """The limits that are set for this account."""


_TOKENS = RecordKind("access token", _SavedToken)
_ACCOUNTS = RecordKind("account", _SavedAccount)


class Accounts:
    """The accounts of one server and their access tokens, which expire on the server's clock."""

    def __init__(
        self,
        settings: CurrentSettings,
        clock: Clock,
        entropy: Entropy,
        state: StateStore = NO_STATE,
        *,
        remember: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Create the accounts. `remember` is called with each API key, so that it can be masked in outputs."""
        self._remember = remember
        self._settings = settings
        self._clock = clock
        self._entropy = entropy
        self._state = state
        self._tokens: dict[str, _Issued] = {}
        """The access tokens, oldest first; of the expired ones only the latest `EXPIRED_KEPT`."""
        self._expired = deque[str]()
        """The expired tokens, oldest first."""
        self._unexpired = deque[str]()
        """The other tokens, oldest first. An expired one may be among them while an older one is valid."""
        self._seen: dict[str, str] = {}
        """The masked keys of clients by account id, the latest last; at most `SEEN_KEPT`."""
        self._added: dict[str, AccountSettings] = {}
        """The accounts that were added later, by API key."""
        self._configured = {account_id(key): configured for key, configured in (settings.now.keys or {}).items()}
        """The settings of accounts that have their own, by account id."""
        for key, saved in state.load(_ACCOUNTS).items():
            self._configure(key, _account_settings(saved))
        self._tokens |= {value: _issued(saved) for value, saved in state.load(_TOKENS).items()}
        self._unexpired += self._tokens
        # After a restart, the keys of the holders of saved tokens are not known.
        holders = {issued.account.id: f"{KEY_HEAD}{REDACTED}" for issued in self._tokens.values()}
        self._seen |= [*holders.items()][-SEEN_KEPT:]

    def add(self, configured: AccountSettings) -> MockAccount:
        """Add an account with a new API key. `clear` does not remove the account.

        Raises:
            SettingsError: the plan or a limit is invalid.
        """
        configured.check()
        api_key = f"ody_{self._entropy.token(18)}"
        self._configure(api_key, configured)
        self._state.save(_ACCOUNTS, api_key, lambda: _saved_account(configured))
        return MockAccount(account_id(api_key), api_key)

    def _configure(self, api_key: str, configured: AccountSettings) -> None:
        self._added[api_key] = self._configured[account_id(api_key)] = configured

    def authenticate(self, api_key: str) -> Account:
        """Return the account of an API key.

        Raises:
            MalformedKeyError: the key is malformed.
            InvalidKeyError: the key is not one of the configured keys, or is the test key `ody_invalid`.
            AccountSuspendedError: the account is suspended.
        """
        self._remember(api_key)
        if re.fullmatch(KEY_PATTERN, api_key) is None:
            raise MalformedKeyError(f"String should match pattern '{KEY_PATTERN}'")
        settings = self._settings.now
        keys = settings.keys
        configured = self._added.get(api_key) or (keys or {}).get(api_key)
        if configured is None and keys is not None:
            raise InvalidKeyError().because(
                f"expected one of the {len(keys)} keys of the setting `keys`, got another key"
            )
        configured = configured or AccountSettings()
        self._note_seen(api_key)
        test_key = test_key_of(api_key)
        if test_key.at == "token":
            test_key.refuse(settings, self._clock.time())
        privileges = (configured.bypass_privilege, test_key.bypass_privilege, settings.bypass_privilege)
        return Account(
            id=account_id(api_key),
            bypass_vlm_expansion=next(each for each in privileges if each is not None),
            simulation_priority=configured.simulation_priority or settings.simulation_priority,
            test_key=test_key,
        )

    def _note_seen(self, api_key: str) -> None:
        seen = account_id(api_key)
        self._seen.pop(seen, None)
        self._seen[seen] = masked_key(api_key)
        if len(self._seen) > SEEN_KEPT:
            del self._seen[next(iter(self._seen))]

    def known(self, own_key: str) -> Sequence[KnownAccount]:
        """Return the accounts of the mock's own keys, then those of clients since the last `clear`, the latest first.

        Args:
            own_key: a key of the mock itself, which is shown first.
        """
        own = [own_key, *(self._settings.now.keys or {}), *self._added]
        listed = {account_id(key): KnownAccount(account_id(key), key, is_own=True) for key in own}
        for client, key in reversed(self._seen.items()):
            listed.setdefault(client, KnownAccount(client, key, is_own=False))
        return [*listed.values()]

    def limits_of(self, account_id: str) -> Limits:
        """Return the limits of an account."""
        inherited = self._settings.now.limits
        configured = self._configured.get(account_id)
        return inherited if configured is None else configured.limits(inherited)

    def issue_token(self, account: Account) -> AccessToken:
        """Issue a new access token; earlier tokens of the account stay valid, except those above `TOKENS_KEPT`."""
        while len(self._tokens) >= TOKENS_KEPT:
            self._forget_oldest_token()
        now = self._clock.time()
        while self._unexpired and self._tokens[self._unexpired[0]].expires_at <= now:
            self._expired.append(self._unexpired.popleft())
        while len(self._expired) > EXPIRED_KEPT:
            self._forget_oldest_token()
        token = AccessToken(self._entropy.token(32), self._settings.now.access_token_lifetime)
        issued = self._tokens[token.value] = _Issued(account, token.expires_in, now + token.expires_in)
        self._unexpired.append(token.value)
        self._state.save(_TOKENS, token.value, lambda: _saved_token(issued))
        return token

    def _forget_oldest_token(self) -> None:
        oldest = (self._expired or self._unexpired).popleft()
        del self._tokens[oldest]
        self._state.delete(_TOKENS, oldest)

    def holder_of(self, access_token: str) -> Account:
        """Return the account that an access token was issued to.

        Raises:
            InvalidTokenError: the token is unknown.
            TokenExpiredError: the token has expired.
        """
        issued = self._tokens.get(access_token)
        if issued is None:
            raise InvalidTokenError().because(
                "expected an access token from POST /auth/token of this mock, issued since its last reset, got an "
                f"unknown token; the mock remembers only the latest {EXPIRED_KEPT} expired tokens"
            )
        self._remember(access_token)  # a token that was issued before a restart
        late = self._clock.time() - issued.expires_at
        if late >= 0:
            raise TokenExpiredError().because(
                f"the access token expired {late:.1f} s ago; it was valid for {issued.lifetime:g} s (setting "
                "`access_token_lifetime`); request a new one"
            )
        return issued.account

    def check_session_request(self, account: Account) -> None:
        """Raise the error of the account's test key if it rejects session requests; otherwise do nothing.

        Raises:
            UsageLimitError: the account's test key simulates that a limit is reached.
            NoCapacityError: the account's test key simulates that no streamer is free.
        """
        if account.test_key.at == "session":
            account.test_key.refuse(self._settings.now, self._clock.time())

    def clear(self) -> None:
        """Remove all access tokens, and forget the keys of clients."""
        self._seen.clear()
        for value in self._tokens:
            self._state.delete(_TOKENS, value)
        self._tokens.clear()
        self._expired.clear()
        self._unexpired.clear()


def _saved_token(issued: _Issued) -> _SavedToken:
    account = issued.account
    return _SavedToken(
        account_id=account.id,
        bypass_vlm_expansion=account.bypass_vlm_expansion,
        simulation_priority=account.simulation_priority,
        test_key=next((prefix for prefix, each in TEST_KEYS.items() if each is account.test_key), ""),
        lifetime=issued.lifetime,
        expires_at=issued.expires_at,
    )


def _issued(saved: _SavedToken) -> _Issued:
    account = Account(
        id=saved.account_id,
        bypass_vlm_expansion=saved.bypass_vlm_expansion,
        simulation_priority=saved.simulation_priority,
        test_key=TEST_KEYS.get(saved.test_key, _ORDINARY),
    )
    return _Issued(account, saved.lifetime, saved.expires_at)


def _saved_account(configured: AccountSettings) -> _SavedAccount:
    return _SavedAccount(
        bypass_privilege=configured.bypass_privilege,
        simulation_priority=configured.simulation_priority,
        plan=configured.plan,
        limits=configured.own_limits,
    )


def _account_settings(saved: _SavedAccount) -> AccountSettings:
    limits: Mapping[str, Any] = saved.limits  # Any: limits have different types
    return AccountSettings(
        bypass_privilege=saved.bypass_privilege,
        simulation_priority=saved.simulation_priority,
        plan=saved.plan,
        **limits,
    )
