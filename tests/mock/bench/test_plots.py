"""Tests of the plots of benchmarks."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.bench.plots import LEFT, RIGHT, WIDTH, plot
from odyssey_mock.bench.rows import Row

SVG = "{http://www.w3.org/2000/svg}"
SAMPLES = st.lists(st.floats(0.001, 10_000), min_size=1, max_size=30)


def test_plot_has_text_and_boxes_of_each_row() -> None:
    rows = [
        Row("fast & small", [1.0, 2.0, 3.0], [10.0, 20.0, 30.0], "ms", limit=0.5),
        Row("slow", [4.0], [2.0], "bytes", limit=1.5),
    ]

    document = ElementTree.fromstring(plot("some", rows))

    texts = [each.text for each in document.iter(f"{SVG}text")]
    assert texts[:5] == ["fast & small: 0.10 times, target 0.5 (ms)", "ours", "2", "baseline", "20"]
    assert texts[5:] == ["slow: 2.00 times, target 1.5 (bytes)", "ours", "4", "baseline", "2"]
    assert [each.get("class") for each in document.iter(f"{SVG}rect")] == ["ours box", "baseline box"] * 2
    title = document.find(f"{SVG}title")
    assert title is not None
    assert title.text == "some"


@given(ours=SAMPLES, baseline=SAMPLES, limit=st.floats(0.01, 100))
def test_boxes_are_within_the_plot(ours: list[float], baseline: list[float], limit: float) -> None:
    pairs = min(len(ours), len(baseline))
    row = Row("x", ours[:pairs], baseline[:pairs], "ms", limit=limit)

    document = ElementTree.fromstring(plot("some", [row]))

    positions = [float(each.attrib[name]) for each in document.iter(f"{SVG}line") for name in ("x1", "x2")]
    assert all(LEFT <= each <= WIDTH - RIGHT + 0.1 for each in positions), positions
