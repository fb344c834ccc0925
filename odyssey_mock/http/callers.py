"""The account, session and stream of a request, for authorization and for the `match` conditions of faults."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from starlette.requests import HTTPConnection, Request
from starlette.types import Scope

from odyssey_mock.accounts.accounts import Account, Accounts, account_id
from odyssey_mock.accounts.errors import InvalidTokenError
from odyssey_mock.accounts.session_tokens import SessionTokens, TokenError
from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.raw_headers import header
from odyssey_mock.recordings.stream_records import StreamStore
from odyssey_mock.sessions.registry import SessionRegistry

_SCHEMES = frozenset({"apikey", "basic", "digest", "negotiate", "token"})
"""Schemes of the header `Authorization`, in lower case, that clients send by mistake."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The values of a request that `match` of a fault can test, read before the route handles the request."""

    account: str | None = None
    session: str | None = None
    stream: str | None = None
    more: Mapping[str, JSON] = MappingProxyType({})
    """Further values that `match` can test: `job` and `artifact`."""


def authorized(request: Request, accounts: Accounts) -> Account:
    """Return the account of the request's access token (RFC 6750), and note the account for the journal entry.

    Raises:
        ApiError: 401, the token is missing.
        InvalidTokenError: the token is unknown or expired.
    """
    scheme, _, token = (header(request.scope["headers"], b"authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ApiError(401, "Not authenticated", {"WWW-Authenticate": "Bearer"}).because(
            "expected the header `Authorization: Bearer` with the access token of POST /auth/token, "
            f"got {_shown_scheme(scheme)}"
        )
    account = accounts.holder_of(token.strip())
    request.state.account = account.id
    return account


class Callers:
    """Finds the account, session and stream of a request. Each route passes a `by_...` method to its fault point."""

    def __init__(
        self, *, accounts: Accounts, tokens: SessionTokens, sessions: SessionRegistry, streams: StreamStore
    ) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._sessions = sessions
        self._streams = streams

    def account_of(self, scope: Scope) -> str | None:
        """Return the account id for a request's access token or a WebSocket's session token.

        Return None if the token is missing or invalid.
        """
        try:
            if scope["type"] == "websocket":
                return self._tokens.verify(HTTPConnection(scope).query_params.get("token", "")).account
            authorization = header(scope["headers"], b"authorization") or ""
            return self._accounts.holder_of(authorization.partition(" ")[2].strip()).id
        except (InvalidTokenError, TokenError):
            return None

    def by_access_token(self, scope: Scope, _body: bytes | bytearray) -> Asked:
        """Read the account from the access token, and the stream, job and artifact from the path, if present."""
        stream_id: str | None = scope["path_params"].get("stream_id")
        return Asked(account=self.account_of(scope), stream=stream_id, more=_named(scope))

    def by_api_key(self, _scope: Scope, body: bytes | bytearray) -> Asked:
        """Derive the account from the API key in the body."""
        key = _told(body, "api_key")
        return Asked(account=None if key is None else account_id(key))

    def by_session(self, scope: Scope, body: bytes | bytearray) -> Asked:
        """Read the account from the access token, and the session from the body."""
        return Asked(account=self.account_of(scope), session=_told(body, "session_id"))

    def by_streamer(self, scope: Scope, _body: bytes | bytearray) -> Asked:
        """Look up the session that uses the streamer named in the path, and the account of that session."""
        held = self._sessions.sessions.values()
        session = next((each for each in held if each.streamer_id == scope["path_params"]["streamer_id"]), None)
        return Asked() if session is None else Asked(account=session.account_id, session=session.id)

    def by_stream(self, scope: Scope, _body: bytes | bytearray) -> Asked:
        """Look up the account and session of the stream named in the path, without regard to the request's token."""
        stream_id: str | None = scope["path_params"].get("stream_id")
        record = self._streams.records.get(stream_id or "")
        if record is None:
            return Asked(stream=stream_id, more=_named(scope))
        return Asked(account=record.account_id, session=record.session_id, stream=stream_id, more=_named(scope))


def _shown_scheme(scheme: str) -> str:
    """Describe an `Authorization` header that has no access token.

    The description names a scheme only if it is known. Otherwise, the first word of the header may be a secret: a key
    or a token that was sent without a scheme.
    """
    if not scheme:
        return "none"
    if scheme.lower() == "bearer":
        return "the scheme without a token"
    return f"the scheme {scheme!r}" if scheme.lower() in _SCHEMES else "a header without a known scheme"


def _named(scope: Scope) -> Mapping[str, JSON]:
    """Return the job id as `job` and the artifact name as `artifact`, if the path of the request has them."""
    fields: Mapping[str, str] = scope["path_params"]
    return {name: fields[field] for name, field in (("job", "job_id"), ("artifact", "artifact")) if field in fields}


def _told(body: bytes | bytearray, field: str) -> str | None:
    """Return the string in `field` of a JSON body; None if there is no such string."""
    try:
        fields = read_json(body)
    except (ValueError, RecursionError):
        return None
    value = fields.get(field) if isinstance(fields, dict) else None
    return value if isinstance(value, str) else None
