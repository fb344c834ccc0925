"""Valid simulation scripts, as `Script` objects and as decoded JSON."""

from functools import cache

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from odyssey_client import Script, ScriptEntry
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.testing.strategies.image import image_urls
from odyssey_mock.testing.strategies.prompt import prompts as any_prompts

USUAL_SECONDS = 150.0
"""Default maximum length of a simulated video. A longer script is accepted, but its job fails."""


def scripts(
    *,
    min_interactions: int = 0,
    max_interactions: int = 4,
    min_seconds: float = 0.001,
    max_seconds: float = USUAL_SECONDS,
    min_gap_ms: int = 0,
    prompts: SearchStrategy[str] | None = None,
    images: SearchStrategy[str | None] | None = None,
) -> SearchStrategy[Script]:
    """Draw a valid script, as `Odyssey.simulate` accepts it: a start, interactions and an end.

    A mock with default settings makes a video of every script that is drawn with the default arguments.

    ::

        @given(scripts(max_seconds=10))
        def test_editor_shows_every_script(script):
            assert len(Editor(script).rows) == len(script.entries)

    Args:
        min_interactions: Minimum number of interactions.
        max_interactions: Maximum number of interactions.
        min_seconds: Minimum length of the video in seconds, at least 0.001.
        max_seconds: Maximum length of the video in seconds.
        min_gap_ms: Minimum milliseconds between two interactions. The vendor recommends 3000; 0 is valid.
        prompts: Draws the prompts; by default `prompts(max_size=200)`.
        images: Draws the start image, as a `data:` URL or None for no image; by default images are rare.

    Raises:
        ValueError: no script can meet these conditions.
    """
    return _entries(min_interactions, max_interactions, min_seconds, max_seconds, min_gap_ms, prompts, images).map(
        Script
    )


def script_entries(
    *,
    min_interactions: int = 0,
    max_interactions: int = 4,
    min_seconds: float = 0.001,
    max_seconds: float = USUAL_SECONDS,
    min_gap_ms: int = 0,
    prompts: SearchStrategy[str] | None = None,
    images: SearchStrategy[str | None] | None = None,
) -> SearchStrategy[list[dict[str, JSON]]]:
    """Draw a script as decoded JSON; the arguments are those of `scripts`. Times may be floats, such as 3000.0.

    ::

        @given(script_entries())
        def test_service_stores_every_script(script):
            assert loaded(stored(json.dumps(script))) == script

    Raises:
        ValueError: no script can meet these conditions.
    """
    entries = _entries(min_interactions, max_interactions, min_seconds, max_seconds, min_gap_ms, prompts, images)
    return st.builds(_as_json, entries, has_floats=st.booleans())


def _entries(
    min_interactions: int,
    max_interactions: int,
    min_seconds: float,
    max_seconds: float,
    min_gap_ms: int,
    prompts: SearchStrategy[str] | None,
    images: SearchStrategy[str | None] | None,
) -> SearchStrategy[tuple[ScriptEntry, ...]]:
    least, most = max(1, round(min_seconds * 1000)), round(max_seconds * 1000)
    if not 0 <= min_interactions <= max_interactions:
        raise ValueError(
            f"expected 0 <= min_interactions <= max_interactions, got {min_interactions} and {max_interactions}"
        )
    if not least <= most:
        raise ValueError(f"max_seconds must be at least 0.001 and min_seconds ({min_seconds}), got {max_seconds}")
    if min_gap_ms < 0 or (min_interactions - 1) * min_gap_ms > most:
        raise ValueError(
            f"expected min_gap_ms of 0 or more and min_interactions that fit into max_seconds, got {min_interactions} "
            f"interactions that are {min_gap_ms} ms apart, in {max_seconds} s"
        )
    most_interactions = max_interactions if min_gap_ms == 0 else min(max_interactions, most // min_gap_ms + 1)
    return _drawn_entries(
        counts=st.integers(min_interactions, most_interactions),
        lengths=(least, most),
        gap=min_gap_ms,
        prompts=_usual_prompts() if prompts is None else prompts,
        images=_usual_images() if images is None else images,
    )


@st.composite
def _drawn_entries(
    draw: st.DrawFn,
    *,
    counts: SearchStrategy[int],
    lengths: tuple[int, int],
    gap: int,
    prompts: SearchStrategy[str],
    images: SearchStrategy[str | None],
) -> tuple[ScriptEntry, ...]:
    start = ScriptEntry(0, "start", draw(prompts), draw(images))
    count = draw(counts)
    least, most = lengths
    # Draw times without the gaps and then add the gaps, so that no interaction is after `most`.
    free = st.integers(0, most - max(0, count - 1) * gap)
    times = [index * gap + time for index, time in enumerate(sorted(draw(free) for _ in range(count)))]
    end = draw(st.integers(max(least, *times) if times else least, most))
    interactions = [ScriptEntry(time, "interact", draw(prompts)) for time in times]
    return (start, *interactions, ScriptEntry(end, "end"))


@cache
def _usual_prompts() -> SearchStrategy[str]:
    return any_prompts(max_size=200)


@cache
def _usual_images() -> SearchStrategy[str | None]:
    """Draw an image in one of eight cases, otherwise None, because images are slow to decode."""
    return st.integers(0, 7).flatmap(lambda number: image_urls() if number == 7 else st.none())


def _as_json(entries: tuple[ScriptEntry, ...], *, has_floats: bool) -> list[dict[str, JSON]]:
    as_json = [entry.to_dict() for entry in entries]
    return [{**each, "timestamp_ms": float(each["timestamp_ms"])} for each in as_json] if has_floats else as_json
