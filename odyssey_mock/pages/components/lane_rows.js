// The layout of the lanes: which row and level each event has. Plain data, no DOM.

import { endOf, isError, isPending, LANE_LABELS } from "components/trace_model.js";

/** What a mark looks like. */
export const SHAPES = { span: 0, pending: 1, toServer: 2, toClient: 3, dot: 4, diamond: 5 };
/** The color of a mark. */
export const TONES = { client: 0, server: 1, test: 2, error: 3, pending: 4, warning: 5 };

/** Levels of one side of a lane. Spans for which all are taken are drawn over others, and counted. */
const MOST_LEVELS = 16;
const SPAN_HEIGHT = 17;
const MARK_HEIGHT = 13;
const ROW_PADDING = 4;
const ELSEWHERE = new Set(["frame", "stats"]);

/**
 * Return the rows of the shown events: [{lane, label, top, height, levels, levelHeight, covered, indices, at, end, level, shape, tone}].
 *
 * In each row, the events of the client are above those of the server. Spans that overlap have different levels, while there
 * are some; `covered` is the number of spans that are drawn over others.
 */
export function rowsOf(events, shown) {
  const byLane = new Map();
  for (const index of shown) {
    const { lane } = events[index];
    if (ELSEWHERE.has(lane)) continue;
    if (!byLane.has(lane)) byLane.set(lane, []);
    byLane.get(lane).push(index);
  }
  let top = 0;
  const rows = [];
  for (const lane of Object.keys(LANE_LABELS)) {
    if (!byLane.has(lane)) continue;
    const row = rowOf(lane, events, byLane.get(lane), top);
    rows.push(row);
    top += row.height;
  }
  return rows;
}

function rowOf(lane, events, indices, top) {
  const size = indices.length;
  const row = {
    lane,
    label: LANE_LABELS[lane],
    top,
    indices: Uint32Array.from(indices),
    at: new Float64Array(size),
    end: new Float64Array(size),
    level: new Uint8Array(size),
    shape: new Uint8Array(size),
    tone: new Uint8Array(size),
  };
  let hasSpans = false;
  row.covered = 0;
  const above = [];
  const below = [];
  indices.forEach((index, place) => {
    const event = events[index];
    row.at[place] = event.t;
    row.end[place] = endOf(event);
    row.shape[place] = shapeOf(event);
    row.tone[place] = toneOf(event);
    hasSpans ||= event.end !== undefined;
    const { level, isFree } = levelOf(event, row.end[place], event.side === "server" ? below : above);
    row.level[place] = level;
    if (!isFree) row.covered++;
  });
  if (above.length && below.length) {
    indices.forEach((index, place) => {
      if (events[index].side === "server") row.level[place] += above.length;
    });
  }
  row.levels = Math.max(above.length + below.length, 1);
  row.levelHeight = hasSpans ? SPAN_HEIGHT : MARK_HEIGHT;
  row.height = row.levels * row.levelHeight + ROW_PADDING * 2;
  row.padding = ROW_PADDING;
  return row;
}

/** Return the first level of the side that is free at the time of the event, or the last: {level, isFree}. `ends` has the end of each level. */
function levelOf(event, end, ends) {
  const isSpan = event.end !== undefined;
  let level = isSpan ? ends.findIndex((until) => until <= event.t) : 0;
  const isFree = level >= 0 || ends.length < MOST_LEVELS;
  if (level < 0) level = isFree ? ends.length : MOST_LEVELS - 1;
  ends[level] = Math.max(ends[level] ?? -Infinity, isSpan ? end : -Infinity);
  return { level, isFree };
}

function shapeOf(event) {
  if (isPending(event)) return SHAPES.pending;
  if (event.end !== undefined) return SHAPES.span;
  if (event.from === "client") return SHAPES.toServer;
  if (event.from === "server") return SHAPES.toClient;
  return ["fault", "clock", "deadline"].includes(event.lane) ? SHAPES.diamond : SHAPES.dot;
}

function toneOf(event) {
  if (isError(event)) return TONES.error;
  if (isPending(event)) return TONES.pending;
  if (event.lane === "fault" || event.data.level === "WARNING") return TONES.warning;
  return TONES[event.side];
}

/**
 * Return the place of the event of a row that is nearest to the moment in the given level, within `reach` seconds;
 * -1 if there is none. A span is hit between its start and its end.
 */
export function nearestInRow(row, level, moment, reach) {
  let best = -1;
  let distance = Infinity;
  for (let place = 0; place < row.at.length && row.at[place] <= moment + reach; place++) {
    if (row.level[place] !== level || row.end[place] < moment - reach) continue;
    const away = Math.max(row.at[place] - moment, moment - row.end[place], 0);
    if (away <= distance) {
      best = place;
      distance = away;
    }
  }
  return best;
}
