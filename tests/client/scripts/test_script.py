"""Tests of scripts built with `Script().start(...)` and so on: entries, rejected values, validation, and `advice`."""

import copy
import dataclasses
import io
import json
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from odyssey_client.errors import ScriptError
from odyssey_client.scripts.request import script_fields
from odyssey_client.scripts.rules import ScriptEntry
from odyssey_client.scripts.script import Script
from tests.support.scripts import IMAGE

CAT = Script().start("A cat").wait(3).interact("It looks out").wait(3).end()


def picture(color: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(out, "PNG")
    return out.getvalue()


def wire(script: Script) -> Any:  # decoded JSON
    return script_fields(script=script, scripts=None, script_url=None, portrait=True)["script"]


# Building steps.


def test_building_steps_create_entries() -> None:
    assert CAT.entries == (
        ScriptEntry(0, "start", "A cat"),
        ScriptEntry(3000, "interact", "It looks out"),
        ScriptEntry(6000, "end"),
    )
    assert CAT.duration_seconds == 6.0
    assert CAT.faults() == ()
    CAT.validate()


def test_steps_return_new_scripts() -> None:
    begun = Script().start("A cat").wait(1)
    assert begun.interact("left").end().entries[1:] == (ScriptEntry(1000, "interact", "left"), ScriptEntry(1000, "end"))
    assert begun.wait(1).end().entries[1:] == (ScriptEntry(2000, "end"),)
    assert begun.entries == (ScriptEntry(0, "start", "A cat"),)
    with pytest.raises(dataclasses.FrozenInstanceError):
        begun.entries = ()  # type: ignore[misc]


@pytest.mark.parametrize(("wait", "times", "milliseconds"), [(0.1, 30, 3000), (1 / 24, 24, 1000), (1 / 3, 9, 3000)])
def test_many_waits_do_not_accumulate_rounding(wait: float, times: int, milliseconds: int) -> None:
    script = Script().start("A cat")
    for _ in range(times):
        script = script.wait(wait).interact("on")
    assert script.entries[-1].timestamp_ms == milliseconds


@given(st.lists(st.floats(0, 1000), max_size=50))
def test_time_is_rounded_sum_of_waits(waits: list[float]) -> None:
    script = Script()
    for wait in waits:
        script = script.wait(wait)
    exact = sum(map(Fraction, waits), Fraction(0)) * 1000
    assert abs(script.end().entries[0].timestamp_ms - exact) < Fraction(501, 1000)


@pytest.mark.parametrize(
    ("wait", "got"),
    [
        (-1, "-1"),
        (-0.001, "-0.001"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (1e300, "1e+300"),
        (10**400, "a very large number"),
        ("3", "'3'"),
        (None, "null"),
        (True, "true"),
        ([3], "an array"),
    ],
)
def test_invalid_wait_is_fault_of_next_entry(wait: Any, got: str) -> None:
    with pytest.raises(ScriptError) as caught:
        Script().start("A cat").wait(wait)
    (fault,) = caught.value.faults
    assert (fault.path, fault.got) == ("script[1].timestamp_ms", got)


def test_time_beyond_limit_is_fault_of_entry() -> None:
    late = Script().start("A cat").wait((2**53 - 1) / 1000).wait(1)
    with pytest.raises(ScriptError, match=r"^script\[1\]\.timestamp_ms: expected a whole number"):
        late.end()


@pytest.mark.parametrize("wait", [0, -0.0, np.float32(0.5), np.float16(3), np.int64(10**11), Fraction(1, 3)])
def test_wait_accepts_numbers_of_all_types(wait: Any) -> None:
    assert Script().wait(wait).end().entries[0].timestamp_ms == round(float(wait) * 1000)


@pytest.mark.parametrize("prompt", [None, 7, b"A cat", "\ud800"])
def test_invalid_prompt_is_rejected_by_the_step(prompt: Any) -> None:
    with pytest.raises(ScriptError) as caught:
        Script().start(prompt)
    assert [fault.path for fault in caught.value.faults] == ["script[0].start.prompt"]
    with pytest.raises(ScriptError) as caught:
        CAT.interact(prompt)
    assert [fault.path for fault in caught.value.faults] == ["script[3].interact.prompt"]


@pytest.mark.parametrize("image", [7, ["cat.png"], object(), np.zeros((4, 4)), io.StringIO("text"), io.BytesIO()])
def test_unsupported_image_is_rejected_by_the_step(image: Any) -> None:
    with pytest.raises(ScriptError) as caught:
        Script().start("A cat", image=image)
    assert [fault.path for fault in caught.value.faults] == ["script[0].start.image"]


def test_order_is_checked_for_whole_script() -> None:
    with pytest.raises(ScriptError) as caught:
        Script().interact("It looks out").start("A cat").validate()
    assert [fault.path for fault in caught.value.faults] == ["script[0]", "script[1]"]
    assert [fault.path for fault in Script().faults("scripts[2]")] == ["scripts[2]"]


def test_script_without_end_has_no_duration() -> None:
    assert Script().duration_seconds is None
    assert Script().start("A cat").wait(3).duration_seconds is None


def test_steps_continue_from_existing_entries() -> None:
    begun = Script((ScriptEntry(0, "start", "A cat"), ScriptEntry(2500, "interact", "It looks out")))
    assert begun.wait(0.5).end().duration_seconds == 3.0


def test_repr_is_short_and_without_image() -> None:
    script = Script().start("A cat", image=picture()).wait(1.5).end()
    assert repr(script) == "<Script: 2 entries, 1.5 s>"
    assert repr(Script().end()) == "<Script: 1 entry, 0 s>"
    assert repr(Script()) == "<Script: 0 entries, no end yet>"
    assert "PNG" not in repr(script.entries)


@pytest.mark.parametrize("image", [None, IMAGE, picture(), Path("cat.png"), Image.new("RGB", (2, 2))])
def test_scripts_with_equal_entries_are_equal(image: Any) -> None:
    one, other = (Script().start("A cat", image=image).wait(wait).end() for wait in (0.3, 0.1 + 0.2))
    assert one == other
    assert len({one, other}) == 1
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert one != Script().start("A cat", image=picture("blue")).wait(0.3).end()


WAITS = st.floats(0, 10_000)
PROMPTS = st.text(max_size=20)


@given(PROMPTS, st.booleans(), st.lists(st.tuples(WAITS, PROMPTS), max_size=5), st.floats(0.001, 1000))
def test_built_script_survives_json_round_trip(
    prompt: str, with_an_image: bool, interactions: list[tuple[float, str]], rest: float
) -> None:
    script = Script().start(prompt, image=IMAGE if with_an_image else None)
    for wait, change in interactions:
        script = script.wait(wait).interact(change)
    script = script.wait(rest).end()
    assert script.faults() == ()
    assert Script.from_json(json.dumps([entry.to_dict() for entry in script.entries])) == script
    on_the_wire = wire(script)
    assert wire(Script.from_json(json.dumps(on_the_wire))) == on_the_wire


# Images.


def test_file_object_is_read_by_the_step(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(picture())
    with (tmp_path / "cat.png").open("rb") as file:
        script = Script().start("A cat", image=file).wait(1).end()
    assert wire(script) == wire(script) == wire(Script().start("A cat", image=picture()).wait(1).end())


def test_later_changes_of_buffers_have_no_effect() -> None:
    array, buffer = np.zeros((4, 4, 3), np.uint8), bytearray(picture())
    scripts = [Script().start("A cat", image=image).wait(1).end() for image in (array, buffer)]
    before = [wire(script) for script in scripts]
    array[:], buffer[:] = 255, b"nothing"
    assert [wire(script) for script in scripts] == before


def test_path_is_read_when_script_is_checked(tmp_path: Path) -> None:
    script = Script().start("A cat", image=tmp_path / "cat.png").wait(1).end()
    (fault,) = script.faults("scripts[1]")
    assert fault.path == "scripts[1][0].start.image"
    assert "No such file" in fault.got
    (tmp_path / "cat.png").write_bytes(picture())
    assert script.faults() == ()


def test_entries_accept_images_of_all_types(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(picture())
    red = wire(Script().start("A", image=picture()).wait(1).end())
    same = (str(tmp_path / "cat.png"), picture(), io.BytesIO(picture()), memoryview(picture()))
    for image in (*same, Image.open(io.BytesIO(picture())), np.asarray(Image.open(io.BytesIO(picture())))):
        script = [{"timestamp_ms": 0, "start": {"prompt": "A", "image": image}}, {"timestamp_ms": 1000, "end": {}}]
        assert wire(Script.of(script)) == red


def test_undecodable_image_is_one_of_several_faults() -> None:
    broken = [{"timestamp_ms": 0, "start": {"prompt": 7, "image": picture()[:40]}}, {"timestamp_ms": 0, "end": {}}]
    with pytest.raises(ScriptError) as caught:
        Script.of(broken)
    paths = [fault.path for fault in caught.value.faults]
    assert paths == ["script[0].start.prompt", "script[0].start.image", "script[1].timestamp_ms"]
    assert "cannot be read" in str(caught.value)


# Script.of.


def test_script_of_checks_and_returns_script() -> None:
    assert Script.of(CAT) is CAT
    with pytest.raises(ScriptError, match=r"^scripts\[4\]\[0\]: expected an end"):
        Script.of(Script().start("A cat"), path="scripts[4]")


# Advice.


def test_advice_lists_interactions_in_quick_succession() -> None:
    script = Script().start("A cat").interact("1").wait(2.999).interact("2").wait(3).interact("3").interact("4").end()
    fast, at_once = script.advice()
    assert fast.startswith("script[2].timestamp_ms: 2999 ms after the previous interaction; 3000 ms or more")
    assert at_once.startswith("script[4].timestamp_ms: 0 ms after")


def test_advice_mentions_video_over_usual_limit() -> None:
    longest = Script().start("A cat").wait(150)
    assert longest.end().advice() == ()
    (line,) = longest.wait(0.001).end().advice()
    assert line.startswith("script[1].timestamp_ms: a video of 150.001 s;")


def test_good_or_unfinished_script_has_no_advice() -> None:
    assert CAT.advice() == Script().advice() == Script().start("A").wait(1).interact("B").advice() == ()


@pytest.mark.parametrize(
    ("entries", "got"),
    [
        ("cat.json", "'cat.json'"),
        ([{"timestamp_ms": 0, "start": {"prompt": "A cat"}}], "an object"),
        (None, "null"),
        ((*CAT.entries, 7), "7"),
    ],
)
def test_script_rejects_values_other_than_entries(entries: Any, got: str) -> None:
    with pytest.raises(ScriptError, match=rf"^script: expected ScriptEntry values \(Script\.of .*, got {got}$"):
        Script(entries)


def test_later_changes_of_list_have_no_effect() -> None:
    entries: Any = list(CAT.entries)
    script = Script(entries)
    entries.clear()
    assert script == CAT
    assert hash(script) == hash(CAT)
