"""Tests of exports as HTTP archives. tests/contract/browser checks them with the schema of HAR."""

import json
from typing import Any

from odyssey_client.trace import TraceEvent
from odyssey_mock.trace.har import http_archive
from tests.support.traces import SDP, SESSION, call, event, exchange, failed_trace, message, trace_of


def entries(*events: TraceEvent) -> list[dict[str, Any]]:
    archive: Any = http_archive(trace_of(list(events)))
    found: list[dict[str, Any]] = archive["log"]["entries"]
    return found


def test_exchange_is_an_entry() -> None:
    (entry,) = entries(exchange(0.12, "POST /sessions/token", 0.15, 201, session=SESSION))
    assert entry == {
        "startedDateTime": "2026-02-02T02:40:00.120Z",
        "time": 30.0,
        "request": {
            "method": "POST",
            "url": "https://api.example.com/sessions/token?page=2",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [{"name": "Content-Type", "value": "application/json"}],
            "queryString": [{"name": "page", "value": "2"}],
            "headersSize": -1,
            "bodySize": 12,
            "postData": {"mimeType": "application/json", "text": '{"name": "a"}'},
        },
        "response": {
            "status": 201,
            "statusText": "Created",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [{"name": "Content-Type", "value": "application/json"}],
            "content": {"size": 9, "mimeType": "application/json", "text": '{"id": 7}'},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": 9,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 30.0, "receive": 0},
        "_session": SESSION,
        "_actor": "client 1",
    }


def test_pending_and_failed_exchanges_have_status_zero() -> None:
    pending, failed = entries(
        exchange(1, "GET /x", None, None), exchange(2, "GET /y", 3, None, error="ConnectError: refused")
    )
    assert (pending["response"]["status"], pending["_error"]) == (0, "pending when the recording ended")
    assert (failed["response"]["status"], failed["_error"]) == (0, "ConnectError: refused")


def test_exchange_of_both_sides_is_one_entry() -> None:
    (entry,) = entries(
        exchange(1, "GET /x", 2, 200), event(1.5, "http", "GET /x", "server", data={"url": "/x", "status": 200})
    )
    assert entry["_actor"] == "client 1"


def test_exchange_of_the_server_has_an_absolute_url() -> None:
    data = {"method": "GET", "url": "/x", "query": {"page": "2"}, "status": 404, "response": {"body": {"detail": "é"}}}
    (entry,) = entries(event(1, "http", "GET /x", "server", data=data))
    assert entry["request"]["url"] == "https://odyssey.invalid/x"
    assert entry["request"]["queryString"] == [{"name": "page", "value": "2"}]
    assert entry["response"]["content"] == {"size": 16, "mimeType": "application/json", "text": '{"detail": "é"}'}


def test_redirect_and_unknown_status_are_kept() -> None:
    data = {"status": 799, "response": {"headers": [["Location", "/y"], ["broken"]], "body": "text"}}
    (entry,) = entries(event(1, "http", "GET /x", is_span=True, end=2, data=data))
    assert (entry["response"]["statusText"], entry["response"]["redirectURL"]) == ("", "/y")
    assert entry["response"]["headers"] == [{"name": "Location", "value": "/y"}]


def test_signaling_is_a_web_socket_entry() -> None:
    (entry,) = entries(
        event(0.1, "signaling", "opening", session=SESSION, sender="client", data={"url": "wss://api.example.com/ws"}),
        message(0.2, "signaling", "join", "client", "client"),
        message(0.3, "signaling", "join", "client", "server"),
        message(0.4, "sdp", "offer", "server", "client", sdp=SDP),
        event(0.5, "signaling", "close", session=SESSION, data={"code": 1000}),
        call(0.6, "disconnect", 0.7),
    )
    assert entry["request"]["url"] == "wss://api.example.com/ws"
    assert (entry["time"], entry["response"]["status"], entry["_resourceType"]) == (400.0, 101, "websocket")
    sent, received = entry["_webSocketMessages"]
    assert sent == {"type": "send", "time": 1_770_000_000.2, "opcode": 1, "data": '{"type": "join"}'}
    assert (received["type"], json.loads(received["data"])) == ("receive", {"type": "offer", "sdp": SDP})


def test_signaling_of_the_server_alone_is_an_entry() -> None:
    offer = event(0.3, "sdp", "offer", "server", sender="server", session=SESSION, data={"type": "offer", "sdp": SDP})
    (entry,) = entries(message(0.2, "signaling", "join", "client", "server"), offer)
    assert entry["request"]["url"] == "wss://odyssey.invalid/"
    assert [each["type"] for each in entry["_webSocketMessages"]] == ["send", "receive"]
    assert json.loads(entry["_webSocketMessages"][1]["data"]) == {"type": "offer", "sdp": SDP}


def test_archive_names_creator_and_test() -> None:
    archive: Any = http_archive(failed_trace())
    log = archive["log"]
    assert (log["version"], log["creator"]) == ("1.2", {"name": "odyssey-testkit", "version": "0.1.0"})
    assert log["comment"] == "tests/test_cat.py::test_cat"
    assert [each["request"]["url"].partition("?")[0] for each in log["entries"]] == [
        "https://api.example.com/sessions/token",
        "wss://odyssey.invalid/",
        "https://api.example.com/broadcast/x",
    ]
