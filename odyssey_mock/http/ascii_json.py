"""JSON responses in ASCII."""

import json
from typing import Any, override

from starlette.responses import JSONResponse


class AsciiJSONResponse(JSONResponse):
    """A JSON response whose text is ASCII.

    Clients can send lone surrogates in prompts and names. JSON can escape them, but UTF-8 cannot encode them.
    """

    @override
    def render(self, content: Any) -> bytes:  # Any: as in JSONResponse
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")
