// What the page shows of a trace: lanes, sessions, errors, pairs of messages, frames and statistics. Plain data, no DOM.

import { LANES } from "components/trace_file.js";

export const LANE_LABELS = {
  test: "Test", call: "Calls", callback: "Callbacks", http: "HTTP", signaling: "Signaling", sdp: "SDP", peer: "Peer",
  channel: "Channel", stats: "Statistics", state: "States", deadline: "Deadlines", fault: "Faults", clock: "Clock",
  frame: "Frames", log: "Log", note: "Notes",
};

/** Return whether an event is a span that had not ended when the recording did. */
export function isPending(event) {
  return event.end === null;
}

/** Return whether an event is an error: something went wrong, or a log record says so. */
export function isError(event) {
  return event.error !== undefined || (event.lane === "log" && ["ERROR", "CRITICAL"].includes(event.data.level));
}

/** Return the end of an event in seconds: of a pending span Infinity, of a message its time. */
export function endOf(event) {
  return event.end === undefined ? event.t : event.end === null ? Infinity : event.end;
}

const MOST_SUMMARY = 300;

/** Return what tells an event from others of its name, such as the message of a log record or the prompt of a call; "" if nothing does. */
export function summaryOf({ lane, data }) {
  const sources = { call: data.arguments, channel: data.message, signaling: data.message, callback: data.event };
  const values = sources[lane] ?? data;
  const names = lane === "log" ? ["message"] : lane === "fault" ? ["do"] : lane === "http" ? ["status"] : ["prompt", "code", "reason", "why"];
  const found = names.map((name) => values?.[name]).find((value) => ["string", "number"].includes(typeof value) && value !== "");
  return found === undefined ? "" : String(found).slice(0, MOST_SUMMARY);
}

/** Return all that the page shows of a trace, as `readTrace` returns it. */
export function modelOf({ manifest, events, images, sources }) {
  const { model, append } = createModel({ manifest, images, sources });
  append(events);
  return model;
}

/**
 * Create a model without events: {model, append}.
 *
 * `append(events)` adds later events to `model`. It takes as long as the new events do, however many the model has.
 */
export function createModel({ manifest, images, sources }) {
  const events = [];
  const counts = new Map();
  const sessions = new Set();
  const actors = new Set();
  const model = {
    manifest,
    events,
    images,
    sources,
    first: 0,
    last: Math.max(manifest.duration, 0),
    lanes: [],
    sessions: [],
    actors: [],
    errors: [],
    pending: [],
    firstError: null,
    pairs: [],
    frames: [],
    statistics: [],
  };
  const pairAll = createPairs(events, model.pairs);
  const framesWith = createFrames(images);
  const statisticsWith = createStatistics();
  const isOutsideTest = (index) => events[index].lane !== "test";

  function append(added) {
    const begin = events.length;
    for (const event of added) {
      const index = events.length;
      events.push(event);
      const end = endOf(event);
      model.last = Math.max(model.last, end === Infinity ? event.t : end);
      count(counts, event.lane);
      if (event.session !== undefined) sessions.add(event.session);
      if (event.actor !== undefined) actors.add(event.actor);
      if (isError(event)) model.errors.push(index);
      if (isPending(event)) model.pending.push(index);
    }
    model.first = Math.min(0, events.length ? events[0].t : 0);
    model.lanes = LANES.filter((lane) => counts.has(lane)).map((lane) => ({ lane, count: counts.get(lane) }));
    if (model.sessions.length !== sessions.size) model.sessions = [...sessions];
    if (model.actors.length !== actors.size) model.actors = [...actors].sort();
    if (model.firstError === null || !isOutsideTest(model.firstError)) {
      model.firstError = model.errors.find(isOutsideTest) ?? model.errors[0] ?? null;
    }
    pairAll(begin, sessions.size);
    model.frames = framesWith(events, begin);
    model.statistics = statisticsWith(events, begin);
  }
  return { model, append };
}

function count(counts, key) {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

const PAIRED = new Set(["signaling", "sdp", "channel", "http"]);

/**
 * Create a function that adds to `pairs`, for each event from `begin` on, the index of the same message on the other side; -1 if it
 * has none. The sides of a message that several sessions have are found by its session.
 */
function createPairs(events, pairs) {
  const waiting = new Map();
  const seen = new Set();
  let done = 0;
  return (begin, sessions) => {
    for (let index = begin; index < events.length; index++) {
      pairs.push(-1);
      if (PAIRED.has(events[index].lane)) seen.add(events[index].side);
    }
    // A running mock records only its own side: there is nothing to look for.
    if (!seen.has("client") || !seen.has("server")) return;
    for (; done < events.length; done++) {
      const index = done;
      const event = events[index];
      if (!PAIRED.has(event.lane) || event.side === "test") continue;
      const isRequest = event.lane === "http";
      const session = sessions > 1 && !isRequest ? (event.session ?? "") : "";
      const key = `${event.lane}\n${event.from ?? ""}\n${session}\n${isRequest ? requestOf(event) : event.name}`;
      if (!waiting.has(key)) waiting.set(key, { client: [], server: [] });
      const sides = waiting.get(key);
      const other = sides[event.side === "client" ? "server" : "client"].shift();
      if (other === undefined) {
        sides[event.side].push(index);
      } else {
        pairs[index] = other;
        pairs[other] = index;
      }
    }
  };
}

/** Return the method and path of a request: the client records the whole URL, the server its path and the name of the route. */
function requestOf({ name, data }) {
  const url = URL.parse(String(data.url), "http://server");
  return url ? `${data.method} ${url.pathname}` : name;
}

/** Create a function that adds events, and returns the frames of each stream: [{label, at: [seconds], names: [file], ratios: [width / height], indices: [event]}]. */
function createFrames(images) {
  const tracks = new Map();
  return (events, begin) => {
    for (let index = begin; index < events.length; index++) {
      const event = events[index];
      if (event.lane !== "frame" || !images.has(event.data.file)) continue;
      const track = groupOf(tracks, event, () => ({ at: [], names: [], ratios: [], indices: [] }));
      track.at.push(event.t);
      track.names.push(event.data.file);
      track.ratios.push(ratioOf(event.data));
      track.indices.push(index);
    }
    return labeled(tracks);
  };
}

/** Return the ratio of width to height with which a frame is shown; `usual` if its size is unknown. */
export function ratioOf({ width, height }, usual = 16 / 9) {
  return width > 0 && height > 0 ? Math.min(Math.max(width / height, 0.3), 3) : usual;
}

/** Return the group of an event's actor, side and session in `groups`, which `create` returns if it is new. */
function groupOf(groups, { actor, side, session }, create) {
  const key = JSON.stringify([actor ?? "", side, session ?? ""]);
  if (!groups.has(key)) groups.set(key, { label: "", own: actor ?? side, actor, session, ...create() });
  return groups.get(key);
}

/** Return the groups, with the session in each label that would not be unique. */
function labeled(groups) {
  const all = [...groups.values()];
  const times = new Map();
  for (const { own } of all) count(times, own);
  for (const group of all) {
    group.label = times.get(group.own) > 1 && group.session ? `${group.own} ${group.session.slice(0, 8)}` : group.own;
  }
  return all;
}

/** Return the place of the last number in the ascending `at` that is at most `moment`; -1 if all are greater. */
export function lastAtOrBefore(at, moment) {
  let low = 0;
  let high = at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle] <= moment) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Return the tracks of an event's session; all tracks if it has none, or no video. */
export function tracksOf(tracks, event) {
  const own = tracks.filter(({ session }) => session !== undefined && session === event.session);
  return own.length ? own : tracks;
}

/** Return the frames of a moment, one of each stream that has shown one: [{label, name, index, at}]. */
export function framesAt(tracks, moment) {
  const found = [];
  for (const track of tracks) {
    const place = lastAtOrBefore(track.at, moment);
    if (place >= 0) {
      found.push({ label: track.label, name: track.names[place], index: track.indices[place], at: track.at[place] });
    }
  }
  return found;
}

/** The plotted statistics: names of W3C webrtc-stats or values derived from them, and how to show a value. */
export const METRICS = [
  { name: "framesPerSecond", label: "fps", text: (value) => value.toFixed(0) },
  { name: "bitrate", label: "Mbit/s", text: (value) => (value / 1e6).toFixed(2) },
  { name: "packetsLost", label: "lost", text: (value) => value.toFixed(0) },
  { name: "jitter", label: "jitter", text: (value) => `${(value * 1000).toFixed(1)} ms` },
];

/** Create a function that adds events, and returns the video of each peer in those of the lane `stats`: [{label, at: [seconds], indices, values: {metric: [number or null]}}]. */
export function createStatistics() {
  const peers = new Map();
  return (events, begin) => {
    for (let index = begin; index < events.length; index++) addStatistics(peers, events[index], index);
    return labeled(peers);
  };
}

function addStatistics(peers, event, index) {
  if (event.lane !== "stats") return;
  const report = videoReport(event.data.reports);
  if (!report) return;
  const peer = groupOf(peers, event, () => ({
    at: [], indices: [], values: Object.fromEntries(METRICS.map(({ name }) => [name, []])), before: null,
  }));
  const now = { at: event.t, bytes: bytesOf(event.data.reports, report), frames: report.framesDecoded ?? report.framesSent };
  const rate = (name) => perSecond(peer.before, now, name);
  peer.at.push(event.t);
  peer.indices.push(index);
  peer.values.framesPerSecond.push(numberOr(report.framesPerSecond, rate("frames")));
  peer.values.bitrate.push(scaled(rate("bytes"), 8));
  // What a sender knows of its receiver is in another report.
  const received = report.type === "inbound-rtp" ? report : reportOf(event.data.reports, "remote-inbound-rtp");
  peer.values.packetsLost.push(numberOr(received?.packetsLost, null));
  peer.values.jitter.push(numberOr(received?.jitter, null));
  peer.before = now;
}

/** Return the bytes of the video so far; of the whole transport if the report of the video does not have them. */
function bytesOf(reports, video) {
  const isReceived = video.type === "inbound-rtp";
  const own = isReceived ? video.bytesReceived : video.bytesSent;
  if (own !== undefined) return own;
  const transport = reportOf(reports, "transport");
  return isReceived ? transport?.bytesReceived : transport?.bytesSent;
}

/** Return the first report of a type about video, or about no kind of media. */
function reportOf(reports, type) {
  return Object.values(reports).find((report) => report?.type === type && (report.kind ?? "video") === "video");
}

function videoReport(reports) {
  if (typeof reports !== "object" || reports === null) return undefined;
  return reportOf(reports, "inbound-rtp") ?? reportOf(reports, "outbound-rtp");
}

function perSecond(before, now, name) {
  if (!before || !Number.isFinite(before[name]) || !Number.isFinite(now[name]) || now.at <= before.at) return null;
  return Math.max((now[name] - before[name]) / (now.at - before.at), 0);
}

function numberOr(value, other) {
  return Number.isFinite(value) ? value : other;
}

function scaled(value, factor) {
  return value === null ? null : value * factor;
}
