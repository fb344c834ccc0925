"""`GET /_mock/accounts`: the API keys that the mock knows, with the limits and the usage of their accounts."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.accounts.accounts import Accounts, KnownAccount
from odyssey_mock.accounts.usage import Usage
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.sessions.registry import SessionRegistry
from odyssey_mock.settings import plan_of
from odyssey_mock.simulations.jobs import Jobs


@dataclass(frozen=True, kw_only=True)
class AccountRoutes:
    """The route of the accounts."""

    api_key: Callable[[], str]
    """Returns an API key that the mock accepts: the mock's own key, never one that a client has brought."""
    accounts: Accounts
    usage: Usage
    sessions: SessionRegistry
    jobs: Jobs

    def routes(self) -> list[BaseRoute]:
        """Create the routes, below the prefix of the control API."""
        return [ServiceRoute("/accounts", {"GET": self.listed})]

    async def listed(self, _request: Request) -> Response:
        """List the accounts: those of the mock's own keys, then those of clients, the latest first."""
        # Each is counted once for all accounts, because there can be thousands of records.
        hours = self.usage.all_hours()
        sessions = Counter(session.account_id for session in self.sessions.sessions.values())

        def shown(account: KnownAccount) -> JSON:
            limits = self.accounts.limits_of(account.id)
            return {
                "id": account.id,
                "key": account.key,
                "own": account.is_own,
                "plan": plan_of(limits) or "custom",
                "limits": asdict(limits),
                "usage": {
                    "sessions": sessions[account.id],
                    "hours": hours.get(account.id, 0.0),
                    "queued_simulations": self.jobs.pending_of(account.id),
                },
            }

        listed = [shown(each) for each in self.accounts.known(self.api_key())]
        return JSONResponse({"accounts": listed}, headers={"Cache-Control": "no-store"})  # they contain keys
