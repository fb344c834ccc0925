// The plot of WebRTC statistics. StatsPlot({peers, peer, onChoose, view}): frames per second, bitrate, lost packets and jitter of one peer.

import uPlot from "uplot";
import { useRedraw } from "components/drawing.js";
import { classes, html, useEffect, useRef, useState } from "components/html.js";
import { colors, onThemeChange } from "components/theme.js";
import { lastAtOrBefore, METRICS } from "components/trace_model.js";

const HEIGHT = 84;
const PLOT_COLORS = ["plot-1", "plot-2", "plot-3", "plot-4"];

/** The statistics of `peer`, one of `peers` (trace_model.js). `onChoose(number)` is called when the reader chooses another one. */
export function StatsPlot({ peers, peer, onChoose, view }) {
  const plot = useRef(null);
  const chart = useRef(null);
  const [hovered, setHovered] = useState(null);

  useEffect(() => {
    const create = () => {
      chart.current?.destroy();
      chart.current = new uPlot(optionsOf(plot.current.clientWidth, view), dataOf(peer), plot.current);
    };
    create();
    const end = onThemeChange(create);
    return () => {
      end();
      chart.current.destroy();
      chart.current = null;
    };
  }, [peer, view]);
  useRedraw(
    plot,
    view,
    () => {
      const { current } = chart;
      if (!current) return;
      const width = plot.current.clientWidth;
      if (width > 0 && current.width !== width) current.setSize({ width, height: HEIGHT });
      current.setScale("x", { min: view.from, max: view.to });
    },
    [peer],
  );
  useEffect(() => view.subscribeToHover(() => setHovered(view.hovered?.at ?? null)), [view]);

  const place = lastAtOrBefore(peer.at, hovered ?? Infinity);
  return html`
    <div class="track stats">
      <div class="gutter">
        ${peers.length > 1 && html`
          <select class="peer" aria-label="Peer of the statistics" value=${peers.indexOf(peer)} onChange=${(event) => onChoose(Number(event.target.value))}>
            ${peers.map((each, number) => html`<option key=${number} value=${number}>${each.label}</option>`)}
          </select>
        `}
        <dl class="metrics">
          ${METRICS.map((metric, number) => html`
            <div key=${metric.name} class=${classes("metric", `metric-${number + 1}`)}>
              <dt>${metric.label}</dt>
              <dd>${valueText(peer, metric, place)}</dd>
            </div>
          `)}
        </dl>
      </div>
      <div class="plot" data-plot="stats" ref=${plot} style=${{ height: `${HEIGHT}px` }} role="img"
        aria-label=${`Plot of the statistics of ${peer.label}: frames per second, bitrate, lost packets and jitter`}></div>
    </div>
  `;
}

function valueText(peer, metric, place) {
  const value = place < 0 ? null : peer.values[metric.name][place];
  return value === null || value === undefined ? "–" : metric.text(value);
}

function dataOf(peer) {
  return [peer.at, ...METRICS.map(({ name }) => peer.values[name])];
}

function optionsOf(width, view) {
  const palette = colors(...PLOT_COLORS);
  const range = (_, least, most) => {
    if (least === null) return [0, 1];
    const margin = (most - least || Math.abs(most) || 1) * 0.15;
    return [Math.min(least, 0) - margin * (least < 0), most + margin];
  };
  return {
    width: Math.max(width, 1),
    height: HEIGHT,
    padding: [4, 0, 4, 0],
    legend: { show: false },
    cursor: { show: false },
    axes: METRICS.concat(null).map(() => ({ show: false })),
    scales: {
      x: { time: false, auto: false, min: view.from, max: view.to },
      ...Object.fromEntries(METRICS.map(({ name }) => [name, { auto: true, range }])),
    },
    series: [
      {},
      ...METRICS.map(({ name }, number) => ({
        scale: name,
        stroke: palette[PLOT_COLORS[number]],
        width: 1.5,
        spanGaps: true,
        points: { show: false },
      })),
    ],
  };
}
