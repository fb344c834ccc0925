"""Tests that the contract's documents are valid, complete and strict, and match the vendor's documentation."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from odyssey_mock.verification.contract_documents import CONTRACT, FILES, Contract, resolve

DOCUMENTS = Contract.load()
OPENAPI = DOCUMENTS.openapi

ROUTES = {
    "POST /auth/token",
    "GET /regions",
    "GET /ping/{region}",
    "POST /sessions/request",
    "POST /sessions/token",
    "GET /recordings/{stream_id}",
    "GET /stream-recordings",
    "POST /simulation-jobs",
    "GET /simulation-jobs/{job_id}",
    "GET /simulation-jobs",
    "DELETE /simulation-jobs/{job_id}",
    "GET /artifacts/{stream_id}/{artifact}",
    "POST /telemetry",
    "GET /config",
    "GET /client/{session_id}",
    "OPTIONS /whep",
    "POST /whep",
    "OPTIONS /whep/{resource}",
    "PATCH /whep/{resource}",
    "DELETE /whep/{resource}",
    "GET /hls/{file}",
}
"""Every route of `protocol.md` sections 2, 3, 5 and 6."""

STATUSES = {
    "createAccessToken": "200 401 403 408 413 422",
    "listRegions": "200 401",
    "requestSession": "200 401 408 413 422 429 503",
    "createSessionToken": "200 401 404 408 413 422",
    "getRecording": "200 401 404",
    "listStreamRecordings": "200 401 422",
    "createSimulationJob": "200 401 403 408 413 422 429",
    "getSimulationJob": "200 401 403 404",
    "listSimulationJobs": "200 401 422",
    "cancelSimulationJob": "200 400 401 403 404",
    "getArtifact": "200 206 304 403 404 412 416",
    "pingRegion": "2XX 404",
    "recordTelemetry": "2XX 408 413",
    "getIceServers": "200 404",
    "openSignaling": "101 403 404",
    "getSpectatorOptions": "204",
    "createSpectator": "201 400 401 404 406 408 413 415 503",
    "trickleSpectator": "204 400 404 408 412 413 415 422",
    "getSpectatorResourceOptions": "204",
    "deleteSpectator": "2XX 404",
    "getBroadcastFile": "200 401 404",
}
"""The HTTP statuses of each operation, by operation id.

They are the statuses in the tables of `protocol.md`, 401 for operations that need a token, and 408, 413 and 422
for operations with a request body.
"""

SEED: Mapping[str, Mapping[str, str]] = {
    "Recording": {
        "stream_id": "string",
        "video_url": "string | null",
        "events_url": "string | null",
        "thumbnail_url": "string | null",
        "preview_url": "string | null",
        "frame_count": "number | null",
        "duration_seconds": "number | null",
    },
    "StreamRecordingSummary": {
        "stream_id": "string",
        "width": "number",
        "height": "number",
        "started_at": "string",
        "ended_at": "string | null",
        "duration_seconds": "number | null",
    },
    "StreamRecordingsListResponse": {
        "recordings": "StreamRecordingSummary[]",
        "total": "number",
        "limit": "number",
        "offset": "number",
    },
    "ScriptEntry": {
        "timestamp_ms": "number",
        "start?": "ScriptStart",
        "interact?": "ScriptInteract",
        "end?": "ScriptEnd",
    },
    "ScriptStart": {"prompt": "string", "image?": "string"},
    "ScriptInteract": {"prompt": "string"},
    "ScriptEnd": {},
    "SimulationStream": {
        "stream_id": "string",
        "video_url": "string | null",
        "events_url": "string | null",
        "thumbnail_url": "string | null",
        "preview_url": "string | null",
        "frame_count": "number | null",
        "duration_seconds": "number | null",
        "script_index": "number",
        "status?": '"failed"',
        "error_message?": "string",
    },
    "SimulationJob": {
        "job_id": "string",
        "status": "SimulationJobStatus",
        "priority": "string",
        "created_at": "string",
        "estimated_wait_minutes": "number | null",
    },
    "SimulationJobDetail": {
        "job_id": "string",
        "status": "SimulationJobStatus",
        "priority": "string",
        "created_at": "string",
        "dispatched_at": "string | null",
        "started_at": "string | null",
        "completed_at": "string | null",
        "error_message": "string | null",
        "assigned_region": "string | null",
        "retry_count": "number",
        "streams": "SimulationStream[]",
    },
    "SimulationJobInfo": {
        "job_id": "string",
        "status": "SimulationJobStatus",
        "priority": "string",
        "created_at": "string",
        "completed_at": "string | null",
        "error_message": "string | null",
    },
    "SimulationJobsList": {
        "jobs": "SimulationJobInfo[]",
        "total": "number",
        "limit": "number",
        "offset": "number",
    },
}
"""Fields of response types with their TypeScript types, from the vendor's documentation. `?` marks optional fields."""

SEED_ENUM = ["pending", "dispatched", "processing", "completed", "failed", "cancelled"]

METHODS = {"get", "post", "put", "patch", "delete", "options"}


def operations() -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    for path, item in OPENAPI["paths"].items():
        for method in sorted(METHODS & set(item)):
            yield path, method, item, item[method]


def media_types() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (pointer of the body, pointer of the object, object) for each media type object in the OpenAPI document.

    The pointers are JSON pointers. A body is a request body or a response.
    """
    holders = [
        (f"/paths/{path.replace('/', '~1')}/{method}/requestBody", operation["requestBody"])
        for path, method, _, operation in operations()
        if "requestBody" in operation
    ]
    holders += [
        (f"/paths/{path.replace('/', '~1')}/{method}/responses/{status}", response)
        for path, method, _, operation in operations()
        for status, response in operation["responses"].items()
    ]
    holders += [(f"/components/responses/{name}", body) for name, body in OPENAPI["components"]["responses"].items()]
    for pointer, holder in holders:
        for kind, media in holder.get("content", {}).items():
            yield pointer, f"{pointer}/content/{kind.replace('/', '~1')}", media


MEDIA_TYPES = list(media_types())


def test_openapi_document_is_valid() -> None:
    OpenAPIV31SpecValidator(dict(OPENAPI)).validate()


@pytest.mark.parametrize("name", [name for name in FILES if name != "openapi"])
def test_message_documents_are_valid_schemas(name: str) -> None:
    Draft202012Validator.check_schema(DOCUMENTS.documents[name])


@pytest.mark.parametrize("name", OPENAPI["components"]["schemas"])
def test_component_schemas_are_valid_schemas(name: str) -> None:
    Draft202012Validator.check_schema(OPENAPI["components"]["schemas"][name])


def test_every_file_of_the_contract_is_loaded() -> None:
    assert {path.name for path in CONTRACT.glob("*.json")} == set(FILES.values())


def test_openapi_has_exactly_listed_routes() -> None:
    assert {f"{method.upper()} {path}" for path, method, _, _ in operations()} == ROUTES


@pytest.mark.parametrize(("operation_id", "statuses"), STATUSES.items())
def test_operation_has_exactly_listed_statuses(operation_id: str, statuses: str) -> None:
    (operation,) = [each for _, _, _, each in operations() if each["operationId"] == operation_id]
    assert sorted(operation["responses"]) == sorted(statuses.split())


def test_statuses_cover_every_operation() -> None:
    assert {operation["operationId"] for _, _, _, operation in operations()} == set(STATUSES)


def test_every_component_is_used() -> None:
    text = json.dumps(OPENAPI)
    for kind in ("schemas", "responses", "parameters", "headers"):
        for name in OPENAPI["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, (
                f"expected a $ref to #/components/{kind}/{name} in the OpenAPI document, found none; "
                "remove the component"
            )


@pytest.mark.parametrize(("name", "pointer", "media"), MEDIA_TYPES, ids=[name for name, _, _ in MEDIA_TYPES])
def test_every_body_has_valid_examples(name: str, pointer: str, media: Mapping[str, Any]) -> None:
    assert media["examples"]
    for example in media["examples"].values():
        assert list(DOCUMENTS.violations("openapi", f"{pointer}/schema", example["value"])) == []


# The vendor's documentation


def typescript(schema: Mapping[str, Any]) -> str:
    """Convert a JSON Schema to a TypeScript type in the notation of the vendor's documentation."""
    if reference := schema.get("$ref", "").rpartition("/")[2]:
        is_named = reference in SEED or reference == "SimulationJobStatus"
        return reference if is_named else typescript(OPENAPI["components"]["schemas"][reference])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "anyOf" in schema:
        return " | ".join(typescript(each) for each in schema["anyOf"])
    if schema["type"] == "array":
        return f"{typescript(schema['items'])}[]"
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return " | ".join({"integer": "number"}.get(each, each) for each in types)


@pytest.mark.parametrize("name", SEED)
def test_response_types_match_vendors_documentation(name: str) -> None:
    schema = OPENAPI["components"]["schemas"][name]
    required = schema.get("required", [])
    fields = {
        field if field in required else f"{field}?": typescript(each)
        for field, each in schema.get("properties", {}).items()
    }
    assert fields == SEED[name]
    assert schema["additionalProperties"] is False


def test_job_statuses_match_vendors_documentation() -> None:
    assert OPENAPI["components"]["schemas"]["SimulationJobStatus"]["enum"] == SEED_ENUM


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/stream-recordings", {"limit": (50, 100), "offset": (0, None)}),
        ("/simulation-jobs", {"status": (None, None), "active": (None, None), "limit": (20, 100), "offset": (0, None)}),
    ],
)
def test_list_parameters_match_vendors_documentation(path: str, parameters: Mapping[str, object]) -> None:
    declared = [resolve(OPENAPI, each) for each in OPENAPI["paths"][path]["get"]["parameters"]]
    schemas = {each["name"]: each["schema"] for each in declared}
    assert {name: (each.get("default"), each.get("maximum")) for name, each in schemas.items()} == parameters


SCRIPT = [
    {"timestamp_ms": 0, "start": {"prompt": "A cat"}},
    {"timestamp_ms": 3000, "interact": {"prompt": "It looks outside"}},
    {"timestamp_ms": 9000, "end": {}},
]


def script_with(index: int, **fields: object) -> list[object]:
    """Return a copy of `SCRIPT` in which `fields` replace fields of entry `index`. The value `...` removes a field."""
    entry = {name: value for name, value in ({**SCRIPT[index], **fields}).items() if value is not ...}
    return [entry if place == index else each for place, each in enumerate(SCRIPT)]


def test_valid_script_is_accepted() -> None:
    assert list(DOCUMENTS.violations("openapi", "/components/schemas/Script", SCRIPT)) == []


@pytest.mark.parametrize(
    "script",
    [
        [],
        SCRIPT[1:],
        SCRIPT[:2],
        script_with(0, timestamp_ms=1),
        script_with(1, timestamp_ms=-1),
        script_with(1, timestamp_ms=0.5),
        script_with(1, timestamp_ms="0"),
        script_with(1, timestamp_ms=...),
        script_with(1, interact=...),
        script_with(1, end={}),
        script_with(1, interact={}),
        script_with(1, interact={"prompt": "x", "image": "y"}),
        script_with(1, pause={}),
        script_with(0, start={"prompt": "x", "image": "no data URL"}),
        script_with(2, end={"prompt": "x"}),
    ],
)
def test_invalid_scripts_are_rejected(script: list[object]) -> None:
    assert list(DOCUMENTS.violations("openapi", "/components/schemas/Script", script))


@pytest.mark.parametrize("sources", [{}, {"script": SCRIPT, "scripts": [SCRIPT]}, {"scripts": []}])
def test_simulation_request_has_exactly_one_script_source(sources: Mapping[str, object]) -> None:
    request = {"portrait": True, "output_video": True, **sources}
    assert list(DOCUMENTS.violations("openapi", "/components/schemas/SimulationRequest", request))


def test_failed_stream_needs_status_and_error_message() -> None:
    stream = OPENAPI["paths"]["/simulation-jobs/{job_id}"]["get"]["responses"]["200"]["content"]["application/json"][
        "examples"
    ]["failed"]["value"]["streams"][0]
    pointer = "/components/schemas/SimulationStream"
    assert list(DOCUMENTS.violations("openapi", pointer, stream)) == []
    for half in ("status", "error_message"):
        partial = {name: value for name, value in stream.items() if name != half}
        assert list(DOCUMENTS.violations("openapi", pointer, partial))


def test_timestamp_format_is_validated() -> None:
    faults_found = DOCUMENTS.violations("openapi", "/components/schemas/Timestamp", "yesterday")
    assert [fault.expected for fault in faults_found] == ['text in the format "date-time"']
