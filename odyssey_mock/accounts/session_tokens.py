"""Session tokens, which authorize the signaling socket (`protocol.md` section 2)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from odyssey_mock.core.clock import Clock

ALGORITHM = "HS256"


class TokenError(Exception):
    """A session token is invalid. The message states why, and does not contain the token."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a session token."""

    session_id: str
    account: str
    """Id of the account that the token was issued to."""
    expires_at: float
    """Seconds since the epoch, on the server's clock."""


class SessionTokens:
    """Issues and verifies session tokens: JSON Web Tokens (RFC 7519), signed with a secret of this server.

    Clients can read `session_id` from a token without the secret.
    """

    def __init__(
        self, clock: Clock, secret: Callable[[], str], *, remember: Callable[[str], object] = lambda _: None
    ) -> None:
        """Store the arguments.

        `secret` returns the secret of the server. `remember` is called with each token, so that it can be masked in
        outputs.
        """
        self._clock = clock
        self._secret = secret
        self._remember = remember

    def mint(self, session_id: str, account: str, lifetime: float) -> str:
        """Return a token for the session, valid for `lifetime` seconds."""
        import jwt  # noqa: PLC0415 - takes 0.04 s to import, and a mock without sessions does not use it

        begun, expires_at = math.floor(self._clock.time()), self.expiry(lifetime)
        claims = {"session_id": session_id, "sub": account, "iat": begun, "exp": expires_at}
        token = jwt.encode(claims, self._secret(), algorithm=ALGORITHM)
        self._remember(token)
        return token

    def expiry(self, lifetime: float) -> int:
        """Return the expiry time of a token that is issued now, in seconds since the epoch, rounded up."""
        return math.ceil(self._clock.time() + lifetime)

    def verify(self, token: str) -> Claims:
        """Return the claims of a valid token.

        Raises:
            TokenError: the token was not issued by this server, or has expired.
        """
        import jwt  # noqa: PLC0415 - see `mint`

        try:
            # PyJWT would compare the times with the machine's clock instead of the server's clock.
            payload = jwt.decode(
                token,
                self._secret(),
                algorithms=[ALGORITHM],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except (jwt.InvalidTokenError, UnicodeEncodeError) as error:
            raise TokenError(f"expected a session token of this server, got an invalid one: {error}") from error
        self._remember(token)  # a token that was issued before a restart
        claims = _read(payload)
        late = self._clock.time() - claims.expires_at
        if late >= 0:
            raise TokenError(f"the session token expired {late:.0f} s ago")
        return claims


def _read(payload: Mapping[str, Any]) -> Claims:  # Any: the payload is JSON
    match payload:
        case {"session_id": str(session_id), "sub": str(account), "exp": int(expires_at)}:
            return Claims(session_id, account, expires_at)
        case _:
            raise TokenError(
                "expected a session token with the claims session_id, sub and exp, got one without all of these claims"
            )
