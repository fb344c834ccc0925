"""Handlers that are drawn: the client takes each, calls it with what it takes, and hears of what it raises."""

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


def an_event(kind: Any) -> Any:  # Any: one of the events, with a text for each of its fields
    return kind(*VALUES[: len(fields(kind))])


async def everything_happened(handlers: OdysseyEventHandlers) -> None:
    """Have each event handled once by the client, and a frame."""
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
def test_the_client_calls_every_handler_with_what_it_takes(drawn_set: HandlerSet) -> None:
    asyncio.run(everything_happened(drawn_set.handlers))
    assert drawn_set.calls == expected_calls(drawn_set)


@FEW
@given(handler_sets(raising=True))
def test_those_that_raise_are_noted_all_the_same_and_reported(drawn_set: HandlerSet) -> None:
    asyncio.run(everything_happened(OdysseyEventHandlers.of(None, drawn_set.keywords)))
    # What one raises goes to `on_error`, if it is there, which what that raises does not.
    raised = [
        name
        for _, (name, _) in EVENTS.items()
        if name != "on_error" and name in drawn_set.shapes and drawn_set.shapes[name].raises
    ]
    for name in drawn_set.shapes:
        assert len(drawn_set.called(name)) == 1 + (len(raised) if name == "on_error" else 0)
    if drawn_set.shapes.get("on_error") and drawn_set.shapes["on_error"].takes == 2:
        reported = [error for error, fatal in drawn_set.called("on_error") if isinstance(error, HandlerFailedError)]
        assert [str(error) for error in reported] == [f"{name} was drawn to raise" for name in raised]


def test_there_is_every_handler_that_the_client_knows_and_each_is_offered_what_it_says() -> None:
    assert set(OFFERED) == {handler.name for handler in fields(OdysseyEventHandlers)}
    for kind, (name, arguments) in EVENTS.items():
        assert OFFERED[name] == len(arguments(an_event(kind)))


@FEW
@given(handler_sets())
def test_none_raises_unless_that_is_wanted(drawn_set: HandlerSet) -> None:
    assert not any(shape.raises for shape in drawn_set.shapes.values())


def test_every_form_of_every_handler_is_drawn_with_every_number_of_arguments() -> None:
    for name, offered in OFFERED.items():
        shapes = [each.shapes[name] for each in drawn(handler_sets(names=[name], required=[name], raising=True), 100)]
        assert {shape.form for shape in shapes} == set(FORMS)
        assert {shape.takes for shape in shapes} == {*range(offered + 1), None}
        assert {shape.raises for shape in shapes} == {True, False}


@pytest.mark.parametrize("form", FORMS)
def test_a_handler_is_of_the_form_that_it_says(form: str) -> None:
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
def test_handlers_are_those_that_may_be_and_must_be(data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(OFFERED))))
    required = data.draw(st.sets(st.sampled_from(sorted(names)))) if names else set()
    drawn_set = data.draw(handler_sets(names=names, required=required))
    assert required <= set(drawn_set.shapes) <= names
    assert {name for name in OFFERED if getattr(drawn_set.handlers, name) is not None} == set(drawn_set.shapes)


def test_all_and_none_of_them_are_drawn() -> None:
    any_of(handler_sets(), lambda each: len(each.shapes) == len(OFFERED))
    assert smallest(handler_sets()).shapes == {}
    assert list(smallest(handler_sets(), lambda each: "on_error" in each.shapes).shapes) == ["on_error"]


def test_no_example_knows_the_calls_of_another() -> None:
    for each in drawn(handler_sets(names=["on_error"], required=["on_error"]), 30):
        assert each.calls == []
        asyncio.run(awaited(each.keywords["on_error"], *VALUES[: each.shapes["on_error"].takes]))
        assert len(each.calls) == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: handler_sets(names=["on_eror"]), "no handler 'on_eror'; known are"),
        (lambda: handler_sets(required=["on_eror"]), "no handler 'on_eror'; known are"),
        (
            lambda: handler_sets(names=["on_error"], required=["on_connected"]),
            "the required 'on_connected' among names",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_once(wrong: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        wrong()
