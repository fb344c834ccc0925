"""Judges traffic by the contract in `fixtures/contract/`.

The mock's journal holds both halves of every exchange, so its entries tell whether the client kept to the contract and
whether the mock did. Judged are entries of the kinds `rest`, `signaling` and `channel`:

- What the **server** sent is always judged: status and body of every REST answer, every message.
- What the **client** sent is judged when it was accepted: every message, and a request answered below 400; a refused
  one has had its judge. A test that sends bad traffic on purpose opts its client out with
  `@pytest.mark.off_contract("why")`.
- A route that the contract does not have is the client's deviation, whatever the answer.

Passed over are the mock's own routes (`/_mock/`, `/openapi.json`), which are no part of the contract; requests whose
client did not wait for an answer; exchanges too large for the journal; HEAD, which has no body to judge; and CORS
preflights, as long as they succeed (`protocol.md` section 2).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import unquote

from tests.support.contract.documents import Contract, Fault, resolve

Side = Literal["client", "server"]

OFF_CONTRACT = frozenset({"status", "not_json", "wrong_shape", "truncate"})
"""Faults whose answers are wrong on purpose."""

CHANNELS: Mapping[str, str] = {"client": "clientToStreamer", "server": "streamerToClient"}
"""Which data channel carries what a side says (`protocol.md` section 4)."""

OWN_ROUTES = re.compile(r"/(_mock(/.*)?|openapi\.json)")

ERROR_SCHEMA = "/components/schemas/Error"


class JournalEntry(Protocol):
    """As much of a journal entry as is judged. `data` is JSON whose form depends on `kind`."""

    @property
    def index(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Deviation:
    """One departure from the contract: whose, in which entry and where in it, what was expected and what came."""

    side: Side
    index: int
    where: str
    path: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"#{self.index} {self.side}: {self.where} at {self.path}: expected {self.expected}; got {self.got}"


@dataclass(frozen=True)
class _Route:
    """A path of the OpenAPI document, ready to be matched.

    Below a server that is a bare variable the service hands out the whole address: only its end is known.
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
    """Judges journal entries by the contract."""

    def __init__(self, contract: Contract | None = None) -> None:
        self._contract = contract or Contract.load()
        routes = [_Route.of(template, item) for template, item in self._contract.openapi["paths"].items()]
        self._routes = sorted(routes, key=lambda route: route.is_handed_out)

    def check(self, entry: JournalEntry) -> list[Deviation]:
        """Every deviation of one entry, of both sides; none for entries of other kinds."""
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
        return [
            Deviation(side, entry.index, where, fault.path, fault.expected, fault.got) for side, where, fault in found
        ]

    def check_journal(self, journal: Iterable[JournalEntry], *, client: bool = True) -> None:
        """Judge a whole journal; `client=False` excuses the client.

        Raises:
            AssertionError: it deviates; the text lists every deviation, one a line.
        """
        deviations = [
            deviation for entry in journal for deviation in self.check(entry) if client or deviation.side == "server"
        ]
        if deviations:
            lines = "\n".join(f"  {deviation}" for deviation in deviations)
            raise AssertionError(
                f"off the contract in fixtures/contract, {len(deviations)} times:\n{lines}\n"
                'A test that means to send bad traffic says so: @pytest.mark.off_contract("why"). '
                "It excuses the client, never the server."
            )

    def _rest(self, data: Mapping[str, Any]) -> Iterator[tuple[Side, str, Fault]]:
        method, path, status = data["method"], data["path"], data["status"]
        where = f"{method} {path} -> {status}"
        if OWN_ROUTES.fullmatch(path) or method == "HEAD" or status is None:
            return
        if method == "OPTIONS":
            if not 200 <= status < 300:
                yield "server", where, Fault("$", "a preflight that passes (2xx)", str(status))
            return
        route, fields = self._find(path)
        operation = route.item.get(method.lower()) if route else None
        if route is None or operation is None:
            yield from self._unknown(where, data, route)
            return
        base = f"/paths/{_escape(route.template)}"
        if status < 400:
            yield from (("client", f"{where}, request", fault) for fault in self._request(base, operation, data))
            query = [
                (name, each)
                for name, value in data["query"].items()
                for each in (value if isinstance(value, list) else [value])
            ]
            yield from (
                ("client", f"{where}, parameters", fault)
                for fault in self._parameters(route.item, operation, fields, query)
            )
        if data.get("fault") in OFF_CONTRACT:
            return
        yield from (
            ("server", f"{where}, response", fault)
            for fault in self._response(f"{base}/{method.lower()}", operation, status, data["response"])
        )

    def _find(self, path: str) -> tuple[_Route | None, Mapping[str, str]]:
        for route in self._routes:
            if match := route.pattern.fullmatch(path):
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        return None, {}

    def _unknown(self, where: str, data: Mapping[str, Any], route: _Route | None) -> Iterator[tuple[Side, str, Fault]]:
        methods = sorted(set(route.item) & _METHODS) if route else []
        known = f"one of its methods: {', '.join(methods).upper()}" if methods else "a route of openapi.json"
        yield "client", where, Fault("$", known, f"{data['method']} {data['path']}")
        if data["status"] not in {404, 405}:
            yield "server", where, Fault("$", "status 404 or 405, as the route is unknown", str(data["status"]))
        else:
            schema = ERROR_SCHEMA if route is None else route.item.get("x-errors", ERROR_SCHEMA)
            faults = self._contract.faults("openapi", schema, data["response"])
            yield from (("server", f"{where}, response", fault) for fault in faults)

    def _request(self, base: str, operation: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Fault]:
        body, content = data["request"], operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            pointer = f"{base}/{data['method'].lower()}/requestBody/content/application~1json/schema"
            yield from self._contract.faults("openapi", pointer, body)
        elif not content and body is not None:
            yield Fault("$", "no body", _short(body))

    def _parameters(
        self,
        item: Mapping[str, Any],
        operation: Mapping[str, Any],
        fields: Mapping[str, str],
        query: Sequence[tuple[str, str]],
    ) -> Iterator[Fault]:
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
                for fault in self._contract.faults_of(schema, _coerced(text, schema.get("type"))):
                    yield Fault(f"{place} {name}", fault.expected, fault.got)
            elif name not in tokens:
                names = ", ".join(known for where, known in by_name if where == place) or "none"
                yield Fault(f"{place} {name}", f"a parameter of the route ({names})", _short(text))

    def _response(self, base: str, operation: Mapping[str, Any], status: int, body: object) -> Iterator[Fault]:
        responses = operation["responses"]
        key = next((key for key in (str(status), f"{status // 100}XX") if key in responses), None)
        if key is None:
            yield Fault("$", f"a status of {', '.join(responses)}", f"{status} with {_short(body)}")
            return
        reference = responses[key].get("$ref", "").removeprefix("#")
        content = resolve(self._contract.openapi, responses[key]).get("content", {})
        if "application/json" in content:
            pointer = f"{reference or f'{base}/responses/{key}'}/content/application~1json/schema"
            yield from self._contract.faults("openapi", pointer, body)
        elif not content and not key.endswith("XX") and body is not None:
            yield Fault("$", "no body", _short(body))

    def _channel(self, data: Mapping[str, Any]) -> Iterator[tuple[Side, str, Fault]]:
        side: Side = data["from"]
        if data["channel"] != CHANNELS[side]:
            yield side, "data channel", Fault("$", f"the channel {CHANNELS[side]}", str(data["channel"]))
        yield from self._message("data-channel", data)

    def _message(self, document: str, data: Mapping[str, Any]) -> Iterator[tuple[Side, str, Fault]]:
        side: Side = data["from"]
        message = data["message"]
        where = f"{document} message from the {side}"
        if not isinstance(message, Mapping):
            yield side, where, Fault("$", "a JSON object with a `type`", _short(message))
            return
        known = self._contract.messages(document, side)
        if (kind := message.get("type")) not in known:
            yield side, where, Fault("$.type", f"one of {', '.join(known)}", _short(kind))
            return
        for fault in self._contract.faults(document, f"/$defs/{side}~1{kind}", message):
            yield side, f"{where}, {kind}", fault


_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})

_LITERALS: Mapping[object, re.Pattern[str]] = {
    "integer": re.compile(r"-?(0|[1-9][0-9]*)"),
    "number": re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"),
    "boolean": re.compile(r"true|false"),
}


def _coerced(text: str, kind: object) -> object:
    """A parameter's text as the value its schema speaks of; left as it is, for the schema to refuse, if it is none."""
    literal = _LITERALS.get(kind)
    return json.loads(text) if literal and literal.fullmatch(text) else text


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}..."
