"""The OpenAPI document that `GET /openapi.json` serves.

It is the contract (`odyssey_mock/contract/openapi.json`) with the paths of the mock. The contract describes some paths
relative to an address that the service returns, such as `{webrtc_url}/whep`. `PLACES` has the paths of these addresses
in the mock. `openapi_patch.json` adds the control API. It also widens what the contract states about requests: the
contract describes what clients send, and the mock accepts more.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, Literal, get_args, get_origin

from odyssey_mock.core.journal import KINDS
from odyssey_mock.faults.catalog import POINTS
from odyssey_mock.http.control_access import is_control, is_free
from odyssey_mock.http.mock_version import mock_version
from odyssey_mock.setting_values import NO_LIMIT, to_data
from odyssey_mock.settings import KEY_PATTERN, PLANS, SETTINGS, Setting

type Document = dict[str, Any]  # Any: JSON with the structure that the OpenAPI specification defines

CONTRACT = Path(__file__).parents[1] / "contract" / "openapi.json"
PATCH = Path(__file__).with_name("openapi_patch.json")
"""A JSON Merge Patch (RFC 7396) for the contract. Its `tags` are added to those of the contract."""

PLACES: Mapping[str, Mapping[str, str | None]] = MappingProxyType(
    {
        "/config": {"/signaling/{streamer_id}/config": None, "/config": "getSpectatorIceServers"},
        "/client/{session_id}": {"/signaling/{streamer_id}/client/{session_id}": None},
        "/whep": {"/broadcast/{stream_id}/whep": None},
        "/whep/{resource}": {"/broadcast/{stream_id}/whep/{resource}": None},
        "/hls/{file}": {"/broadcast/{stream_id}/hls/{file}": None},
    }
)
"""The paths in the mock of each path that the contract describes relative to an address that the service returns.

The value of each path in the mock is its operation id; None is that of the contract. Other paths are equal in both.
"""

PARAMETERS: Mapping[str, str] = MappingProxyType(
    {"streamer_id": "The `streamer_id` of the session.", "stream_id": "The `stream_id` of the broadcast."}
)
"""Descriptions of the parameters that only the paths in the mock have."""


def document(base_url: str) -> Document:
    """Return the OpenAPI document of a mock that clients reach at `base_url`."""
    described = _described()
    sockets = [{"url": base_url.replace("http", "ws", 1), "description": "The WebSockets of this mock."}]
    return {
        **described,
        "servers": [{"url": base_url, "description": "This mock."}],
        "paths": {
            path: {**item, "servers": sockets} if "101" in item.get("get", {}).get("responses", ()) else item
            for path, item in described["paths"].items()
        },
    }


@cache
def _described() -> Document:
    """Return the document without the URLs of a mock."""
    contract, patch = (json.loads(path.read_text("utf-8")) for path in (CONTRACT, PATCH))
    patch["tags"] = [*contract["tags"], *patch["tags"]]
    described: Document = merged(contract, patch)
    described["info"]["version"] = mock_version()
    described["paths"] = {
        place: _item_at(place, item, operation_id, given=path)
        for path, item in described["paths"].items()
        for place, operation_id in PLACES.get(path, {path: None}).items()
    }
    for path, item in described["paths"].items():
        if is_control(path):
            _restrict(path, item)
    schemas = described["components"]["schemas"]
    schemas["AccessTokenRequest"]["properties"]["api_key"]["pattern"] = KEY_PATTERN
    schemas["JournalKind"] = {"enum": [*KINDS]}
    schemas["FaultAction"] = {"enum": sorted({action for point in POINTS.values() for action in point.actions})}
    schemas["SettingChanges"] = {
        "type": "object",
        "properties": {
            "plan": {"description": "Replaces all limits of accounts that the request does not set.", "enum": [*PLANS]},
            **{name: _schema_of(setting) for name, setting in SETTINGS.items() if setting.applies is not None},
        },
        "additionalProperties": False,
    }
    return described


def merged(target: Any, patch: Any) -> Any:  # Any: JSON of any structure
    """Return `target` with a JSON Merge Patch applied (RFC 7396).

    Objects are merged, null removes a field, and any other value replaces the former value.
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _item_at(place: str, item: Document, operation_id: str | None, *, given: str) -> Document:
    """Return the path item of the path `place` in the mock; `given` is its path in the contract, with `item`."""
    added = [
        {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in PARAMETERS.items()
        if f"{{{name}}}" in place and f"{{{name}}}" not in given
    ]
    placed = {name: value for name, value in item.items() if name != "servers"}
    if added:
        placed["parameters"] = [*added, *item.get("parameters", ())]
    if operation_id is not None:
        placed["get"] = {**item["get"], "operationId": operation_id}
    return placed


def _restrict(path: str, item: Document) -> None:
    """Add the responses to requests that the control API refuses to all operations of one of its paths."""
    for operation in (each for name, each in item.items() if name != "parameters"):
        operation["responses"]["403"] = {"$ref": "#/components/responses/ForeignRequest"}
        if "requestBody" in operation:
            operation["responses"]["408"] = {"$ref": "#/components/responses/TooSlow"}
            operation["responses"]["413"] = {"$ref": "#/components/responses/TooLarge"}
        if not is_free(path):
            operation["responses"]["401"] = {"$ref": "#/components/responses/NoControlToken"}
            operation["security"] = [{}, {"controlToken": []}]


def _schema_of(setting: Setting) -> Document:
    """Return a schema for the values of a setting. `description` states the rules that the schema does not have."""
    kinds = [each for each in get_args(setting.type) if each is not NoneType]
    may_be_none = NoneType in get_args(setting.type)
    kind = kinds[0] if may_be_none else setting.type
    schema: Document = {}
    if get_origin(kind) is Literal:
        schema = {"enum": [*get_args(kind)]}
    elif kind is bool:
        schema = {"type": "boolean"}
    elif kind in {int, float}:
        rule = setting.rule
        least = "exclusiveMinimum" if rule.above else "minimum"
        schema = {"type": "integer" if kind is int else "number", least: rule.least, "maximum": rule.most}
    if may_be_none:
        schema = {"anyOf": [schema, {"enum": [None, NO_LIMIT]}]}
    text = f"{setting.description} Expected: {setting.rule.expected}. Applies to: {setting.applies}."
    return {**schema, "description": text, "default": to_data(setting.default)}
