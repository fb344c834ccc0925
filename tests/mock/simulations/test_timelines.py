"""Tests of converting scripts to timelines: the frame of each action, the duration, and failures."""

import io
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from odyssey_mock.media.look import Look
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.timeline import Size
from odyssey_mock.prompts.expansion import expand
from odyssey_mock.settings import Settings
from odyssey_mock.simulations.scripts import Script, ScriptAction
from odyssey_mock.simulations.timelines import Plan, expected_seconds, frame_of, planned
from tests.support.jobs import BROKEN_IMAGE, a_script
from tests.support.streams import data_url, picture

SETTINGS = Settings()
times = st.integers(0, 2**53 - 1)
rates = st.integers(1, 240)


def plan_of(script: Script, settings: Settings = SETTINGS, *, portrait: bool = True, bypass: bool = True) -> Plan:
    return planned(script, settings, tag=5, portrait=portrait, bypass=bypass)


@given(times, rates)
@example(5000, 20)
@example(2**53 - 1, 240)
def test_action_shows_from_first_frame_at_its_time(timestamp_ms: int, fps: int) -> None:
    frame = frame_of(timestamp_ms, fps)
    at = Fraction(timestamp_ms, 1000)
    assert Fraction(frame, fps) >= at
    assert frame == 0 or Fraction(frame - 1, fps) < at


@given(times, rates)
def test_video_has_the_frames_before_the_end(timestamp_ms: int, fps: int) -> None:
    frames = frame_of(timestamp_ms, fps)
    end = Fraction(timestamp_ms, 1000)
    assert frames == 0 or Fraction(frames - 1, fps) < end
    assert Fraction(frames, fps) >= end


def test_script_of_fifteen_seconds_has_300_frames() -> None:
    script = Script(
        (
            ScriptAction(0, "start", "A serene mountain landscape"),
            ScriptAction(5000, "interact", "Clouds roll across the sky"),
            ScriptAction(10000, "interact", "The sun begins to set"),
            ScriptAction(15000, "end"),
        )
    )
    plan = plan_of(script, portrait=False, bypass=False)
    assert (plan.seconds, plan.error, plan.timeline.frames, plan.timeline.size) == (15.0, None, 300, Size(1280, 704))
    assert [(change.index, change.revision, change.prompt) for change in plan.timeline.changes] == [
        (0, 0, expand("A serene mountain landscape")),
        (100, 1, expand("Clouds roll across the sky")),
        (200, 2, expand("The sun begins to set")),
    ]
    assert (plan.prompt, plan.applied_prompt) == (
        "A serene mountain landscape",
        expand("A serene mountain landscape"),
    )


def test_portrait_and_bypass_are_applied() -> None:
    plan = plan_of(a_script(2, "It looks out"))
    assert plan.timeline.size == Size(704, 1280)
    assert [change.prompt for change in plan.timeline.changes] == ["A cat", "It looks out"]


@given(st.lists(st.integers(0, 4000), max_size=8), st.integers(1, 4000), rates)
def test_sorted_times_make_a_valid_timeline(changes: list[int], end: int, fps: int) -> None:
    moments = sorted(min(each, end) for each in changes)
    interactions = [ScriptAction(moment, "interact", str(moment)) for moment in moments]
    plan = plan_of(Script((ScriptAction(0, "start", "A"), *interactions, ScriptAction(end, "end"))), Settings(fps=fps))
    frames = plan.timeline.frames
    assert frames is not None
    assert frames > 0
    assert [change.index for change in plan.timeline.changes] == [0, *(frame_of(each, fps) for each in moments)]
    assert all(one.index <= other.index for one, other in pairwise(plan.timeline.changes))
    assert all(change.index <= frames for change in plan.timeline.changes)
    assert plan.timeline.at(frames - 1).index == frames - 1


def test_last_interaction_in_a_frame_is_shown() -> None:
    script = Script(
        (
            ScriptAction(0, "start", "A"),
            ScriptAction(60, "interact", "B"),
            ScriptAction(61, "interact", "C"),
            ScriptAction(101, "interact", "D"),
            ScriptAction(101, "end"),
        )
    )
    timeline = plan_of(script).timeline
    assert timeline.frames == 3
    assert [change.index for change in timeline.changes] == [0, 2, 2, 3]
    assert timeline.at(2).prompt == "C", (
        f"expected frame 2 to show the last of its interactions, 'C', got {timeline.at(2).prompt!r}"
    )
    assert Renderer(timeline).render(2).width == 704


def test_small_image_is_kept_unchanged() -> None:
    plan = plan_of(a_script(1, image=data_url(picture())))
    assert (plan.timeline.image, plan.error) == (picture(), None)


def test_large_image_is_kept_at_stream_size() -> None:
    large = picture((1000, 1000), "BMP")
    plan = plan_of(a_script(1, image=data_url(large)))
    assert plan.timeline.image is not None
    assert len(plan.timeline.image) < len(large)
    with Image.open(io.BytesIO(plan.timeline.image)) as shown:
        assert (shown.size, shown.getextrema()) == ((704, 1280), ((180, 180), (40, 40), (40, 40)))


def test_image_fit_and_look_follow_the_settings() -> None:
    settings = SETTINGS.replace(start_image_fit="service_crop", overlay="stamp", fonts="bundled")
    small = plan_of(a_script(1, image=data_url(picture())), settings).timeline
    assert (small.image_fit, small.look) == ("service_crop", Look(overlay="stamp", fonts="bundled"))
    large = plan_of(a_script(1, image=data_url(picture((1000, 1000), "BMP"))), settings).timeline
    assert large.image_fit == "crop", (
        f"expected image_fit 'crop', because the image already has the size of the stream, got {large.image_fit!r}"
    )
    assert plan_of(a_script(1)).timeline.look == Look(overlay="full", fonts="machine")


@pytest.mark.parametrize(
    ("image", "settings", "why"),
    [
        (BROKEN_IMAGE, SETTINGS, "image: expected an image (JPEG, PNG, "),
        ("data:image/png;base64,", SETTINGS, "image: expected an image (JPEG, PNG, "),
        (data_url(picture()), Settings(max_image_bytes=10), "image: expected an image of at most"),
        (data_url(picture()), Settings(image_to_video=False), "expected a start without an image"),
    ],
)
def test_invalid_image_fails_before_first_frame(image: str, settings: Settings, why: str) -> None:
    plan = plan_of(a_script(4, "It looks out", image=image), settings)
    assert plan.error is not None
    assert plan.error.startswith(why)
    assert (plan.seconds, plan.timeline.frames, plan.timeline.image, len(plan.timeline.changes)) == (0.0, 0, None, 1)


def test_duration_limit_is_exact() -> None:
    settings = Settings(simulation_duration=1.001)
    assert plan_of(a_script(1.001), settings).error is None
    plan = plan_of(a_script(1.002), settings)
    assert plan.error == (
        "expected a video of at most 1.001 s (setting simulation_duration), got a script of 1.002 s; "
        "end it earlier, or split it"
    )
    assert (plan.seconds, plan.timeline.frames) == (0.0, 0)


def test_longest_script_is_rejected_as_too_long() -> None:
    script = Script(
        (ScriptAction(0, "start", "A"), ScriptAction(2**53 - 2, "interact", "B"), ScriptAction(2**53 - 1, "end"))
    )
    assert "got a script of" in (plan_of(script).error or "")


def test_error_marker_fails_stream_at_its_action() -> None:
    plan = plan_of(a_script(3, "It looks out", "[error:model crash] It jumps"))
    assert plan.error == "model crash (requested by [error:...] in the prompt of the interact at 2000 ms)"
    assert (plan.seconds, plan.timeline.frames) == (2.0, 40)
    assert [change.prompt for change in plan.timeline.changes] == ["A cat", "It looks out"]


def test_error_marker_in_start_fails_at_once() -> None:
    plan = plan_of(a_script(3, "It looks out", prompt="A cat [error:moderation]"))
    assert plan.error == "moderation (requested by [error:...] in the prompt of the start at 0 ms)"
    assert (plan.seconds, plan.timeline.frames) == (0.0, 0)


@pytest.mark.parametrize("marker", ["[moderated]", "[moderated:end]"])
def test_moderated_prompt_fails_at_its_action(marker: str) -> None:
    plan = plan_of(a_script(3, "It looks out", f"It jumps {marker}"))
    assert plan.error == "moderation_failed (requested by [moderated] in the prompt of the interact at 2000 ms)"
    assert plan.seconds == 2.0


@pytest.mark.parametrize("error", ["the model crashed", ""])
def test_given_error_fails_stream_at_its_start(error: str) -> None:
    plan = planned(a_script(), SETTINGS, tag=5, portrait=True, bypass=True, error=error)
    assert (plan.error, plan.seconds) == (error, 0)


def test_expected_seconds_follow_the_pace() -> None:
    settings = Settings(simulation_pace=0.5, simulation_duration=20)
    assert expected_seconds(a_script(20), settings) == 10.0
    assert expected_seconds(a_script(20.001), settings) == 0.0


def test_slow_marker_delays_without_adding_frames() -> None:
    plan = plan_of(a_script(6, "It jumps [slow:250]", "It sleeps [slow:1000]", prompt="A cat [slow:500]"))
    assert (plan.seconds, plan.delay, plan.error, plan.stalls) == (6, 1.75, None, False)
    assert plan.timeline.frames == 120


@pytest.mark.parametrize(
    ("prompts", "stalls", "error"),
    [
        (["A cat", "It jumps [stall]"], True, None),
        (["A cat [stall]", "It jumps [error:lost]"], True, None),
        (["A cat [error:lost]", "It jumps [stall]"], False, "lost (requested by"),
        (["A cat [stall] [error:lost]", "It jumps"], False, "lost (requested by"),
    ],
)
def test_first_reached_stall_or_error_counts(prompts: list[str], stalls: bool, error: str | None) -> None:
    plan = plan_of(a_script(6, *prompts[1:], prompt=prompts[0]))
    assert (plan.stalls, (plan.error or "").startswith(error or "")) == (stalls, True)
    assert (plan.error is None) == (error is None)
