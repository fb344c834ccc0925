// The lanes of a trace on a time axis, drawn on a canvas, with the ruler and the overview of the whole recording.
//
// Components: Lanes({rows, events, view, selected, onCanvas}), Ruler({view}), Overview({events, shown, view, errors}).
// The list of events (event_list.js) is their accessible equivalent.

import { useCanvas } from "components/drawing.js";
import { html, useRef } from "components/html.js";
import { SHAPES, TONES } from "components/lane_rows.js";
import { colors } from "components/theme.js";
import { ticks } from "components/time_format.js";
import { lastAtOrBefore } from "components/trace_model.js";

const FONT = "11px system-ui, sans-serif";
const CHARACTER = 5.9;
const LABEL_GAP = 10;
const DENSE = 3;
const BIN = 3;
const SHORT = 4;

/** The lanes. `marks` are the events in rows (lane_rows.js), `selected` is the index of an event or -1. */
export function Lanes({ rows, events, view, selected }) {
  const canvas = useRef(null);
  const overlay = useRef(null);
  const height = rows.length ? rows.at(-1).top + rows.at(-1).height : 0;
  useCanvas(canvas, view, (context, width) => drawLanes(context, width, height, { rows, events, view }), [rows]);
  useCanvas(overlay, view, (context, width) => drawSelected(context, width, height, { rows, events, view, selected }), [rows, selected]);
  return html`
    <div class="track lanes">
      <div class="gutter" aria-hidden="true">
        ${rows.map((row) => html`<div class="lane-label" key=${row.lane} style=${{ height: `${row.height}px` }}>
          ${row.label}${row.covered > 0 && html`<span class="lane-more" title="Drawn over others: filter by text, session or actor to see them">${row.covered} hidden</span>`}
        </div>`)}
      </div>
      <div class="plot" data-plot="lanes" style=${{ height: `${height}px` }}>
        <canvas ref=${canvas} aria-hidden="true" />
        <canvas ref=${overlay} aria-hidden="true" />
      </div>
    </div>
  `;
}

/** The labels of the time axis. */
export function Ruler({ view }) {
  const canvas = useRef(null);
  useCanvas(canvas, view, (context, width, height) => drawRuler(context, width, height, view), []);
  return html`
    <div class="track ruler">
      <div class="gutter" aria-hidden="true"></div>
      <div class="plot" data-plot="ruler"><canvas ref=${canvas} aria-hidden="true" /></div>
    </div>
  `;
}

/** The whole recording: how many events each moment has, where errors are, and which part is visible. */
export function Overview({ events, shown, view, errors }) {
  const canvas = useRef(null);
  const counted = useRef({});
  const draw = (context, width, height) => {
    if (counted.current.shown !== shown || counted.current.width !== width) {
      counted.current = { shown, width, counts: countsOf(events, shown, view, width) };
    }
    drawOverview(context, width, height, { events, counts: counted.current.counts, view, errors });
  };
  useCanvas(canvas, view, draw, [shown]);
  return html`
    <div class="track overview">
      <div class="gutter" aria-hidden="true"></div>
      <div class="plot" data-plot="overview"><canvas ref=${canvas} aria-hidden="true" /></div>
    </div>
  `;
}

function tonesOf(palette) {
  const tones = [];
  tones[TONES.client] = palette.accent;
  tones[TONES.server] = palette.server;
  tones[TONES.test] = palette.muted;
  tones[TONES.error] = palette.error;
  tones[TONES.pending] = palette.pending;
  tones[TONES.warning] = palette.warning;
  return tones;
}

function fillsOf(palette) {
  const fills = [];
  fills[TONES.client] = palette["accent-soft"];
  fills[TONES.server] = palette["server-soft"];
  fills[TONES.test] = palette["test-soft"];
  fills[TONES.error] = palette["error-soft"];
  fills[TONES.pending] = palette["pending-soft"];
  fills[TONES.warning] = palette["warning-soft"];
  return fills;
}

function drawLanes(context, width, height, { rows, events, view }) {
  const palette = colors(
    "accent", "accent-soft", "server", "server-soft", "muted", "test-soft", "error", "error-soft",
    "pending", "pending-soft", "warning", "warning-soft", "ink", "line", "surface", "grid",
  );
  const scale = width / (view.to - view.from);
  drawGrid(context, width, height, view, palette.grid);
  context.fillStyle = palette.line;
  for (const row of rows) context.fillRect(0, row.top + row.height - 1, width, 1);
  const pen = { context, width, view, scale, palette, tones: tonesOf(palette), fills: fillsOf(palette), events };
  context.font = FONT;
  context.textBaseline = "middle";
  for (const row of rows) drawRow(pen, row);
}

function drawGrid(context, width, height, view, color) {
  context.fillStyle = color;
  const scale = width / (view.to - view.from);
  for (const { at } of ticks(view.from, view.to, width / 90)) {
    context.fillRect(Math.round((at - view.from) * scale), 0, 1, height);
  }
}

function drawRow(pen, row) {
  const { view, scale, width } = pen;
  const last = lastAtOrBefore(row.at, view.to);
  const isMarks = row.levelHeight < 17;
  const first = isMarks ? Math.max(lastAtOrBefore(row.at, view.from - 12 / scale), 0) : 0;
  const isDense = isMarks && last - first > (width * row.levels) / DENSE;
  const columns = new Int32Array(row.levels * 8).fill(-10);
  const labeled = new Float64Array(row.levels).fill(Infinity);
  for (let place = last; place >= first; place--) {
    if (row.end[place] < view.from - 12 / scale) continue;
    const x = (row.at[place] - view.from) * scale;
    const level = row.level[place];
    const tone = row.tone[place];
    const y = row.top + row.padding + level * row.levelHeight;
    const isSpan = row.shape[place] <= SHAPES.pending;
    // Of marks that share a pixel, one of each color is drawn.
    const column = Math.round(x);
    const key = level * 8 + tone;
    if (isSpan) {
      const end = Math.min((row.end[place] - view.from) * scale, width + 4);
      const isShort = end - x < SHORT;
      if (isShort && columns[key] === column) continue;
      columns[key] = column;
      if (isShort && labeled[level] - x < 40) drawShortSpan(pen, tone, x, y, row.levelHeight - 2);
      else drawSpan(pen, row, place, x, Math.max(end, x + 2), y, labeled[level]);
      labeled[level] = x;
    } else {
      if (columns[key] === column) continue;
      columns[key] = column;
      if (isDense) {
        pen.context.fillStyle = pen.tones[tone];
        pen.context.fillRect(column, y + 2, 1, row.levelHeight - 4);
      } else {
        drawMark(pen, row.shape[place], tone, x, y + row.levelHeight / 2);
        drawLabelBeside(pen, row, place, x, y + row.levelHeight / 2, labeled[level]);
      }
      labeled[level] = x;
    }
  }
}

/** Draw a span that is too short for its soft color and its name. */
function drawShortSpan({ context, tones }, tone, x, y, height) {
  context.fillStyle = tones[tone];
  context.globalAlpha = tone === TONES.error ? 1 : 0.5;
  context.fillRect(Math.round(x), y, 2, height);
  context.globalAlpha = 1;
}

function drawSpan({ context, palette, tones, fills, events, width }, row, place, x, end, y, next) {
  const height = row.levelHeight - 2;
  const tone = row.tone[place];
  const isPending = row.shape[place] === SHAPES.pending;
  const left = Math.max(x, -4);
  context.fillStyle = fills[isPending ? TONES.pending : tone];
  context.beginPath();
  context.roundRect(left, y, end - left, height, 3);
  context.fill();
  if (isPending) drawStripes(context, left, Math.min(end, width), y, height, palette.pending);
  context.fillStyle = tones[isPending ? TONES.pending : tone];
  context.fillRect(left, y, 2, height);
  const room = Math.min(end, width) - Math.max(left, 0) - 10;
  const { name } = events[row.indices[place]];
  if (room > 14 && (room > 60 || name.length * CHARACTER <= room)) {
    context.fillStyle = palette.ink;
    context.fillText(cut(name, room), Math.max(left, 0) + 6, y + height / 2 + 0.5);
  } else {
    drawLabelBeside({ context, palette, tones, events, width }, row, place, end - 3, y + height / 2, next);
  }
}

/** Draw diagonal stripes, by which a pending span differs from others without its color. */
function drawStripes(context, left, right, y, height, color) {
  context.save();
  context.beginPath();
  context.rect(left, y, right - left, height);
  context.clip();
  context.globalAlpha = 0.25;
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.beginPath();
  for (let x = left - height; x < right; x += 9) {
    context.moveTo(x, y + height);
    context.lineTo(x + height, y);
  }
  context.stroke();
  context.restore();
}

/** Draw a triangle down for a message to the server, up for one to the client; a diamond; or a dot. */
function drawMark({ context, tones }, shape, tone, x, y) {
  context.fillStyle = tones[tone];
  context.beginPath();
  if (shape === SHAPES.dot) {
    context.arc(x, y, 3, 0, 7);
  } else if (shape === SHAPES.diamond) {
    context.moveTo(x, y - 5);
    context.lineTo(x + 4.5, y);
    context.lineTo(x, y + 5);
    context.lineTo(x - 4.5, y);
  } else {
    const tip = shape === SHAPES.toServer ? 4.5 : -4.5;
    context.moveTo(x - 4.5, y - tip * 0.8);
    context.lineTo(x + 4.5, y - tip * 0.8);
    context.lineTo(x, y + tip);
  }
  context.fill();
}

/** Draw the name of the event right of `x`, if it ends before the next event of the level. */
function drawLabelBeside({ context, palette, tones, events, width }, row, place, x, y, next) {
  const room = Math.min(next - LABEL_GAP, width) - (x + LABEL_GAP);
  const { name } = events[row.indices[place]];
  if (room < 20 || x < 0 || (name.length * CHARACTER > room && room < 70)) return;
  context.fillStyle = row.tone[place] === TONES.error ? tones[TONES.error] : palette.muted;
  context.fillText(cut(name, room), x + LABEL_GAP, y + 0.5);
}

function cut(text, room) {
  const most = Math.floor(room / CHARACTER);
  return text.length <= most ? text : `${text.slice(0, Math.max(most - 1, 1))}…`;
}

function drawSelected(context, width, height, { rows, events, view, selected }) {
  if (selected < 0) return;
  const palette = colors("accent");
  const scale = width / (view.to - view.from);
  const x = (events[selected].t - view.from) * scale;
  context.fillStyle = palette.accent;
  context.globalAlpha = 0.55;
  context.fillRect(Math.round(x), 0, 1, height);
  context.globalAlpha = 1;
  const row = rows.find(({ lane }) => lane === events[selected].lane);
  const place = row ? row.indices.indexOf(selected) : -1;
  if (place < 0) return;
  const y = row.top + row.padding + row.level[place] * row.levelHeight;
  context.strokeStyle = palette.accent;
  context.lineWidth = 1.5;
  context.beginPath();
  if (row.shape[place] <= SHAPES.pending) {
    const left = Math.max(x, -6);
    const end = Math.min(Math.max((row.end[place] - view.from) * scale, x + 2), width + 6);
    context.roundRect(left - 1, y - 1, end - left + 2, row.levelHeight, 4);
  } else {
    context.arc(x, y + row.levelHeight / 2, 7.5, 0, 7);
  }
  context.stroke();
}

function drawRuler(context, width, height, view) {
  const palette = colors("muted", "line");
  const scale = width / (view.to - view.from);
  context.font = FONT;
  context.textBaseline = "middle";
  for (const { at, label } of ticks(view.from, view.to, width / 90)) {
    const x = Math.round((at - view.from) * scale);
    context.fillStyle = palette.line;
    context.fillRect(x, height - 5, 1, 5);
    if (x + label.length * CHARACTER + 6 > width) continue;
    context.fillStyle = palette.muted;
    context.fillText(label, x + 4, height / 2);
  }
}

/** Return the number of events in each bin of the overview. */
function countsOf(events, shown, view, width) {
  const scale = width / (view.most - view.least) / BIN;
  const counts = new Uint32Array(Math.ceil(width / BIN) + 1);
  for (const index of shown) counts[Math.floor((events[index].t - view.least) * scale)]++;
  return counts;
}

function drawOverview(context, width, height, { events, counts, view, errors }) {
  const palette = colors("server", "error", "accent", "accent-soft", "line");
  const scale = width / (view.most - view.least);
  const most = counts.reduce((one, other) => Math.max(one, other), 1);
  const left = (view.from - view.least) * scale;
  const right = (view.to - view.least) * scale;
  context.fillStyle = palette["accent-soft"];
  context.fillRect(left, 0, Math.max(right - left, 2), height);
  context.fillStyle = palette.server;
  counts.forEach((count, bin) => {
    if (count === 0) return;
    const tall = Math.max(2, (height - 5) * (Math.log1p(count) / Math.log1p(most)));
    context.fillRect(bin * BIN, height - tall, 2, tall);
  });
  context.fillStyle = palette.error;
  for (const index of errors) context.fillRect(Math.round((events[index].t - view.least) * scale), 0, 2, height);
  context.fillStyle = palette.accent;
  context.fillRect(left, height - 2, Math.max(right - left, 2), 2);
}
