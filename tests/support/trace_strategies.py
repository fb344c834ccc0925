"""Hypothesis strategies for the contents of trace files."""

from hypothesis import strategies as st

from odyssey_client.trace import Failure, Manifest, Source, TraceEvent
from odyssey_client.trace.events import LANES, SIDES, SPAN_LANES

TEXTS = st.text(max_size=20)
TIMES = st.floats(0, 1000).map(lambda value: round(value, 6))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
SOURCES = st.builds(Source, TEXTS, st.integers(1, 10**6), TEXTS)


@st.composite
def events(draw: st.DrawFn) -> TraceEvent:
    lane = draw(st.sampled_from(LANES))
    is_span = lane in SPAN_LANES and draw(st.booleans())
    return TraceEvent(
        draw(TIMES),
        lane,
        draw(st.sampled_from(SIDES)),
        draw(TEXTS),
        draw(st.dictionaries(TEXTS.filter(lambda key: key != "file"), JSON_VALUES, max_size=3)),
        is_span,
        draw(st.none() | TIMES) if is_span else None,
        draw(st.none() | TEXTS),
        draw(st.none() | TEXTS),
        draw(st.none() | TEXTS),
        draw(st.sampled_from((None, "client", "server"))),
        draw(st.none() | TEXTS),
        draw(st.none() | SOURCES),
    )


MANIFESTS = st.builds(
    Manifest,
    title=TEXTS,
    began_at=TIMES,
    duration=TIMES,
    outcome=st.sampled_from(("passed", "failed", "error", "none")),
    time=st.sampled_from(("real", "virtual")),
    recorded_by=st.dictionaries(TEXTS, TEXTS, max_size=3),
    seed=st.none() | st.integers(),
    commit=st.none() | TEXTS,
    command=st.none() | TEXTS,
    failure=st.none() | st.builds(Failure, TEXTS, TEXTS, TEXTS, TEXTS, st.none() | SOURCES),
    dropped=st.dictionaries(st.sampled_from(LANES), st.integers(1, 100), max_size=3),
)
