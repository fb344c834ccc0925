"""The access table: the status of each route for each credential, origin and host.

`docs/reference/security.md` is generated from it, and `test_access.py` sends a request for each cell. The statuses are
written down here, as rules for kinds of routes. They are not computed from the code of the mock.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

type Deployment = Literal["service", "local control", "exposed control"]
"""The service; the control API of a mock that listens on 127.0.0.1; that of a mock that listens on all addresses."""

CREDENTIALS: Mapping[str, str] = {
    "none": "no credential",
    "malformed": "a text that is no credential",
    "unknown key": "a well-formed API key that the mock does not accept",
    "own key": "an API key that the mock accepts",
    "unknown": "an access token of another server",
    "expired": "an expired access token",
    "other": "an access token of another account",
    "own": "an access token of the account that owns the job, stream or session",
    "session": "the session token of the session",
    "other session": "the session token of another session of the account",
    "spectator": "the spectator token of the broadcast",
    "signed": "the query of a presigned URL of the file",
    "signed before": "the query of a presigned URL of the file that has expired",
    "control": "the control token",
}
ORIGINS: Mapping[str, str] = {
    "none": "no `Origin`",
    "own": "the origin of the mock",
    "foreign": "`https://evil.example`",
    "null": "`null`",
}
HOSTS: Mapping[str, str] = {
    "loopback": "`localhost`",
    "listening": "the address on which the mock listens",
    "foreign": "`evil.example`, as after DNS rebinding",
}

GRANTED = "granted"
"""In a rule: the request is granted, and gets the status `Route.granted`."""
REFUSED_SOCKET = "101 error"
"""The socket opens, gets an `error` message, and is closed with code 1008. A rejected upgrade would hide the reason."""


def rule(otherwise: str, **others: str) -> Mapping[str, str]:
    """Return the status for each credential: that in `others`, by name with `_` for a space, or else `otherwise`."""
    named = {name.replace("_", " "): status for name, status in others.items()}
    assert named.keys() <= CREDENTIALS.keys()
    return {credential: named.get(credential, otherwise) for credential in CREDENTIALS}


RULES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "public": ("needs no credential", rule(GRANTED)),
    "login": ("takes an API key in its body", rule("422", unknown_key="401", own_key=GRANTED)),
    "account": ("needs an access token", rule("401", own=GRANTED, other=GRANTED)),
    "job": ("needs the access token of the account that owns the job", rule("401", own=GRANTED, other="403")),
    "owned": ("needs the access token of the owning account; other accounts do not learn that it exists",
              rule("401", own=GRANTED, other="404")),
    "socket": ("needs the session token", rule(REFUSED_SOCKET, session=GRANTED)),
    "broadcast": ("needs the spectator token", rule("401", spectator=GRANTED)),
    "secret path": ("the last segment of the path is a secret, which the response to the offer contains",
                    rule(GRANTED)),
    "presigned": ("needs the signature and expiry time of a presigned URL", rule("403", signed=GRANTED)),
    "no file": ("has no valid presigned URL", rule("403")),
    "control": ("needs the control token if other machines can reach the mock", rule("401", control=GRANTED)),
    "health": ("needs no credential", rule(GRANTED)),
    "page": ("a web page of the mock or a file of it, which contains no secret and needs no credential", rule(GRANTED)),
}  # fmt: skip
"""For each kind of route: what it needs, and its status for each credential."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route, with the kind of its rule and the status of a granted request.

    The requests of the table are harmless: where a granted request would change much, its body is empty or invalid.
    """

    name: str
    kind: str
    granted: str


SERVICE = tuple(
    Route(*each)
    for each in (
        ("POST /auth/token", "login", "200"),
        ("GET /regions", "account", "200"),
        ("GET /ping/{region}", "public", "204"),
        ("POST /sessions/request", "account", "200"),
        ("POST /sessions/token", "owned", "200"),
        ("GET /signaling/{streamer_id}/config", "public", "200"),
        ("WS /signaling/{streamer_id}/client/{session_id}", "socket", "101"),
        ("POST /simulation-jobs", "account", "200"),
        ("GET /simulation-jobs", "account", "200"),
        ("GET /simulation-jobs/{job_id}", "job", "200"),
        ("DELETE /simulation-jobs/{job_id}", "job", "200"),
        ("GET /recordings/{stream_id}", "owned", "200"),
        ("GET /stream-recordings", "account", "200"),
        ("GET /artifacts/{stream_id}/{artifact}", "presigned", "200"),
        ("GET /artifacts/{rest:path}", "no file", "403"),
        ("GET /artifacts", "no file", "403"),
        ("POST /telemetry", "public", "202"),
        ("GET /config", "public", "200"),
        ("OPTIONS /broadcast/{stream_id}/whep", "public", "204"),
        ("POST /broadcast/{stream_id}/whep", "broadcast", "415"),
        ("OPTIONS /broadcast/{stream_id}/whep/{resource}", "public", "204"),
        ("PATCH /broadcast/{stream_id}/whep/{resource}", "secret path", "415"),
        ("DELETE /broadcast/{stream_id}/whep/{resource}", "secret path", "404"),
        ("GET /broadcast/{stream_id}/hls/index.m3u8", "broadcast", "200"),
        ("GET /broadcast/{stream_id}/hls/{file}", "broadcast", "404"),
        ("GET /openapi.json", "public", "200"),
        ("GET /", "public", "307"),
    )
)
CONTROL = tuple(
    Route(*each)
    for each in (
        ("GET /_mock/health", "health", "200"),
        ("GET /_mock/state", "control", "200"),
        ("POST /_mock/reset", "control", "200"),
        ("GET /_mock/clock", "control", "200"),
        ("POST /_mock/clock/advance", "control", "422"),
        ("POST /_mock/clock/next", "control", "200"),
        ("POST /_mock/clock/pause", "control", "200"),
        ("POST /_mock/clock/resume", "control", "200"),
        ("PUT /_mock/clock/speed", "control", "422"),
        ("GET /_mock/journal", "control", "200"),
        ("GET /_mock/events", "control", "200"),
        ("GET /_mock/machines", "control", "200"),
        ("POST /_mock/sessions/{session_id}/interact", "control", "404"),
        ("POST /_mock/sessions/{session_id}/end-stream", "control", "404"),
        ("POST /_mock/sessions/{session_id}/end", "control", "404"),
        ("POST /_mock/sessions/{session_id}/break", "control", "404"),
        ("POST /_mock/sessions/{session_id}/vanish", "control", "404"),
        ("POST /_mock/sessions/{session_id}/close-socket", "control", "404"),
        ("GET /_mock/streams/{stream_id}/frames/{index}.jpg", "control", "404"),
        ("OPTIONS /_mock/streams/{stream_id}/whep", "control", "204"),
        ("POST /_mock/streams/{stream_id}/whep", "control", "415"),
        ("DELETE /_mock/streams/{stream_id}/whep/{resource}", "control", "404"),
        ("GET /_mock/faults", "control", "200"),
        ("POST /_mock/faults", "control", "422"),
        ("DELETE /_mock/faults", "control", "204"),
        ("GET /_mock/faults/catalog", "control", "200"),
        ("DELETE /_mock/faults/{fault_id}", "control", "404"),
        ("POST /_mock/server/away", "control", "422"),
        ("GET /_mock/settings", "control", "200"),
        ("POST /_mock/settings", "control", "422"),
        ("GET /_mock/overview", "control", "200"),
        ("GET /_mock/accounts", "control", "200"),
        ("POST /_mock/scripts/validate", "control", "200"),
        ("GET /_mock/recordings", "control", "200"),
        ("GET /_mock/recordings/{stream_id}", "control", "404"),
        ("GET /_mock/recordings/{stream_id}/{file}", "control", "404"),
        ("GET /_mock/console", "page", "307"),
        ("GET /_mock/console/", "page", "200"),
        ("GET /_mock/console/files/{name:path}", "page", "200"),
        ("GET /_mock/watch", "page", "307"),
        ("GET /_mock/watch/", "page", "200"),
        ("GET /_mock/watch/files/{name:path}", "page", "200"),
    )
)
ROUTES = (*SERVICE, *CONTROL)

PROPER: Mapping[str, str] = {
    "login": "own key",
    "socket": "session",
    "broadcast": "spectator",
    "presigned": "signed",
    "control": "control",
}
"""For each kind of route, the credential that it needs; `own` for kinds that are not listed."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One request and the expected status."""

    deployment: Deployment
    route: Route
    credential: str
    origin: str
    host: str
    expected: str

    def __str__(self) -> str:
        return f"{self.deployment}: {self.route.name}, credential {self.credential}, origin {self.origin}, {self.host}"


def by_credential(deployment: Deployment, route: Route) -> Mapping[str, str]:
    """Return the expected status for each credential, without `Origin` and with a loopback host.

    A mock that only this machine can reach grants all requests to its control API, so a few credentials suffice.
    """
    if deployment == "local control":
        return dict.fromkeys(("none", "malformed", "control"), route.granted)
    _, statuses = RULES[route.kind]
    return {name: route.granted if status == GRANTED else status for name, status in statuses.items()}


def by_origin(deployment: Deployment, route: Route) -> Mapping[tuple[str, str], str]:
    """Return the expected status for each host and origin, with the credential that the route needs.

    The service answers pages of all origins. The control API answers only its own, and only to hosts that it knows.
    """
    accepts_all = deployment == "service"
    return {
        (host, origin): route.granted if accepts_all or (host != "foreign" and origin in {"none", "own"}) else "403"
        for host in HOSTS
        for origin in ORIGINS
    }


def _cells() -> Iterator[Cell]:
    deployments: Sequence[tuple[Deployment, Sequence[Route]]] = (
        ("service", SERVICE),
        ("local control", CONTROL),
        ("exposed control", CONTROL),
    )
    for deployment, routes in deployments:
        for route in routes:
            for credential, status in by_credential(deployment, route).items():
                yield Cell(deployment, route, credential, "none", "loopback", status)
            for (host, origin), status in by_origin(deployment, route).items():
                if (host, origin) != ("loopback", "none"):  # this cell is among those of the credentials
                    yield Cell(deployment, route, PROPER.get(route.kind, "own"), origin, host, status)


CELLS = tuple(_cells())


def _credentials(deployment: Deployment, routes: Sequence[Route]) -> str:
    rows = [
        f"| `{each.name}` | {each.kind} | {' | '.join(by_credential(deployment, each).values())} |" for each in routes
    ]
    return "\n".join(
        ["", f"| route | kind | {' | '.join(CREDENTIALS)} |", f"|---|---|{'---|' * len(CREDENTIALS)}", *rows, ""]
    )


def _origins(deployment: Deployment, routes: Sequence[Route]) -> str:
    heads = [f"{host}, {origin}" for host in HOSTS for origin in ORIGINS]
    rows = [f"| `{each.name}` | {' | '.join(by_origin(deployment, each).values())} |" for each in routes]
    return "\n".join(["", f"| route | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}", *rows, ""])


def _meanings(meanings: Mapping[str, str], head: str) -> str:
    rows = [f"| {name} | {means} |" for name, means in meanings.items()]
    return "\n".join(["", f"| {head} | meaning |", "|---|---|", *rows, ""])


TABLES: Mapping[str, Callable[[], str]] = {
    "access_credentials": partial(_credentials, "service", SERVICE),
    "access_control_credentials": partial(_credentials, "exposed control", CONTROL),
    "access_origins": partial(_origins, "service", SERVICE),
    "access_control_origins": partial(_origins, "exposed control", CONTROL),
    "access_kinds": partial(_meanings, {f"`{name}`": means for name, (means, _) in RULES.items()}, "kind of route"),
    "access_hosts": partial(_meanings, {f"`{name}`": means for name, means in HOSTS.items()}, "host"),
    "access_from": partial(_meanings, {f"`{name}`": means for name, means in ORIGINS.items()}, "`Origin`"),
    "access_all_credentials": partial(
        _meanings, {f"`{name}`": means for name, means in CREDENTIALS.items()}, "credential"
    ),
}
"""The functions that draw the tables of `docs/reference/security.md`, as Markdown."""
