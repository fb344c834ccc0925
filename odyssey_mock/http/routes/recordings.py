"""The routes `GET /recordings/{stream_id}` and `GET /stream-recordings` (`protocol.md` sections 2 and 6)."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.core.timestamps import iso
from odyssey_mock.http.callers import Callers, authorized
from odyssey_mock.http.errors import ApiError, validate
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute
from odyssey_mock.http.paging import page_of
from odyssey_mock.http.public_urls import base_url
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore


class Page(BaseModel):
    """Query parameters of `GET /stream-recordings`."""

    model_config = ConfigDict(extra="ignore")

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    offset: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, kw_only=True)
class RecordingRoutes:
    """Routes for the recordings of an account's streams."""

    gate: FaultGate
    callers: Callers
    accounts: Accounts
    streams: StreamStore
    recordings: Recordings

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        at, who = self.gate.at, self.callers.by_access_token
        return [
            ServiceRoute("/recordings/{stream_id}", {"GET": at("rest.recordings.get", self.get_recording, who)}),
            ServiceRoute("/stream-recordings", {"GET": at("rest.recordings.list", self.list_recordings, who)}),
        ]

    async def get_recording(self, request: Request) -> Response:
        """Return the recording of one stream."""
        account = authorized(request, self.accounts)
        record = self.streams.records.get(request.path_params["stream_id"])
        if record is None or record.account_id != account.id:
            raise _missing()
        why = self.recordings.why_unavailable(record)
        if why is not None:
            raise _missing().because(why)
        request.state.stream = record.id
        return JSONResponse(self.recordings.describe(record, base_url(request)), headers={"Cache-Control": "no-store"})

    async def list_recordings(self, request: Request) -> Response:
        """Return one page of the account's streams, newest first."""
        account = authorized(request, self.accounts)
        page = validate(Page, dict(request.query_params), "query")
        records, total = self.recordings.available_of(account.id)
        shown = page_of(records, total, offset=page.offset, limit=page.limit)
        return JSONResponse(
            {
                "recordings": [_summary(record) for record in shown],
                "total": total,
                "limit": page.limit,
                "offset": page.offset,
            }
        )


def _missing() -> ApiError:
    return ApiError(404, "Recording not found in this account; GET /stream-recordings lists its recordings")


def _summary(record: StreamRecord) -> dict[str, JSON]:
    return {
        "stream_id": record.id,
        "width": record.timeline.size.width,
        "height": record.timeline.size.height,
        "started_at": iso(record.started_at),
        "ended_at": None if record.ended_at is None else iso(record.ended_at),
        "duration_seconds": record.duration_seconds,
    }
