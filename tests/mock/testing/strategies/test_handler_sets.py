"""Tests of the strategy for event handlers: the client calls each handler correctly and reports its errors."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client import OdysseyEventHandlers
from odyssey_client.events import EVENTS, Dispatcher
from odyssey_mock.testing.strategies import OFFERED, HandlerCall, HandlerFailedError, HandlerSet, handler_sets
from odyssey_mock.testing.strategies.handlers import FORMS
from tests.support.drawing import FEW, any_of, drawn, smallest

VALUES = ("first", "second")


def an_event(kind: Any) -> Any:  # Any: an event, with a string in each field
    return kind(*VALUES[: len(fields(kind))])


async def everything_happened(handlers: OdysseyEventHandlers) -> None:
    """Call the handlers as the client does: once for each kind of event, and once for a video frame."""
    dispatcher = Dispatcher(handlers)
    for kind in EVENTS:
        dispatcher.put(an_event(kind))
    dispatcher.close()
    await dispatcher.run()
    await dispatcher._call("on_video_frame", ("frame",))


def expected_calls(drawn_set: HandlerSet) -> list[HandlerCall]:
    calls = []
    for kind, (name, arguments) in EVENTS.items():
        shape = drawn_set.shapes.get(name)
        if shape is not None:
            calls.append(HandlerCall(name, shape.taken(arguments(an_event(kind)))))
    if "on_video_frame" in drawn_set.shapes:
        calls.append(HandlerCall("on_video_frame", drawn_set.shapes["on_video_frame"].taken(("frame",))))
    return calls


@FEW
@given(handler_sets())
def test_client_passes_accepted_arguments_to_each_handler(drawn_set: HandlerSet) -> None:
    asyncio.run(everything_happened(drawn_set.handlers))
    assert drawn_set.calls == expected_calls(drawn_set)


@FEW
@given(handler_sets(raising=True))
def test_raising_handlers_are_recorded_and_reported(drawn_set: HandlerSet) -> None:
    asyncio.run(everything_happened(OdysseyEventHandlers.of(None, drawn_set.keywords)))
    # An error of a handler goes to `on_error`; an error of `on_error` itself does not.
    raised = [
        name
        for _, (name, _) in EVENTS.items()
        if name != "on_error" and name in drawn_set.shapes and drawn_set.shapes[name].raises
    ]
    for name in drawn_set.shapes:
        assert len(drawn_set.called(name)) == 1 + (len(raised) if name == "on_error" else 0)
    if drawn_set.shapes.get("on_error") and drawn_set.shapes["on_error"].takes == 2:
        reported = [error for error, fatal in drawn_set.called("on_error") if isinstance(error, HandlerFailedError)]
        assert [str(error) for error in reported] == [f"error raised by the drawn handler {name}" for name in raised]


def test_table_of_handlers_lists_all_client_handlers() -> None:
    assert set(OFFERED) == {handler.name for handler in fields(OdysseyEventHandlers)}
    for kind, (name, arguments) in EVENTS.items():
        assert OFFERED[name] == len(arguments(an_event(kind)))


@FEW
@given(handler_sets())
def test_handlers_do_not_raise_by_default(drawn_set: HandlerSet) -> None:
    assert not any(shape.raises for shape in drawn_set.shapes.values())


def test_every_form_and_argument_count_is_drawn() -> None:
    for name, offered in OFFERED.items():
        shapes = [each.shapes[name] for each in drawn(handler_sets(names=[name], required=[name], raising=True), 100)]
        assert {shape.form for shape in shapes} == set(FORMS)
        assert {shape.takes for shape in shapes} == {*range(offered + 1), None}
        assert {shape.raises for shape in shapes} == {True, False}


@pytest.mark.parametrize("form", FORMS)
def test_handler_has_form_of_its_shape(form: str) -> None:
    example = any_of(
        handler_sets(required=["on_error"]),
        lambda each: each.shapes["on_error"].form == form and each.shapes["on_error"].takes == 1,
    )
    handler = example.keywords["on_error"]
    assert len(inspect.signature(handler).parameters) == 1
    assert inspect.iscoroutinefunction(handler) == (form == "coroutine function")
    assert inspect.ismethod(handler) == (form == "method")
    with pytest.raises(TypeError):
        asyncio.run(awaited(handler, ValueError(), True))


async def awaited(handler: Callable[..., Any], *arguments: object) -> None:
    result = handler(*arguments)
    if inspect.isawaitable(result):
        await result


@FEW
@given(st.data())
def test_set_has_required_and_only_allowed_handlers(data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(OFFERED))))
    required = data.draw(st.sets(st.sampled_from(sorted(names)))) if names else set()
    drawn_set = data.draw(handler_sets(names=names, required=required))
    assert required <= set(drawn_set.shapes) <= names
    assert {name for name in OFFERED if getattr(drawn_set.handlers, name) is not None} == set(drawn_set.shapes)


def test_full_and_empty_sets_are_drawn() -> None:
    any_of(handler_sets(), lambda each: len(each.shapes) == len(OFFERED))
    assert smallest(handler_sets()).shapes == {}
    assert list(smallest(handler_sets(), lambda each: "on_error" in each.shapes).shapes) == ["on_error"]


def test_examples_do_not_share_recorded_calls() -> None:
    for each in drawn(handler_sets(names=["on_error"], required=["on_error"]), 30):
        assert each.calls == []
        asyncio.run(awaited(each.keywords["on_error"], *VALUES[: each.shapes["on_error"].takes]))
        assert len(each.calls) == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: handler_sets(names=["on_eror"]), "unknown handler 'on_eror'; known:"),
        (lambda: handler_sets(required=["on_eror"]), "unknown handler 'on_eror'; known:"),
        (
            lambda: handler_sets(names=["on_error"], required=["on_connected"]),
            "names must contain the required handler 'on_connected'",
        ),
    ],
)
def test_invalid_arguments_are_rejected_at_once(wrong: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        wrong()
