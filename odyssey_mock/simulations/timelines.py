"""From a script to the stream that it asks for: its event log, how long it is, and why it fails where it does.

A script's times are milliseconds, a timeline's are frames. An action shows from the first frame whose time is not
before its own; a video has the frames before that of the `end`. Several actions may share a frame, which shows the
last of them. An interaction that shares its frame with the `end` is in the log, after the last frame, and seen in
none (`protocol.md` section 8).
"""

from dataclasses import dataclass

from odyssey_mock.media.data_url import ImageRefusedError, decode_data_url
from odyssey_mock.media.picture import PictureError, kept
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.prompts.expansion import applied_prompt
from odyssey_mock.prompts.markers import PromptMarkers, markers_of
from odyssey_mock.settings import Settings
from odyssey_mock.simulations.scripts import Script, ScriptAction


@dataclass(frozen=True, slots=True)
class Plan:
    """What will come of a script."""

    timeline: Timeline
    """Complete, up to the end or to where it fails."""
    prompt: str
    """Of the start, as it came."""
    applied_prompt: str
    seconds: float
    """Of video until the end, or until it fails or stalls."""
    error: str | None = None
    """Why it fails; None where it does not."""
    delay: float = 0.0
    """Seconds on the server's clock that it takes longer than usual, for its `[slow:MS]`."""
    stalls: bool = False
    """Whether it never comes to an end, for a `[stall]`."""


def frame_of(timestamp_ms: int, fps: int) -> int:
    """Index of the first frame whose time is not before `timestamp_ms`; of an `end`: the number of frames."""
    # Whole numbers only: floats would put the action of 5000 ms into frame 101 at some rates.
    return -(-timestamp_ms * fps // 1000)


def planned(
    script: Script, settings: Settings, *, tag: int, portrait: bool, bypass: bool, error: str | None = None
) -> Plan:
    """Work out what comes of a script. Decodes its image, which takes up to seconds: not for the event loop.

    Args:
        script: without a fault.
        settings: size, frame rate, and what a stream may be.
        tag: 16-bit number of the stream, for its frames' stamps.
        portrait: whether it is upright.
        bypass: whether prompts are taken as they are.
        error: why it fails at its very beginning, whatever the script.
    """
    size = Size(*(settings.portrait_size if portrait else settings.landscape_size))
    start = script.actions[0]
    image: bytes | None = None
    error = _length_error(script, settings) if error is None else error
    if error is None and start.image is not None:
        image, error = _image(start.image, size, settings)
    applied = applied_prompt(start.prompt, bypass=bypass)
    timeline = Timeline(tag=tag, size=size, fps=settings.fps, prompt=applied, image=image)
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
    """How long a worker will be busy with a script, on the server's clock, as far as its length tells."""
    return 0.0 if _length_error(script, settings) else script.duration_ms / 1000 * settings.simulation_pace


def _length_error(script: Script, settings: Settings) -> str | None:
    if script.duration_ms / 1000 <= settings.simulation_duration:
        return None
    return (
        f"expected a video of at most {settings.simulation_duration:g} s (setting simulation_duration), "
        f"got a script of {script.duration_ms / 1000:g} s; end it earlier, or make several of it"
    )


def _image(url: str, size: Size, settings: Settings) -> tuple[bytes | None, str | None]:
    """The bytes of a start's image that are remembered, or why it cannot be shown."""
    if not settings.image_to_video:
        return None, (
            "expected a start without an image, as this service takes none (setting image_to_video), "
            "got one with an image; send the script without it"
        )
    try:
        return kept(decode_data_url(url, settings.max_image_bytes), size), None
    except (ImageRefusedError, PictureError) as refusal:
        return None, f"image: {refusal}"


def _prompt_error(action: ScriptAction, markers: PromptMarkers) -> str | None:
    if markers.error is None:
        return None
    return f"{markers.error} (asked for by [error:...] in the prompt of the {action.kind} at {action.timestamp_ms} ms)"
