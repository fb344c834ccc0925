"""The mocks of the access table, with a session, a job, a broadcast and a recording, and the requests to them."""

import http.client
import json
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from odyssey_client.sync import Odyssey
from odyssey_mock import AccountSettings
from odyssey_mock.sync import MockOdyssey
from tests.access.table import REFUSED_SOCKET, Cell
from tests.support.browser_offers import CHROMIUM, HIDDEN
from tests.support.simulations import script, wanted

OWN, OTHER = "ody_own_key", "ody_other_key"
UNKNOWN = "00000000-0000-0000-0000-000000000000"
LIMIT = 20.0
"""Timeout in seconds of each request."""

OFFER = CHROMIUM.format(
    hidden=HIDDEN, ufrag="abcd", pwd="a" * 24, fingerprint=f"sha-256 {':'.join(['AB'] * 32)}"
).replace("\n", "\r\n")
JSON_TYPE = {"Content-Type": "application/json"}


class Server:
    """A mock, and a connection to it for all requests that close none."""

    def __init__(self, mock: MockOdyssey) -> None:
        self.mock = mock
        self.address = urlsplit(mock.listening_url)
        self.connection = http.client.HTTPConnection(self.address.hostname or "", self.address.port, timeout=LIMIT)

    def host(self, host: str) -> str:
        """Return the header `Host` for a name in `HOSTS`."""
        return {
            "loopback": f"localhost:{self.address.port}",
            "listening": self.address.netloc,
            "foreign": f"evil.example:{self.address.port}",
        }[host]

    def headers(self, host: str, origin: str) -> dict[str, str]:
        """Return the headers for names in `HOSTS` and `ORIGINS`."""
        headers = {"Host": self.host(host)}
        origins = {"own": f"http://{self.host(host)}", "foreign": "https://evil.example", "null": "null"}
        return headers if origin == "none" else {**headers, "Origin": origins[origin]}

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> tuple[int, bytes, Any]:
        """Send a request; return the status, the body and the headers of the response."""
        self.connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.connection.putheader(name, value)
        self.connection.endheaders(body)
        response = self.connection.getresponse()
        return response.status, response.read(), response.headers

    def call(self, method: str, path: str, token: str = "", body: object = None) -> Any:  # Any: JSON
        """Send a request that must succeed; return its JSON."""
        headers = {"Host": self.host("loopback"), "Authorization": f"Bearer {token}", **JSON_TYPE}
        status, received, _ = self.send(method, path, headers, b"" if body is None else json.dumps(body).encode())
        assert status == 200, f"{method} {path}: expected status 200, got {status}: {received!r}"
        return json.loads(received)

    def login(self, key: str) -> str:
        return str(self.call("POST", "/auth/token", body={"api_key": key})["access_token"])


@dataclass
class Scene:
    """The mocks, the credentials by name, and the ids with which the paths of the routes are filled."""

    servers: Mapping[str, Server]
    credentials: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def status(self, cell: Cell) -> str:
        """Send the request of a cell; return its status as the table states it."""
        server = self.servers[cell.deployment]
        method, _, template = cell.route.name.partition(" ")
        if method == "WS":
            return self._socket_status(server, cell)
        ids = self.ids
        if cell.route.name == "DELETE /simulation-jobs/{job_id}":
            ids = {**ids, "job_id": self.job(server)}
        if cell.route.kind == "presigned":
            ids = {**ids, "stream_id": ids["recorded"]}
        path = template.replace("{rest:path}", "a/b/c").replace(":path}", "}").format_map(ids)
        body, content_type = b"", "application/json"
        if cell.route.name == "GET /_mock/events":
            method = "HEAD"  # the response to GET does not end
        match cell.route.name:
            case "POST /sessions/token":
                body = json.dumps({"session_id": ids["session_id"]}).encode()
            case "POST /simulation-jobs":
                body = json.dumps(wanted(script(1))).encode()
            case "POST /sessions/request" | "POST /telemetry":
                body = b"{}"
            case "PATCH /broadcast/{stream_id}/whep/{resource}":
                path = path.replace(UNKNOWN, ids["spectator"])
                content_type = "text/plain"
            case "POST /broadcast/{stream_id}/whep":
                content_type = "text/plain"
        headers = {**server.headers(cell.host, cell.origin), "Content-Type": content_type}
        if cell.route.name == "GET /":
            headers["Accept"] = "text/html"
        credential = self.credential(cell)
        if cell.route.kind == "login":
            body = b"{}" if credential is None else json.dumps({"api_key": credential}).encode()
        elif cell.credential.startswith("signed") and cell.deployment == "service":
            path = f"{path}?{credential}"
        elif cell.route.kind == "broadcast" and cell.origin == "none" and credential is not None:
            path = f"{path}?token={credential}"
        elif credential is not None:
            headers["Authorization"] = f"Bearer {credential}"
        status, _, _ = server.send(method, path, headers, body)
        return str(status)

    def credential(self, cell: Cell) -> str | None:
        """Return the credential of a cell; None if it has none."""
        if cell.credential == "control":
            return self.servers[cell.deployment].mock.control_token
        return None if cell.credential == "none" else self.credentials[cell.credential]

    def job(self, server: Server) -> str:
        body = wanted(script(1))
        return str(server.call("POST", "/simulation-jobs", self.credentials["own"], body)["job_id"])

    def _socket_status(self, server: Server, cell: Cell) -> str:
        """Open a signaling socket of a new session, and return its status."""
        session, token = session_of(server, self.credentials["own"])
        credential = token if cell.credential == "session" else self.credential(cell)
        query = "" if credential is None else f"?token={credential}"
        upgrade = {
            **server.headers(cell.host, cell.origin),
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
        lines = [f"GET /signaling/{session['streamer_id']}/client/{session['session_id']}{query} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in upgrade.items()]
        with socket.create_connection((server.address.hostname, server.address.port), LIMIT) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            with connection.makefile("rb") as reader:
                status = reader.readline().split()[1].decode()
                while reader.readline() != b"\r\n":
                    pass
                if status != "101":
                    return status
                (length,) = struct.unpack("!xB", reader.read(2))
                if length == 126:
                    (length,) = struct.unpack("!H", reader.read(2))
                first = json.loads(reader.read(length))
        return REFUSED_SOCKET if first["type"] == "error" else status


def session_of(server: Server, token: str) -> tuple[Mapping[str, str], str]:
    """Request a session; return it and its session token."""
    session: Mapping[str, str] = server.call("POST", "/sessions/request", token, {})
    issued = server.call("POST", "/sessions/token", token, {"session_id": session["session_id"]})
    return session, str(issued["session_token"])


def events_of(server: Server, stream_id: str, token: str) -> SplitResult:
    """Return a presigned URL of the event log of a stream."""
    return urlsplit(str(server.call("GET", f"/recordings/{stream_id}", token)["events_url"]))


@contextmanager
def running() -> Iterator[Scene]:
    """Run the mocks, prepare what the paths of the table name, and yield the scene."""
    keys = {OWN: AccountSettings(), OTHER: AccountSettings()}
    with ExitStack() as stack:
        service = MockOdyssey(
            plan="unlimited",
            keys=keys,
            streamers=1000,
            simulation_workers=0,
            portrait_size=(176, 320),
            fps=5,
            overlay="none",
            hls_segment_duration=0.2,
            spectator_handshake=3600,
            loopback_only=True,
        )
        mocks = {
            "service": service,
            "local control": MockOdyssey(),
            "exposed control": MockOdyssey(host="0.0.0.0"),
        }
        servers = {name: Server(stack.enter_context(mock)) for name, mock in mocks.items()}
        for server in servers.values():
            stack.callback(server.connection.close)
        scene = Scene(servers)
        client = stack.enter_context(Odyssey(OWN, api_url=service.url))
        client.connect()
        _prepare(scene, servers["service"], client)
        yield scene


def _prepare(scene: Scene, server: Server, client: Odyssey) -> None:
    mock = server.mock
    recorded = client.start_stream("A cat")
    client.end_stream()
    mock.change_settings(access_token_lifetime=1, artifact_url_lifetime=1)
    expired = server.login(OWN)
    late = events_of(server, recorded, expired)
    mock.change_settings(access_token_lifetime=1_000_000, artifact_url_lifetime=1_000_000)
    mock.advance(3)
    own = server.login(OWN)
    file = events_of(server, recorded, own)
    stream_id = client.start_stream("A cat", broadcast=True)
    broadcast = mock.broadcasts[stream_id]
    scene.credentials.update(
        {
            "malformed": "no-credential",
            "unknown key": "ody_unknown_key",
            "own key": OWN,
            "unknown": scene.servers["local control"].login("ody_any_key"),
            "expired": expired,
            "other": server.login(OTHER),
            "own": own,
            "session": session_of(server, own)[1],
            "other session": session_of(server, own)[1],
            "spectator": broadcast.token,
            "signed": file.query,
            "signed before": late.query,
        }
    )
    whep = {"Host": server.host("loopback"), "Content-Type": "application/sdp"}
    status, received, headers = server.send(
        "POST", f"/broadcast/{stream_id}/whep?token={broadcast.token}", whep, OFFER.encode()
    )
    assert status == 201, f"expected status 201 for the offer, got {status}: {received!r}"
    scene.ids.update(
        {
            "region": "us-east-1",
            "streamer_id": "a-streamer",
            "session_id": client.current_session_id or "",
            "job_id": scene.job(server),
            "stream_id": stream_id,
            "recorded": recorded,
            "artifact": file.path.rpartition("/")[2],
            "resource": UNKNOWN,
            "spectator": headers["Location"].rpartition("/")[2],
            "file": "missing.mp4",
            "fault_id": "fault-0",
            "index": "0",
            "name": "components/html.js",
        }
    )
