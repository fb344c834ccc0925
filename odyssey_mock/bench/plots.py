"""Plots of benchmarks as SVG: the samples of both sides of each row, with their spread, and the target.

The documents are written here, because a plotting library would be a large dependency for a few boxes, and would fix
the colors. These have text as text, follow the light or dark scheme of the reader, and have about 2 kB for each row.
"""

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from odyssey_mock.bench.rows import Row, Spread, shown

NAMESPACE = "http://www.w3.org/2000/svg"
WIDTH, LEFT, RIGHT = 720, 76, 96
"""Width of a plot, and of its left and right margins, which contain the names and the values of the boxes."""
TITLE, BAR, GAP, SPACE = 22, 16, 6, 18
"""Heights of the title of a row, of a box, and of the spaces between boxes and between rows."""
HEIGHT = TITLE + 2 * BAR + GAP + SPACE
"""Height of one row."""
LONGEST_TITLE = 100
"""Maximum number of characters of a title, which fit into the width."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.name { font-weight: 600 }
.value, .side { font-size: 12px; fill: #59636e }
.ours { fill: #0969da; stroke: #0969da }
.baseline { fill: #818b98; stroke: #818b98 }
.box { fill-opacity: .35; stroke-width: 1 }
.median { stroke-width: 3 }
.range { stroke-width: 1.5 }
.target { stroke: #bf3989; stroke-width: 1.5; stroke-dasharray: 3 3 }
.axis { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .value, .side { fill: #9198a1 }
  .ours { fill: #58a6ff; stroke: #58a6ff }
  .baseline { fill: #9198a1; stroke: #9198a1 }
  .target { stroke: #f778ba }
  .axis { stroke: #3d444d }
}
"""


def plot(title: str, rows: Sequence[Row]) -> str:
    """Return an SVG document with a pair of boxes for each row.

    A box extends from the lower to the upper quartile, with a line at the median; its whiskers extend from the 5th to
    the 95th percentile. The dashed line is the target: the median of the baseline times the limit of the row.
    """
    height = HEIGHT * len(rows) + GAP
    summary = "; ".join(str(row) for row in rows)
    return "\n".join(
        [
            f'<svg xmlns="{NAMESPACE}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(summary)}</desc>",
            f"<style>{STYLE}</style>",
            *[line for number, row in enumerate(rows) for line in _row(row, number * HEIGHT)],
            "</svg>",
            "",
        ]
    )


def _row(row: Row, top: float) -> Iterator[str]:
    sides = {"ours": row.ours, "baseline": row.baseline}
    target = Spread.of(row.baseline).median * row.limit
    longest = max(target, *(_percentile(samples, 0.95) for samples in sides.values()))
    scale = (WIDTH - LEFT - RIGHT) / longest
    verdict = f"{row.ratio:.2f} times, target {row.limit:.3g}"
    title = f"{row.name}: {verdict} ({row.unit})"
    yield f'<text class="name" x="0" y="{top + 15:g}">{escape(_shortened(title))}</text>'
    for number, (side, samples) in enumerate(sides.items()):
        yield from _box(side, samples, top + TITLE + number * (BAR + GAP), scale)
    bottom = top + TITLE + 2 * BAR + GAP
    yield _line("axis", LEFT, top + TITLE - 2, LEFT, bottom + 2)
    yield _line("target", LEFT + target * scale, top + TITLE - 2, LEFT + target * scale, bottom + 2)


def _box(side: str, samples: Sequence[float], top: float, scale: float) -> Iterator[str]:
    spread = Spread.of(samples)
    middle = top + BAR / 2
    left, median, right = (LEFT + each * scale for each in (spread.lower, spread.median, spread.upper))
    ends = [LEFT + _percentile(samples, share) * scale for share in (0.05, 0.95)]
    yield f'<text class="side" x="0" y="{middle + 4:g}">{side}</text>'
    yield _line(f"{side} range", ends[0], middle, ends[1], middle)
    width = max(right - left, 1)
    yield f'<rect class="{side} box" x="{left:.1f}" y="{top:g}" width="{width:.1f}" height="{BAR}" rx="2"/>'
    yield _line(f"{side} median", median, top, median, top + BAR)
    yield f'<text class="value" x="{WIDTH - RIGHT + 8}" y="{middle + 4:g}">{shown(spread.median)}</text>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _percentile(samples: Sequence[float], share: float) -> float:
    """Return the sample that is greater than or equal to this share of all samples."""
    ordered = sorted(samples)
    return ordered[round(share * (len(ordered) - 1))]


def _shortened(title: str) -> str:
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 3]}..."
