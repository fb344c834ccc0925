// What the page shows of a trace: lanes, sessions, errors, pairs of messages, frames and statistics. Plain data, no DOM.

import { LANES } from "viewer/trace_file.js";

export const LANE_LABELS = {
  test: "Test", call: "Calls", callback: "Callbacks", http: "HTTP", signaling: "Signaling", sdp: "SDP", peer: "Peer",
  channel: "Channel", stats: "Statistics", state: "States", deadline: "Deadlines", fault: "Faults", clock: "Clock",
  frame: "Frames", log: "Log", note: "Notes",
};

/** Return whether an event is a span that had not ended when the recording did. */
export function isPending(event) {
  return event.end === null;
}

/** Return the end of an event in seconds: of a pending span Infinity, of a message its time. */
export function endOf(event) {
  return event.end === undefined ? event.t : event.end === null ? Infinity : event.end;
}

/** Return all that the page shows of a trace, as `readTrace` returns it. */
export function modelOf({ manifest, events, images, sources }) {
  let last = Math.max(manifest.duration, 0);
  const counts = new Map();
  const sessions = new Map();
  const actors = new Map();
  const errors = [];
  const pending = [];
  events.forEach((event, index) => {
    const end = endOf(event);
    last = Math.max(last, end === Infinity ? event.t : end);
    count(counts, event.lane);
    if (event.session !== undefined) count(sessions, event.session);
    if (event.actor !== undefined) count(actors, event.actor);
    if (event.error !== undefined) errors.push(index);
    if (isPending(event)) pending.push(index);
  });
  return {
    manifest,
    events,
    images,
    sources,
    first: Math.min(0, events.length ? events[0].t : 0),
    last,
    lanes: LANES.filter((lane) => counts.has(lane)).map((lane) => ({ lane, count: counts.get(lane) })),
    sessions: [...sessions.keys()],
    actors: [...actors.keys()].sort(),
    errors,
    pending,
    firstError: errors.find((index) => events[index].lane !== "test") ?? errors[0] ?? null,
    pairs: pairsOf(events, sessions.size),
    frames: framesOf(events, images),
    statistics: statisticsOf(events),
  };
}

function count(counts, key) {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

const PAIRED = new Set(["signaling", "sdp", "channel", "http"]);

/** Return, for each event, the index of the same message on the other side; -1 if it has none. */
function pairsOf(events, sessions) {
  const waiting = new Map();
  const pairs = new Int32Array(events.length).fill(-1);
  events.forEach((event, index) => {
    if (!PAIRED.has(event.lane) || event.side === "test") return;
    const key = JSON.stringify([event.lane, event.name, event.from ?? "", sessions > 1 ? (event.session ?? "") : ""]);
    if (!waiting.has(key)) waiting.set(key, { client: [], server: [] });
    const sides = waiting.get(key);
    const other = sides[event.side === "client" ? "server" : "client"].shift();
    if (other === undefined) {
      sides[event.side].push(index);
    } else {
      pairs[index] = other;
      pairs[other] = index;
    }
  });
  return pairs;
}

/** Return the frames of each stream: [{label, at: [seconds], names: [file], indices: [event]}]. */
function framesOf(events, images) {
  const tracks = new Map();
  events.forEach((event, index) => {
    if (event.lane !== "frame" || !images.has(event.data.file)) return;
    const label = event.actor ?? (event.side === "server" ? "server" : "client");
    const key = JSON.stringify([label, event.session ?? ""]);
    if (!tracks.has(key)) tracks.set(key, { label, session: event.session, actor: event.actor, at: [], names: [], indices: [] });
    const track = tracks.get(key);
    track.at.push(event.t);
    track.names.push(event.data.file);
    track.indices.push(index);
  });
  return [...tracks.values()];
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

/** The plotted statistics: names of W3C webrtc-stats, and how to show a value. */
export const METRICS = [
  { name: "framesPerSecond", label: "fps", text: (value) => value.toFixed(0) },
  { name: "bitrate", label: "bitrate", text: (value) => `${(value / 1e6).toFixed(2)} Mb/s` },
  { name: "packetsLost", label: "lost", text: (value) => value.toFixed(0) },
  { name: "jitter", label: "jitter", text: (value) => `${(value * 1000).toFixed(1)} ms` },
];

/** Return the received video of each peer: [{label, at: [seconds], indices, values: {metric: [number or null]}}]. */
function statisticsOf(events) {
  const peers = new Map();
  events.forEach((event, index) => {
    if (event.lane !== "stats") return;
    const report = videoReport(event.data.reports);
    if (!report) return;
    const label = event.actor ?? event.side;
    const key = JSON.stringify([label, event.session ?? "", event.side]);
    if (!peers.has(key)) {
      const values = Object.fromEntries(METRICS.map(({ name }) => [name, []]));
      peers.set(key, { label, session: event.session, actor: event.actor, at: [], indices: [], values, before: null });
    }
    const peer = peers.get(key);
    const now = { at: event.t, bytes: report.bytesReceived ?? report.bytesSent, frames: report.framesDecoded ?? report.framesSent };
    const rate = (name) => perSecond(peer.before, now, name);
    peer.at.push(event.t);
    peer.indices.push(index);
    peer.values.framesPerSecond.push(numberOr(report.framesPerSecond, rate("frames")));
    peer.values.bitrate.push(scaled(rate("bytes"), 8));
    peer.values.packetsLost.push(numberOr(report.packetsLost, null));
    peer.values.jitter.push(numberOr(report.jitter, null));
    peer.before = now;
  });
  return [...peers.values()];
}

function videoReport(reports) {
  if (typeof reports !== "object" || reports === null) return undefined;
  const streams = Object.values(reports).filter((report) => /^(in|out)bound-rtp$/.test(report?.type));
  const videos = streams.filter((report) => (report.kind ?? "video") === "video");
  return videos.find((report) => report.type === "inbound-rtp") ?? videos[0];
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
