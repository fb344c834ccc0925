"""Conversion of a script to the `Plan` of its stream: the timeline, the duration and the failure, if any.

A script has times in milliseconds, a timeline has frame indexes. The frame of an action is the first frame at or after
the time of the action. A video shows an action from this frame on, and ends before the frame of the `end`.
If several actions have the same frame, the video shows the last of them. An interaction in the frame of the `end` is
only in the event log (`protocol.md` section 8).
"""

from dataclasses import dataclass

from odyssey_mock.media.data_url import ImageRefusedError, decode_data_url
from odyssey_mock.media.look import look_of
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.prompts.expansion import applied_prompt
from odyssey_mock.prompts.markers import MODERATED, PromptMarkers, markers_of
from odyssey_mock.settings import Settings, StartImageFit
from odyssey_mock.simulations.scripts import Script, ScriptAction


@dataclass(frozen=True, slots=True)
class Plan:
    """The planned stream of a script."""

    timeline: Timeline
    """The complete timeline, up to the end or the failure."""
    prompt: str
    """The prompt of the start, as received."""
    applied_prompt: str
    seconds: float
    """Seconds of video until the stream ends, fails or stalls."""
    error: str | None = None
    """Why the stream fails; None if the stream does not fail."""
    delay: float = 0.0
    """Additional seconds on the server's clock, for `[slow:MS]` markers."""
    stalls: bool = False
    """Whether the stream never ends, because of a `[stall]` marker."""


def frame_of(timestamp_ms: int, fps: int) -> int:
    """Return the index of the first frame at or after `timestamp_ms`; for an `end`, this is the frame count."""
    # Integer arithmetic: with floats, the action of 5000 ms would be in frame 101 at some frame rates.
    return -(-timestamp_ms * fps // 1000)


def planned(
    script: Script, settings: Settings, *, tag: int, portrait: bool, bypass: bool, error: str | None = None
) -> Plan:
    """Plan the stream of a script. Decoding its image may take seconds: call this in a thread.

    Args:
        script: a valid script.
        settings: the sizes, the frame rate and the limits of a stream.
        tag: the stream's 16-bit number, for its frames' stamps.
        portrait: whether the video is in portrait.
        bypass: whether prompts are applied unchanged.
        error: an error that makes the stream fail at its start, regardless of the script.
    """
    size = Size(*(settings.portrait_size if portrait else settings.landscape_size))
    start = script.actions[0]
    image: bytes | None = None
    image_fit = settings.start_image_fit
    error = _length_error(script, settings) if error is None else error
    if error is None and start.image is not None:
        try:
            image, image_fit = _image(start.image, size, settings)
        except _ImageError as refusal:
            error = str(refusal)
    applied = applied_prompt(start.prompt, bypass=bypass)
    timeline = Timeline(
        tag=tag,
        size=size,
        fps=settings.fps,
        prompt=applied,
        image=image,
        image_fit=image_fit,
        look=look_of(settings),
    )
    last, slow_ms, stalls = start, 0, False
    if error is None:
        for last in script.actions:
            markers = markers_of(last.prompt)
            slow_ms += markers.slow_ms or 0
            error = _prompt_error(last, markers)
            stalls = markers.stall and error is None
            if error is not None or stalls or last.kind == "end":
                break
            if last is not start:
                timeline.interact(frame_of(last.timestamp_ms, settings.fps), applied_prompt(last.prompt, bypass=bypass))
    timeline.end(frame_of(last.timestamp_ms, settings.fps))
    return Plan(timeline, start.prompt, applied, last.timestamp_ms / 1000, error, slow_ms / 1000, stalls)


def expected_seconds(script: Script, settings: Settings) -> float:
    """Estimate how many seconds processing a script takes on the server's clock; 0 if the script is too long."""
    return 0.0 if _length_error(script, settings) else script.duration_ms / 1000 * settings.simulation_pace


def _length_error(script: Script, settings: Settings) -> str | None:
    if script.duration_ms / 1000 <= settings.simulation_duration:
        return None
    return (
        f"expected a video of at most {settings.simulation_duration:g} s (setting simulation_duration), "
        f"got a script of {script.duration_ms / 1000:g} s; end it earlier, or split it"
    )


class _ImageError(ValueError):
    """A stream cannot start from the image of its script. The message becomes the error of the job."""


def _image(url: str, size: Size, settings: Settings) -> tuple[bytes, StartImageFit]:
    """Return the start image as a file for the timeline, and how it fills the frame.

    Raises:
        _ImageError: images are not allowed, or the image is invalid.
    """
    if not settings.image_to_video:
        raise _ImageError(
            "expected a start without an image (the setting image_to_video is off), "
            "got one with an image; remove the image"
        )
    from odyssey_mock.media.picture import PictureError, kept  # noqa: PLC0415 - see `odyssey_mock.media`

    try:
        return kept(decode_data_url(url, settings.max_image_bytes), size, settings.start_image_fit)
    except (ImageRefusedError, PictureError) as refusal:
        raise _ImageError(f"image: {refusal}") from refusal


def _prompt_error(action: ScriptAction, markers: PromptMarkers) -> str | None:
    if markers.error is not None:
        error, marker = markers.error, "[error:...]"
    elif markers.moderated:
        error, marker = MODERATED, "[moderated]"
    else:
        return None
    return f"{error} (requested by {marker} in the prompt of the {action.kind} at {action.timestamp_ms} ms)"
