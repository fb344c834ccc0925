"""Mocks that differ from the protocol in one matter, for tests of `odyssey-mock verify`."""

import json
from collections.abc import Callable, MutableMapping
from typing import Any, override

import pytest
from starlette.types import Message, Receive, Scope, Send

from odyssey_mock import server
from odyssey_mock.http.app import Application

type Change = Callable[[Scope, Message], Message]
"""Returns a message of the application to the server, changed."""


def alter(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Let every mock that is started from now on pass each message of its application through `change`."""

    class Altered(Application):
        @override
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await super().__call__(scope, receive, lambda message: send(change(scope, message)))
                return
            response = _Response(send, lambda message: change(scope, message))
            await super().__call__(scope, receive, response.take)

    monkeypatch.setattr(server, "Application", Altered)


class _Response:
    """A response that is changed as a whole: one message with head and body, which is then sent as two."""

    def __init__(self, send: Send, change: Callable[[Message], Message]) -> None:
        self._send = send
        self._change = change
        self._head: Message = {}
        self._body = bytearray()

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head = message
            return
        self._body += message.get("body", b"")
        if not message.get("more_body"):
            whole = self._change({**self._head, "body": bytes(self._body)})
            body: bytes = whole.pop("body")
            headers = [pair for pair in whole["headers"] if pair[0].lower() != b"content-length"]
            if whole["status"] not in {204, 304}:
                headers.append((b"content-length", str(len(body)).encode()))
            await self._send({**whole, "headers": headers})
            await self._send({"type": "http.response.body", "body": body})


def json_body(path: str, change: Callable[[Any], Any]) -> Change:
    """Change the JSON of successful responses to requests of a path. Any: JSON of any structure."""

    def changed(scope: Scope, message: Message) -> Message:
        if scope["type"] == "http" and scope["path"] == path and message.get("status") == 200:
            return {**message, "body": json.dumps(change(json.loads(message["body"]))).encode()}
        return message

    return changed


def renamed(old: str, new: str) -> Callable[[MutableMapping[str, Any]], MutableMapping[str, Any]]:
    """Return a function that renames a field of an object."""
    return lambda value: {new if name == old else name: item for name, item in value.items()}
