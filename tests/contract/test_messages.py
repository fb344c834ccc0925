"""Tests that the schemas of signaling and data-channel messages accept valid messages and reject invalid ones."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_mock.verification.contract_documents import Contract, resolve

DOCUMENTS = Contract.load()
MESSAGES = [
    (document, f"{side}/{kind}")
    for document in ("signaling", "data-channel")
    for side in ("client", "server")
    for kind in DOCUMENTS.messages(document, side)
]


def message_schema(document: str, name: str, *, keep_examples: bool = False) -> Mapping[str, Any]:
    """Return the schema of a message. If the schema is a `$ref` to another document, return the target of the `$ref`.

    With `keep_examples`, return the schema that contains the `$ref`, because only this schema has the examples.
    """
    schema: Mapping[str, Any] = DOCUMENTS.documents[document]["$defs"][name]
    if "$ref" in schema and not keep_examples:
        borrowed, _, pointer = schema["$ref"].removeprefix("urn:odyssey-testkit:contract:").partition("#")
        schema = resolve(DOCUMENTS.documents[borrowed], {"$ref": f"#{pointer}"})
    return schema


def property_schemas(document: str, name: str) -> dict[str, Mapping[str, Any]]:
    properties = message_schema(document, name)["properties"]
    return {field: resolve(DOCUMENTS.documents[document], each) for field, each in properties.items()}


def faults(document: str, name: str, message: object) -> list[str]:
    found = DOCUMENTS.violations(document, f"/$defs/{name.replace('/', '~1')}", message)
    return [f"{fault.path}: {fault.expected}; {fault.got}" for fault in found]


BY_TYPE: Mapping[str, st.SearchStrategy[Any]] = {
    "string": st.text(),
    "integer": st.integers(min_value=0),
    "number": st.just(0.5),
    "boolean": st.booleans(),
    "null": st.none(),
    "object": st.dictionaries(st.text(), st.none()),
    "array": st.lists(st.none()),
}


def types_of(schema: Mapping[str, Any]) -> set[str]:
    if "const" in schema:
        return set()
    return {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])


def good_value(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "const" in schema:
        return st.just(schema["const"])
    strings = st.from_regex(schema["pattern"]) if "pattern" in schema else st.text(min_size=schema.get("minLength", 0))
    return st.one_of([strings if each == "string" else BY_TYPE[each] for each in sorted(types_of(schema))])


@st.composite
def good_messages(draw: st.DrawFn, document: str, name: str) -> dict[str, Any]:
    required = set(message_schema(document, name)["required"])
    schemas = property_schemas(document, name).items()
    return {field: draw(good_value(each)) for field, each in schemas if field in required or draw(st.booleans())}


@st.composite
def bad_messages(draw: st.DrawFn, document: str, name: str) -> dict[str, Any]:
    """Draw a message with one error: a missing field, an unknown field, or a field of the wrong type."""
    message = draw(good_messages(document, name))
    schemas = property_schemas(document, name)
    match draw(st.sampled_from(["missing", "surplus", "type"])):
        case "missing":
            del message[draw(st.sampled_from(message_schema(document, name)["required"]))]
        case "surplus":
            message[draw(st.text().filter(lambda field: field not in schemas))] = draw(st.none() | st.text())
        case _:
            field = draw(st.sampled_from(sorted(message)))
            others = sorted(set(BY_TYPE) - types_of(schemas[field]))
            message[field] = draw(
                st.one_of([BY_TYPE[each] for each in others]).filter(lambda value: value != schemas[field].get("const"))
            )
    return message


@pytest.mark.parametrize(("document", "name"), MESSAGES)
def test_every_message_has_valid_examples(document: str, name: str) -> None:
    side = name.partition("/")[0]
    examples = message_schema(document, name, keep_examples=True)["examples"]
    assert examples
    for example in examples:
        assert faults(document, name, example) == []
        assert list(DOCUMENTS.violations(document, f"/$defs/{side}", example)) == []


@pytest.mark.parametrize(
    ("document", "side"),
    [(document, side) for document in ("signaling", "data-channel") for side in ("client", "server")],
)
def test_each_direction_lists_all_its_messages(document: str, side: str) -> None:
    listed = [entry["$ref"].rpartition("~1")[2] for entry in DOCUMENTS.documents[document]["$defs"][side]["oneOf"]]
    assert listed == DOCUMENTS.messages(document, side)


@pytest.mark.parametrize("event", DOCUMENTS.documents["recording-event"]["examples"])
def test_recording_event_examples_are_valid(event: Mapping[str, Any]) -> None:
    assert list(DOCUMENTS.violations("recording-event", "", event)) == []


@pytest.mark.parametrize(
    "event",
    [
        {"timestamp_ms": 0, "type": "start"},
        {"timestamp_ms": -1, "type": "end"},
        {"timestamp_ms": 0.5, "type": "end"},
        {"timestamp_ms": 0, "type": "pause"},
        {"type": "end"},
    ],
)
def test_invalid_recording_events_are_rejected(event: Mapping[str, Any]) -> None:
    assert list(DOCUMENTS.violations("recording-event", "", event))


@settings(max_examples=30)
@given(st.data())
@pytest.mark.parametrize(("document", "name"), MESSAGES)
def test_valid_messages_are_accepted(document: str, name: str, data: st.DataObject) -> None:
    assert faults(document, name, data.draw(good_messages(document, name))) == []


@settings(max_examples=30)
@given(st.data())
@pytest.mark.parametrize(("document", "name"), MESSAGES)
def test_message_with_one_error_is_rejected(document: str, name: str, data: st.DataObject) -> None:
    assert faults(document, name, data.draw(bad_messages(document, name)))


@pytest.mark.parametrize(("document", "name"), MESSAGES)
def test_each_message_matches_only_its_own_schema(document: str, name: str) -> None:
    side = name.partition("/")[0]
    for example in message_schema(document, name, keep_examples=True)["examples"]:
        accepted = [
            kind for kind in DOCUMENTS.messages(document, side) if not faults(document, f"{side}/{kind}", example)
        ]
        assert accepted == [name.partition("/")[2]]
