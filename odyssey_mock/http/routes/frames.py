"""The route of the control API with thumbnails of the frames of streams."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from odyssey_mock.core.entropy import SystemEntropy
from odyssey_mock.http.control_access import parse_query
from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.ranges import is_known
from odyssey_mock.media.thumbnail import THUMBNAIL_SIDE
from odyssey_mock.recordings.frame_pictures import FramePictures

LONGEST_SIDE = 640
"""Maximum side of a thumbnail in pixels. Larger pictures are those of the recording."""
INDEX_DIGITS = 9
"""Maximum number of digits of the index of a frame."""


class FrameQuery(BaseModel):
    """Query parameters of `GET /_mock/streams/{stream_id}/frames/{index}.jpg`."""

    model_config = ConfigDict(extra="forbid")

    side: Annotated[int, Field(ge=16, le=LONGEST_SIDE)] = THUMBNAIL_SIDE
    """Longest side in pixels."""


@dataclass(frozen=True, kw_only=True)
class FrameRoutes:
    """The route that draws a frame."""

    pictures: FramePictures
    etag: str = field(default_factory=lambda: f'"{SystemEntropy().token(9)}"')
    """The entity tag of every thumbnail. Mocks with the same seed have streams with the same ids and other frames."""

    def routes(self) -> list[BaseRoute]:
        """Create the routes."""
        return [ServiceRoute("/streams/{stream_id}/frames/{index}.jpg", {"GET": self.frame})]

    async def frame(self, request: Request) -> Response:
        """Draw a frame as JPEG. The frames of a stream never change while the mock runs."""
        side = parse_query(FrameQuery, request).side
        index: str = request.path_params["index"]
        if not (index.isascii() and index.isdecimal() and len(index) <= INDEX_DIGITS):
            raise ApiError(404, f"expected the index of a frame, such as 0.jpg, got {index[:64]!r}")
        stream_id: str = request.path_params["stream_id"]
        headers = {"Cache-Control": "private, no-cache", "ETag": self.etag}
        self.pictures.check(stream_id, int(index))
        if is_known(request.headers, self.etag):
            return Response(None, 304, headers)
        return Response(await self.pictures.jpeg(stream_id, int(index), side), media_type="image/jpeg", headers=headers)
