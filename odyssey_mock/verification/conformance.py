"""Checks traffic against the contract in `odyssey_mock/contract/`.

The mock's journal records requests, responses and messages. Its entries of the kinds `rest`, `signaling` and `channel`
are checked:

- **server**: the status and body of every REST response, and every message, are always checked.
- **client**: every message is checked, and every request that the mock answered with a status below 400.
  With `@pytest.mark.off_contract("why")`, the client of a test is not checked, so it can send invalid traffic.
- A request to a route that the contract does not have is always a deviation of the client.

Not checked:

- the mock's own routes (`/_mock/`, `/openapi.json`), which are not part of the contract;
- requests whose client did not wait for the response;
- exchanges too large for the journal;
- HEAD requests, whose responses have no body;
- CORS preflights that succeed (`protocol.md` section 2).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast
from urllib.parse import unquote

from odyssey_client.models import JSON
from odyssey_mock.verification.contract_documents import Contract, Violation, resolve
from odyssey_mock.verification.masking import masked

Side = Literal["client", "server"]

OFF_CONTRACT = frozenset({"status", "not_json", "wrong_shape", "truncate"})
"""Faults whose responses break the contract on purpose."""

CHANNELS: Mapping[str, str] = {"client": "clientToStreamer", "server": "streamerToClient"}
"""Data channel on which each side sends (`protocol.md` section 4)."""

OWN_ROUTES = re.compile(r"/(_mock(/.*)?|openapi\.json)")

ERROR_SCHEMA = "/components/schemas/Error"


class JournalEntry(Protocol):
    """Protocol of a journal entry, with the properties that the checks read. The fields of `data` depend on `kind`."""

    @property
    def index(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


type _Found = tuple[Side, str, Violation]
"""Who deviates, in which request or message, and how."""


@dataclass(frozen=True)
class Deviation:
    """One deviation of client or server from the contract, with the expected and the received value.

    Attributes:
        side: which of them deviates.
        index: the index of the entry.
        where: the request or message.
        violation: the place in it, and what was expected and received there.
    """

    side: Side
    index: int
    where: str
    violation: Violation

    def __str__(self) -> str:
        return f"#{self.index} {self.side}: {self.where} at {self.violation}"


@dataclass(frozen=True)
class _Route:
    """A path of the OpenAPI document, and the regular expression that matches it.

    `is_handed_out`: whether the OpenAPI document has a variable as the server URL of this path. Then the service sends
    clients the full URL, and the document contains only the end of the path.
    """

    template: str
    pattern: re.Pattern[str]
    item: Mapping[str, Any]
    is_handed_out: bool

    @classmethod
    def of(cls, template: str, item: Mapping[str, Any]) -> "_Route":
        is_handed_out = any(re.fullmatch(r"\{\w+\}", server["url"]) for server in item.get("servers", ()))
        path = "".join(
            f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part)
            for part in re.split(r"(\{\w+\})", template)
        )
        return cls(template, re.compile((".*" if is_handed_out else "") + path), item, is_handed_out)


class Conformance:
    """Checks journal entries against the contract."""

    def __init__(self, contract: Contract | None = None) -> None:
        self._contract = contract or Contract.load()
        routes = [_Route.of(template, item) for template, item in self._contract.openapi["paths"].items()]
        self._routes = sorted(routes, key=lambda route: route.is_handed_out)

    def check(self, entry: JournalEntry) -> list[Deviation]:
        """Return the deviations of client and server in one entry. Entries of unchecked kinds have none."""
        if "omitted" in entry.data:
            return []
        match entry.kind:
            case "rest":
                found = self._rest(entry.data)
            case "signaling":
                found = self._message("signaling", entry.data)
            case "channel":
                found = self._channel(entry.data)
            case _:
                return []
        return [Deviation(side, entry.index, where, violation) for side, where, violation in found]

    def check_journal(self, journal: Iterable[JournalEntry], *, client: bool = True) -> None:
        """Check a whole journal; with `client=False`, check only the server.

        Raises:
            AssertionError: if the journal deviates from the contract. The message lists one deviation per line.
        """
        deviations = [
            deviation for entry in journal for deviation in self.check(entry) if client or deviation.side == "server"
        ]
        if deviations:
            lines = "\n".join(f"  {deviation}" for deviation in deviations)
            raise AssertionError(
                f"deviations from the contract in odyssey_mock/contract ({len(deviations)}):\n{lines}\n"
                'If the test sends invalid traffic on purpose, mark it with @pytest.mark.off_contract("why"). '
                "With the mark, only the server is checked."
            )

    def _rest(self, data: Mapping[str, Any]) -> Iterator[_Found]:
        method, path, status = data["method"], data["path"], data["status"]
        where = f"{method} {path} -> {status}"
        if OWN_ROUTES.fullmatch(path) or method == "HEAD" or status is None:
            return
        if method == "OPTIONS":
            if not 200 <= status < 300:
                yield "server", where, Violation("$", "a preflight that passes (2xx)", str(status))
            return
        route, fields = self._find(path)
        operation = route.item.get(method.lower()) if route else None
        if route is None or operation is None:
            yield from self._unknown(where, data, route)
            return
        base = f"/paths/{_escape(route.template)}"
        if status < 400:
            yield from (("client", f"{where}, request", each) for each in self._request(base, operation, data))
            query = [
                (name, each)
                for name, value in data["query"].items()
                for each in (value if isinstance(value, list) else [value])
            ]
            yield from (
                ("client", f"{where}, parameters", violation)
                for violation in self._parameters(route.item, operation, fields, query)
            )
        if data.get("fault") in OFF_CONTRACT:
            return
        yield from (
            ("server", f"{where}, response", violation)
            for violation in self._response(f"{base}/{method.lower()}", operation, status, data["response"])
        )

    def _find(self, path: str) -> tuple[_Route | None, Mapping[str, str]]:
        for route in self._routes:
            if match := route.pattern.fullmatch(path):
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        return None, {}

    def _unknown(self, where: str, data: Mapping[str, Any], route: _Route | None) -> Iterator[_Found]:
        methods = sorted(set(route.item) & _METHODS) if route else []
        known = f"one of its methods: {', '.join(methods).upper()}" if methods else "a route of openapi.json"
        yield "client", where, Violation("$", known, f"{data['method']} {data['path']}")
        if data["status"] not in {404, 405}:
            yield "server", where, Violation("$", "status 404 or 405, as the route is unknown", str(data["status"]))
        else:
            schema = ERROR_SCHEMA if route is None else route.item.get("x-errors", ERROR_SCHEMA)
            violations = self._contract.violations("openapi", schema, data["response"])
            yield from (("server", f"{where}, response", violation) for violation in violations)

    def _request(self, base: str, operation: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Violation]:
        body, content = data["request"], operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            pointer = f"{base}/{data['method'].lower()}/requestBody/content/application~1json/schema"
            yield from self._contract.violations("openapi", pointer, body)
        elif not content and body is not None:
            yield Violation("$", "no body", _short(body))

    def _parameters(
        self,
        item: Mapping[str, Any],
        operation: Mapping[str, Any],
        fields: Mapping[str, str],
        query: Sequence[tuple[str, str]],
    ) -> Iterator[Violation]:
        openapi = self._contract.openapi
        declared = [
            resolve(openapi, parameter) for parameter in (*item.get("parameters", ()), *operation.get("parameters", ()))
        ]
        by_name = {(parameter["in"], parameter["name"]): parameter for parameter in declared}
        tokens = {
            scheme["name"]
            for requirement in operation.get("security", openapi["security"])
            for name in requirement
            if (scheme := openapi["components"]["securitySchemes"][name])["type"] == "apiKey"
        }
        got = [("path", name, value) for name, value in fields.items()] + [("query", *pair) for pair in query]
        for place, name, text in got:
            if parameter := by_name.get((place, name)):
                schema = resolve(openapi, parameter["schema"])
                for violation in self._contract.violations_of(schema, _coerced(text, schema.get("type"))):
                    yield Violation(f"{place} {name}", violation.expected, violation.got)
            elif name not in tokens:
                names = ", ".join(known for where, known in by_name if where == place) or "none"
                yield Violation(f"{place} {name}", f"a parameter of the route ({names})", _short(text))

    def _response(self, base: str, operation: Mapping[str, Any], status: int, body: object) -> Iterator[Violation]:
        responses = operation["responses"]
        key = next((key for key in (str(status), f"{status // 100}XX") if key in responses), None)
        if key is None:
            expected = f"a status of {', '.join(responses)}"
            yield Violation("$", expected, f"{status} with {_short(body)}", surplus=(str(status),))
            return
        reference = responses[key].get("$ref", "").removeprefix("#")
        content = resolve(self._contract.openapi, responses[key]).get("content", {})
        if "application/json" in content:
            pointer = f"{reference or f'{base}/responses/{key}'}/content/application~1json/schema"
            yield from self._contract.violations("openapi", pointer, body)
        elif not content and not key.endswith("XX") and body is not None:
            yield Violation("$", "no body", _short(body))

    def _channel(self, data: Mapping[str, Any]) -> Iterator[_Found]:
        side: Side = data["from"]
        if data["channel"] != CHANNELS[side]:
            yield side, "data channel", Violation("$", f"the channel {CHANNELS[side]}", str(data["channel"]))
        yield from self._message("data-channel", data)

    def _message(self, document: str, data: Mapping[str, Any]) -> Iterator[_Found]:
        side: Side = data["from"]
        message = data["message"]
        where = f"{document} message from the {side}"
        if not isinstance(message, Mapping):
            yield side, where, Violation("$", "a JSON object with a `type`", _short(message))
            return
        known = self._contract.messages(document, side)
        if (kind := message.get("type")) not in known:
            yield side, where, Violation("$.type", f"one of {', '.join(known)}", _short(kind), surplus=(str(kind),))
            return
        for violation in self._contract.violations(document, f"/$defs/{side}~1{kind}", message):
            yield side, f"{where}, {kind}", violation


_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})

_LITERALS: Mapping[object, re.Pattern[str]] = {
    "integer": re.compile(r"-?(0|[1-9][0-9]*)"),
    "number": re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"),
    "boolean": re.compile(r"true|false"),
}


def _coerced(text: str, kind: object) -> object:
    """Convert a parameter's text to the type of its schema. If it cannot be converted, return it unchanged."""
    literal = _LITERALS.get(kind)
    return json.loads(text) if literal and literal.fullmatch(text) else text


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _short(value: object) -> str:
    text = repr(masked(cast("JSON", value)))  # masked first: text that is cut would not show the forms of secrets
    return text if len(text) <= 120 else f"{text[:120]}..."
