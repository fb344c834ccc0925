"""Which session something belongs to, and what its account may do."""

from collections.abc import Mapping
from dataclasses import dataclass

from odyssey_mock.settings import Limits


@dataclass(frozen=True, slots=True)
class SessionIdentity:
    """The values of a session that never change.

    Attributes:
        id: the session's.
        account_id: the account that holds it.
        limits: how much that account may use.
        may_bypass: whether the account may have prompts applied as they come.
        streamer_id: the streamer that the session is on.
        region: where that streamer is.
    """

    id: str
    account_id: str
    limits: Limits
    may_bypass: bool
    streamer_id: str
    region: str

    @property
    def where(self) -> Mapping[str, str]:
        """Account and session, as the journal and faults name them."""
        return {"account": self.account_id, "session": self.id}
