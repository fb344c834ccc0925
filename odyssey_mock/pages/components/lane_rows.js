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

/** Return the rows of the shown events; see `createRows`. */
export function rowsOf(events, shown) {
  return createRows(events).append(shown);
}

/**
 * Create the rows of events: {append}. `append(indices)` adds later events, and returns the rows:
 * [{lane, label, top, height, levels, levelHeight, covered, indices, at, end, level, shape, tone}].
 *
 * In each row, the events of the client are above those of the server. Spans that overlap have different levels, while there
 * are some; `covered` is the number of spans that are drawn over others.
 */
export function createRows(events) {
  const lanes = new Map();

  function append(indices) {
    const changed = new Set();
    for (const index of indices) {
      const { lane } = events[index];
      if (ELSEWHERE.has(lane)) continue;
      if (!lanes.has(lane)) lanes.set(lane, createLane(lane, events));
      lanes.get(lane).add(index);
      changed.add(lane);
    }
    let top = 0;
    const rows = [];
    for (const lane of Object.keys(LANE_LABELS)) {
      if (!lanes.has(lane)) continue;
      const row = lanes.get(lane).row(top, changed.has(lane));
      rows.push(row);
      top += row.height;
    }
    return rows;
  }
  return { append };
}

const COLUMNS = { indices: Uint32Array, at: Float64Array, end: Float64Array, level: Uint8Array, shape: Uint8Array, tone: Uint8Array };
const FIRST_CAPACITY = 64;

/** Create a lane without events: `add(index)` adds a later event, `row(top)` returns the row. */
function createLane(lane, events) {
  const columns = Object.fromEntries(Object.entries(COLUMNS).map(([name, Numbers]) => [name, new Numbers(FIRST_CAPACITY)]));
  const above = [];
  const below = [];
  let size = 0;
  let hasSpans = false;
  let covered = 0;
  let latest = null;

  function add(index) {
    if (size === columns.at.length) grow(columns, size * 2);
    const event = events[index];
    const isBelow = event.side === "server";
    const levels = above.length;
    columns.indices[size] = index;
    columns.at[size] = event.t;
    columns.end[size] = endOf(event);
    columns.shape[size] = shapeOf(event);
    columns.tone[size] = toneOf(event);
    hasSpans ||= event.end !== undefined;
    const { level, isFree } = levelOf(event, columns.end[size], isBelow ? below : above);
    columns.level[size] = isBelow ? level + above.length : level;
    if (!isFree) covered++;
    size++;
    if (above.length > levels && below.length) lower();
  }

  /** Move the events of the server below a level of the client that is new. */
  function lower() {
    for (let place = 0; place < size; place++) {
      if (events[columns.indices[place]].side === "server") columns.level[place]++;
    }
  }

  function row(top, isChanged) {
    if (!isChanged && latest?.top === top) return latest;
    const levels = Math.max(above.length + below.length, 1);
    const levelHeight = hasSpans ? SPAN_HEIGHT : MARK_HEIGHT;
    const parts = Object.entries(columns).map(([name, numbers]) => [name, numbers.subarray(0, size)]);
    latest = {
      ...Object.fromEntries(parts),
      lane, label: LANE_LABELS[lane], top, levels, levelHeight, covered,
      height: levels * levelHeight + ROW_PADDING * 2,
      padding: ROW_PADDING,
    };
    return latest;
  }
  return { add, row };
}

function grow(columns, capacity) {
  for (const [name, numbers] of Object.entries(columns)) {
    columns[name] = new COLUMNS[name](capacity);
    columns[name].set(numbers);
  }
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
