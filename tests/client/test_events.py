"""Tests of event handlers and event readers: arguments, order, and handlers that raise."""

import asyncio
import functools
from collections.abc import Callable

import pytest

from odyssey_client import (
    BroadcastInfo,
    BroadcastReady,
    Connected,
    ConnectionStatus,
    Disconnected,
    ErrorOccurred,
    Event,
    InteractAcknowledged,
    MediaStream,
    OdysseyError,
    OdysseyEventHandlers,
    StatusChanged,
    StreamEnded,
    StreamFailed,
    StreamStarted,
)
from odyssey_client.errors import OdysseyConfigError
from odyssey_client.events import EVENT_BUFFER, EVENTS, Dispatcher, EventBus, Handler

STREAM = MediaStream()
INFO = BroadcastInfo("http://whep", "token", None)
FAILURE = OdysseyError("broken")
OFFERED: list[tuple[Event, str, tuple[object, ...]]] = [
    (StatusChanged(ConnectionStatus.CONNECTED, "up"), "on_status_change", (ConnectionStatus.CONNECTED, "up")),
    (Connected(STREAM), "on_connected", (STREAM,)),
    (Disconnected(), "on_disconnected", ()),
    (StreamStarted("id", "a castle"), "on_stream_started", ("id", "a castle")),
    (StreamEnded(), "on_stream_ended", ()),
    (InteractAcknowledged("night"), "on_interact_acknowledged", ("night",)),
    (BroadcastReady(INFO), "on_broadcast_ready", (INFO,)),
    (StreamFailed("moderation", "no"), "on_stream_error", ("moderation", "no")),
    (ErrorOccurred(FAILURE, fatal=True), "on_error", (FAILURE, True)),
]


async def dispatch(handlers: OdysseyEventHandlers, *events: Event) -> None:
    dispatcher = Dispatcher(handlers)
    for event in events:
        dispatcher.put(event)
    dispatcher.close()
    await dispatcher.run()


@pytest.mark.parametrize(("event", "name", "arguments"), OFFERED, ids=[name for _, name, _ in OFFERED])
async def test_event_calls_its_handler_with_its_arguments(
    event: Event, name: str, arguments: tuple[object, ...]
) -> None:
    seen: list[tuple[object, ...]] = []
    await dispatch(OdysseyEventHandlers(**{name: lambda *given: seen.append(given)}), event)
    assert seen == [arguments]


def test_table_of_handlers_covers_every_event() -> None:
    assert {type(event) for event, _, _ in OFFERED} == set(EVENTS)


class Listener:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def method(self, prompt: str) -> None:
        self.seen.append(prompt)

    def __call__(self) -> None:
        self.seen.append("called")


LISTENER = Listener()


def nothing(seen: list[object]) -> None:
    seen.append("none")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda seen: lambda: seen.append("none"), "none"),
        (lambda seen: lambda stream_id: seen.append([stream_id]), ["id"]),
        (lambda seen: lambda stream_id, prompt: seen.append((stream_id, prompt)), ("id", "p")),
        (lambda seen: lambda stream_id, *, other=1: seen.append((stream_id, other)), ("id", 1)),
        (lambda seen: functools.partial(nothing, seen), "none"),
        (lambda seen: seen.append, "id"),
    ],
)
async def test_handler_may_take_fewer_arguments_than_event(
    make: Callable[[list[object]], Handler], expected: object
) -> None:
    seen: list[object] = []
    await dispatch(OdysseyEventHandlers(on_stream_started=make(seen)), StreamStarted("id", "p"))
    assert seen == [expected]


async def test_builtin_without_a_signature_gets_all_arguments(caplog: pytest.LogCaptureFixture) -> None:
    # `inspect.signature` finds no signature of `min`, which fails without arguments.
    await dispatch(OdysseyEventHandlers(on_stream_error=min), StreamFailed("moderation", "no"))
    assert caplog.text == ""


async def test_methods_and_callable_objects_can_be_handlers() -> None:
    listener = Listener()
    handlers = OdysseyEventHandlers(on_interact_acknowledged=listener.method, on_stream_ended=listener)
    await dispatch(handlers, InteractAcknowledged("night"), StreamEnded())
    assert listener.seen == ["night", "called"]


async def test_handlers_run_in_order_one_by_one() -> None:
    seen: list[str] = []
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(stream_id: str) -> None:
        seen.append(f"begin {stream_id}")
        begun.set()
        await go.wait()
        seen.append(f"end {stream_id}")

    handlers = OdysseyEventHandlers(on_stream_started=slow, on_stream_ended=lambda: seen.append("ended"))
    async with asyncio.TaskGroup() as group:
        group.create_task(dispatch(handlers, StreamStarted("1", ""), StreamEnded()))
        await begun.wait()
        assert seen == ["begin 1"]
        go.set()
    assert seen == ["begin 1", "end 1", "ended"]


async def test_exception_of_handler_is_passed_to_on_error(caplog: pytest.LogCaptureFixture) -> None:
    mistake = ZeroDivisionError("mine")
    seen: list[object] = []

    async def broken() -> None:
        raise mistake

    handlers = OdysseyEventHandlers(
        on_disconnected=broken, on_error=lambda *given: seen.append(given), on_stream_ended=lambda: seen.append("on")
    )
    await dispatch(handlers, Disconnected(), StreamEnded())
    assert seen == [(mistake, False), "on"]
    assert "on_disconnected raised" in caplog.text


async def test_exception_of_on_error_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[object] = []

    def broken(error: Exception) -> None:
        calls.append(error)
        raise ZeroDivisionError

    await dispatch(OdysseyEventHandlers(on_error=broken), ErrorOccurred(FAILURE, fatal=False))
    assert calls == [FAILURE]
    assert "on_error raised" in caplog.text


def test_keywords_override_handlers_object() -> None:
    first, second = (lambda: None), (lambda: None)
    handlers = OdysseyEventHandlers.of(
        OdysseyEventHandlers(on_stream_ended=first, on_disconnected=first), {"on_stream_ended": second}
    )
    assert (handlers.on_stream_ended, handlers.on_disconnected) == (second, first)


@pytest.mark.parametrize(
    ("handlers", "keywords", "message"),
    [
        (None, {"on_conected": print}, "unknown handler on_conected; the handlers are on_connected,"),
        (None, {"on_error": "print"}, "on_error must be a function or None, got str"),
        ({"on_error": print}, {}, "must be OdysseyEventHandlers or None, got dict"),
    ],
)
def test_invalid_handler_is_rejected(
    handlers: OdysseyEventHandlers | None, keywords: dict[str, Handler], message: str
) -> None:
    with pytest.raises(OdysseyConfigError, match=message):
        OdysseyEventHandlers.of(handlers, keywords)


async def test_reader_gets_events_from_creation_to_end() -> None:
    bus = EventBus(lambda _: None)
    bus.put(Disconnected())
    reader = bus.reader()
    bus.put(StreamEnded())
    bus.end()
    assert [event async for event in reader] == [StreamEnded()]


async def test_slow_reader_drops_and_counts_oldest_events() -> None:
    bus = EventBus(lambda _: None)
    reader = bus.reader()
    for number in range(1003):
        bus.put(InteractAcknowledged(str(number)))
    bus.end()
    events = [event async for event in reader]
    assert len(events) == 1000
    assert events[0] == InteractAcknowledged("3")
    assert reader.dropped == 3


async def test_slow_handler_drops_oldest_messages_and_keeps_changes(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[tuple[object, ...]] = []
    dispatcher = Dispatcher(
        OdysseyEventHandlers(
            on_disconnected=lambda: seen.append(("disconnected",)),
            on_interact_acknowledged=lambda *given: seen.append(given),
        )
    )
    dispatcher.put(Disconnected())
    for number in range(5000):
        dispatcher.put(InteractAcknowledged(str(number)))
    dispatcher.close()
    await dispatcher.run()
    assert seen == [("disconnected",), *((str(number),) for number in range(5000 - EVENT_BUFFER + 1, 5000))]
    assert dispatcher.dropped == 5001 - EVENT_BUFFER
    assert caplog.messages == ["more than 1000 events wait for a handler that is still running; dropping some"]


async def test_changes_of_the_connection_are_limited_too() -> None:
    seen: list[object] = []
    dispatcher = Dispatcher(OdysseyEventHandlers(on_error=lambda error, fatal: seen.append((error, fatal))))
    errors = [OdysseyError(str(number)) for number in range(EVENT_BUFFER + 2)]
    for error in errors:
        dispatcher.put(ErrorOccurred(error, fatal=True))
    dispatcher.close()
    await dispatcher.run()
    assert seen == [(error, True) for error in errors[2:]]
