"""The documents of the contract, validation against them, and readable validation errors.

The OpenAPI document's schemas are JSON Schema 2020-12 (its default dialect adds only annotations), so one validator
serves all documents.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012, SchemaRegistry

from odyssey_mock.verification.masking import masked

CONTRACT = Path(__file__).parents[1] / "contract"

FILES: Mapping[str, str] = {
    "openapi": "openapi.json",
    "signaling": "signaling.schema.json",
    "data-channel": "data-channel.schema.json",
    "recording-event": "recording-event.schema.json",
    "trace-event": "trace-event.schema.json",
    "trace-manifest": "trace-manifest.schema.json",
}

URN = "urn:odyssey-testkit:contract:"

FORMATS = FormatChecker(formats=["date-time"])
"""Formats that are validated; by default a format is only an annotation."""


@dataclass(frozen=True)
class Violation:
    """A violation of a schema: its JSON path or parameter, and the expected and received values.

    Attributes:
        path: the JSON path of the value, or the parameter.
        expected: the expected value.
        got: the received value.
        missing: the name of the field that is missing; None if the violation is another one.
        surplus: the names of fields, message types or statuses that the contract does not have.
    """

    path: str
    expected: str
    got: str
    missing: str | None = None
    surplus: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}; got {self.got}"


class Contract:
    """The documents of the contract by name: the names in `FILES`."""

    def __init__(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        self.documents = documents
        self._validator = lru_cache(maxsize=None)(self._make_validator)

    @classmethod
    def load(cls, directory: Path = CONTRACT) -> "Contract":
        """Load the documents from a directory."""
        return cls({name: json.loads((directory / file).read_text("utf-8")) for name, file in FILES.items()})

    @property
    def openapi(self) -> Mapping[str, Any]:
        return self.documents["openapi"]

    def messages(self, document: str, side: str) -> list[str]:
        """Return the message types that a side (`client` or `server`) may send."""
        prefix = f"{side}/"
        return [name.removeprefix(prefix) for name in self.documents[document]["$defs"] if name.startswith(prefix)]

    def violations(self, document: str, pointer: str, value: object) -> Iterator[Violation]:
        """Validate `value` against the schema at the JSON pointer `pointer` of a document; yield the violations."""
        return _violations(self._validator(f"{URN}{document}#{pointer}"), value)

    def violations_of(self, schema: Mapping[str, Any], value: object) -> Iterator[Violation]:
        """Validate `value` against a schema that contains no `$ref`; yield the violations."""
        return _violations(Draft202012Validator(schema, format_checker=FORMATS), value)

    def _make_validator(self, uri: str) -> Draft202012Validator:
        return Draft202012Validator({"$ref": uri}, registry=self._registry, format_checker=FORMATS)

    @cached_property
    def _registry(self) -> SchemaRegistry:
        registry: SchemaRegistry = Registry()
        return registry.with_resources(
            (f"{URN}{name}", DRAFT202012.create_resource(document)) for name, document in self.documents.items()
        ).crawl()


def resolve(document: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow the local `$ref` of a node of `document`; return the target, or the node if it has no `$ref`."""
    while "$ref" in node:
        target: Any = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def _violations(validator: Draft202012Validator, value: object) -> Iterator[Violation]:
    for error in validator.iter_errors(value):
        yield from _told(error)


def _told(error: ValidationError) -> Iterator[Violation]:
    """Describe a validation error as one or more violations.

    If the value matches none of the schemas of an `anyOf` or `oneOf`, but has the JSON type of exactly one of them,
    describe the violations of that schema.
    """
    if not error.context or _chooses_a_field(error):
        yield _violation(error)
        return
    branches: dict[object, list[ValidationError]] = {}
    for each in error.context:
        branches.setdefault(each.relative_schema_path[0], []).append(each)
    meant = [errors for errors in branches.values() if not any(map(_is_of_another_type, errors))]
    if len(meant) == 1:
        for each in meant[0]:
            yield from _told(each)
        return
    choices = dict.fromkeys(told.expected for each in error.context for told in _told(each))
    yield Violation(error.json_path, " or ".join(choices), _short(error))


def _is_of_another_type(error: ValidationError) -> bool:
    return error.validator == "type" and not error.relative_path


def _violation(error: ValidationError) -> Violation:
    keyword, rule = error.validator, error.validator_value
    if _chooses_a_field(error):
        names = [name for branch in rule for name in branch["required"]]
        return Violation(error.json_path, f"exactly one of the fields {_listed(names)}", _fields(error.instance))
    if keyword == "type":
        types = [rule] if isinstance(rule, str) else rule
        return Violation(error.json_path, f"JSON type {' or '.join(types)}", _short(error))
    if keyword == "required":
        missing = error.message.removesuffix(" is a required property").strip("'")
        return Violation(error.json_path, f"a field `{missing}`", _fields(error.instance), missing=missing)
    if keyword == "additionalProperties":
        known = error.schema.get("properties", {})
        surplus = [name for name in error.instance if name not in known]
        expected = f"only the fields {_listed(known)}" if known else "no fields"
        return Violation(error.json_path, expected, f"also {_listed(surplus)}", surplus=tuple(surplus))
    return Violation(
        error.json_path, _EXPECTED.get(keyword, f"`{keyword}` of {{}}").format(_listed(rule)), _short(error)
    )


_EXPECTED: Mapping[str, str] = {
    "const": "{}",
    "enum": "one of {}",
    "pattern": "text that matches {}",
    "format": "text in the format {}",
    "minLength": "text of at least {} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "minimum": "at least {}",
    "maximum": "at most {}",
}


def _chooses_a_field(error: ValidationError) -> bool:
    return error.validator == "oneOf" and all(set(branch) == {"required"} for branch in error.validator_value)


def _fields(instance: Mapping[str, Any]) -> str:
    return f"the fields {_listed(instance)}" if instance else "an empty object"


def _listed(values: Any) -> str:  # Any: the value of any schema keyword
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        return json.dumps(values)
    return ", ".join(map(str, values))


def _short(error: ValidationError) -> str:
    text = json.dumps(masked(error.instance))  # masked first: text that is cut would not show the forms of secrets
    return text if len(text) <= 120 else f"{text[:120]}..."
