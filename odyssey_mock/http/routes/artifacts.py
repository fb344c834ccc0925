"""The route `GET /artifacts/{stream_id}/{artifact}`: recorded files at presigned URLs (`protocol.md` section 6)."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from odyssey_mock.http.callers import Callers
from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute
from odyssey_mock.http.public_urls import raw_service_path
from odyssey_mock.http.stored_files import file_response
from odyssey_mock.recordings.artifacts import ARTIFACTS
from odyssey_mock.recordings.file_store import StoredFile
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.recordings.stream_records import StreamStore

ARTIFACT_PATH = "/artifacts/{stream_id}/{artifact}"
"""The path of presigned URLs. The journal also shows a modified URL under this path."""


@dataclass(frozen=True, kw_only=True)
class ArtifactRoutes:
    """Routes for the files of recordings."""

    gate: FaultGate
    callers: Callers
    streams: StreamStore
    recordings: Recordings

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        fetch = self.gate.at("artifact", self.fetch, self.callers.by_stream)
        return [
            ServiceRoute(ARTIFACT_PATH, {"GET": fetch}),
            ServiceRoute("/artifacts/{rest:path}", {"GET": self.refuse}, template=ARTIFACT_PATH),
            # Without this route Starlette would redirect to the URL with a slash. A modified URL gets a 403 instead.
            ServiceRoute("/artifacts", {"GET": self.refuse}, template=ARTIFACT_PATH),
        ]

    async def fetch(self, request: Request) -> Response:
        """Send a file of a recording, or the requested parts of the file. The presigned URL authorizes the request."""
        stored, media_type = await self._find(request)
        return file_response(request, stored, media_type)

    async def refuse(self, request: Request) -> Response:
        """Reject a URL at or below `/artifacts` that does not have the form of a presigned URL."""
        self._check_url(request)
        raise ApiError(404, "Artifact not found")

    async def _find(self, request: Request) -> tuple[StoredFile, str]:
        """Return the file that the URL names, and the media type of the file.

        Raises:
            UrlError: the URL was modified or has expired.
            NoArtifactError: the file no longer exists.
        """
        self._check_url(request)
        stream_id, name = request.path_params["stream_id"], request.path_params["artifact"]
        record = self.streams.records.get(stream_id)
        if record is not None:
            request.state.account, request.state.stream = record.account_id, record.id
        return await self.recordings.stored(stream_id, name), ARTIFACTS[name].media_type

    def _check_url(self, request: Request) -> None:
        """Check the signature and expiry of the URL.

        Raises:
            UrlError: the URL was modified or has expired.
        """
        self.recordings.urls.check(raw_service_path(request.scope), request.scope["query_string"])
