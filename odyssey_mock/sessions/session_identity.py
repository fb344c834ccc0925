"""The fixed data of a session: ids, region, and what its account may do."""

from collections.abc import Mapping
from dataclasses import dataclass

from odyssey_mock.settings import Limits


@dataclass(frozen=True, slots=True)
class SessionIdentity:
    """The values of a session that never change.

    Attributes:
        id: the session id.
        account_id: the account that owns the session.
        limits: the limits of that account.
        may_bypass: whether the account may bypass prompt expansion.
        streamer_id: the streamer that the session occupies.
        region: the region of that streamer.
    """

    id: str
    account_id: str
    limits: Limits
    may_bypass: bool
    streamer_id: str
    region: str

    @property
    def where(self) -> Mapping[str, str]:
        """The ids of account and session, under the keys that the journal and the faults use."""
        return {"account": self.account_id, "session": self.id}
