// A small plot of one value. SparkPlot({label, title, at, values, text, color}).

import uPlot from "uplot";
import { html, useEffect, useRef } from "components/html.js";
import { colors, onThemeChange } from "components/theme.js";

const HEIGHT = 34;
/** The shortest time that the plot is wide, in seconds: a new plot grows from the right. */
const SPAN = 60;

/** The values of the last minutes, with the latest one as text. `at` is in seconds; unknown values are null. */
export function SparkPlot({ label, title, at, values, text, color }) {
  const element = useRef(null);
  const chart = useRef(null);
  const data = useRef(null);
  data.current = [at, values];
  const known = values.findLast((value) => value !== null && value !== undefined);

  useEffect(() => {
    const create = () => {
      chart.current?.destroy();
      chart.current = new uPlot(optionsOf(element.current.clientWidth, colors(color)[color]), data.current, element.current);
    };
    create();
    const sizes = new ResizeObserver(() => {
      const width = element.current?.clientWidth;
      if (width > 0 && chart.current.width !== width) chart.current.setSize({ width, height: HEIGHT });
    });
    sizes.observe(element.current);
    const end = onThemeChange(create);
    return () => {
      end();
      sizes.disconnect();
      chart.current.destroy();
      chart.current = null;
    };
  }, [color]);
  useEffect(() => chart.current?.setData(data.current), [at, values]);

  const shown = known === undefined ? "–" : text(known);
  return html`
    <div class="spark" title=${title}>
      <div class="spark-head"><span class="muted">${label}</span><span class="number">${shown}</span></div>
      <div class="spark-plot" ref=${element} role="img" aria-label=${`Plot of ${title}; now ${shown}`}></div>
    </div>
  `;
}

function optionsOf(width, stroke) {
  return {
    width: Math.max(width, 1),
    height: HEIGHT,
    padding: [3, 0, 2, 0],
    legend: { show: false },
    cursor: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: {
      x: { time: false, range: (_, least, most) => (most === null ? [0, SPAN] : [Math.min(least, most - SPAN), most]) },
      y: { range: (_, least, most) => (most === null ? [0, 1] : [0, Math.max(most * 1.15, Number.EPSILON) || 1]) },
    },
    series: [{}, { stroke, width: 1.5, spanGaps: true, points: { show: false } }],
  };
}
