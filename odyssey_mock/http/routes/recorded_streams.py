"""The recordings of all accounts in the control API (`/_mock/recordings`)."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from odyssey_mock.core.redaction import Secrets, masked_json
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.http.ascii_json import AsciiJSONResponse
from odyssey_mock.http.control_access import parse_query
from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.paging import page_of
from odyssey_mock.http.stored_files import file_response
from odyssey_mock.recordings.artifacts import ARTIFACTS, left_by, logged_events
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore

TEXTS = ("prompt", "applied_prompt", "current_prompt", "error")
"""The fields of a stream that clients write, or that may repeat what they wrote. Only these can contain secrets."""


class RecordedQuery(BaseModel):
    """Query parameters of `GET /_mock/recordings`."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    offset: NonNegativeInt = 0


@dataclass(frozen=True, kw_only=True)
class RecordedStreamRoutes:
    """Routes for the recordings of all accounts. Unlike those of the service, they need no presigned URL."""

    streams: StreamStore
    recordings: Recordings
    secrets: Secrets

    def routes(self) -> list[BaseRoute]:
        """Create the routes, below the prefix of the control API."""
        return [
            ServiceRoute("/recordings", {"GET": self.listed}),
            ServiceRoute("/recordings/{stream_id}", {"GET": self.show}),
            ServiceRoute("/recordings/{stream_id}/{file}", {"GET": self.fetch}),
        ]

    async def listed(self, request: Request) -> Response:
        """List one page of the ended streams, newest first."""
        query = parse_query(RecordedQuery, request)
        ended = (record for record in self.streams.newest_first() if record.id not in self.streams.running)
        total = len(self.streams.records) - len(self.streams.running)
        page = page_of(ended, total, offset=query.offset, limit=query.limit)
        return AsciiJSONResponse(
            {
                "recordings": [self._summary(record) for record in page],
                "total": total,
                "limit": query.limit,
                "offset": query.offset,
            }
        )

    async def show(self, request: Request) -> Response:
        """Show one ended stream with its event log, which has the times of the interactions."""
        record = self.streams.records.get(request.path_params["stream_id"])
        if record is None or record.ended_at is None:
            raise ApiError(
                404, "Unknown stream, or one that is still running; GET /_mock/recordings lists all ended streams"
            )
        events = masked_json([*logged_events(record)], self.secrets)
        return AsciiJSONResponse({**self._summary(record), "events": events})

    async def fetch(self, request: Request) -> Response:
        """Send a file of a recording, or the requested parts of it."""
        name = request.path_params["file"]
        stored = await self.recordings.stored(request.path_params["stream_id"], name)
        return file_response(request, stored, ARTIFACTS[name].media_type)

    def _summary(self, record: StreamRecord) -> dict[str, JSON]:
        shown = record.snapshot()
        return {
            **shown,
            **{name: masked_json(shown[name], self.secrets) for name in TEXTS},
            "frame_count": record.frame_count,
            "duration_seconds": record.duration_seconds,
            "files": [artifact.name for artifact in left_by(record)],
            "why_unavailable": self.recordings.why_unavailable(record),
        }
