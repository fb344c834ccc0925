"""Extensions of schemathesis for the mock, loaded by `schemathesis.toml`.

They send SDP as text. In three of four requests to a broadcast or recording, they also replace the generated parameters
with those of a real one. The variable `ODYSSEY_TEST_LIVE` contains the real parameters as JSON, by operation id.
"""

import itertools
import json
import os
from typing import Any

import schemathesis

LIVE: dict[str, dict[str, dict[str, str]]] = json.loads(os.environ["ODYSSEY_TEST_LIVE"])

_numbers = itertools.count()


def as_text(_context: Any, value: Any) -> bytes:  # Any: schemathesis is not installed where mypy runs
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:  # Any: as above
    real = LIVE.get(case.operation.definition.raw.get("operationId"))
    if real is None or next(_numbers) % 4 == 3:
        return
    case.path_parameters = {**case.path_parameters, **real.get("path", {})}
    if "query" in real and case.meta.generation.mode.is_positive:
        case.query = {**case.query, **real["query"]}


schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")(as_text)
schemathesis.hook(before_call)
