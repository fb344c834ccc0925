// Reads a trace file: a zip with manifest.json, events.jsonl, thumbnails and source files.
// Every limit is one of odyssey_client/trace/archive.py. The file is only read: nothing of it is executed or inserted as markup.

import { unzipSync } from "fflate";
import { bytes, whole } from "components/time_format.js";

const FORMAT = "odytrace";
const VERSION = 1;

const MAX_FILE_BYTES = 256 << 20;
const MAX_UNPACKED_BYTES = 512 << 20;
const MAX_ENTRIES = 20_000;
const MAX_LINE_BYTES = 8 << 20;
const MAX_EVENTS = 2_000_000;
const MAX_DEPTH = 500;
const PIECE_BYTES = 4 << 20;
const LINE_END = 10;

const NAMES = /^(manifest\.json|events\.jsonl|frames\/\d{6}\.jpg|sources\/\d{1,4}\.txt)$/;
const SIDES = ["client", "server", "test"];
const SENDERS = ["client", "server"];
const OUTCOMES = ["passed", "failed", "error", "none"];
const TIME_AXES = ["real", "virtual"];

/** The lanes in the order in which they are shown. */
export const LANES = [
  "test", "call", "callback", "http", "signaling", "sdp", "peer", "channel",
  "stats", "state", "deadline", "fault", "clock", "frame", "log", "note",
];
const ONE_LANE = `one of ${LANES.join(", ")} as \`lane\``;
const ONE_SIDE = `one of ${SIDES.join(", ")} as \`side\``;
const OPTIONAL_TEXTS = ["actor", "session", "stream", "error"];
const SPAN_LANES = ["test", "call", "callback", "http"];

/** A file that is no trace, or that this page cannot show. The message states what was expected and what the file has. */
export class TraceFileError extends Error {}

/** Return why a file cannot be shown, for the reader; `error` is what was thrown while it was read. */
export function problemOf(error) {
  return error instanceof TraceFileError ? error.message : `expected a trace file, got one that cannot be read (${error})`;
}

/** Refuse a file by its size, before it is read. */
export function checkSize(size) {
  if (size > MAX_FILE_BYTES) {
    throw new TraceFileError(`expected a file of at most ${bytes(MAX_FILE_BYTES)}, got ${bytes(size)}`);
  }
}

/**
 * Return the trace in the bytes of a file: {manifest, events, images, sources}.
 *
 * `images` has the JPEG bytes by name, `sources` has {first, lines} by the path of the source file.
 */
export function readTrace(file) {
  checkSize(file.length);
  checkDirectory(file);
  const entries = unpack(file);
  const manifest = readManifest(entries);
  const events = readEvents(entry(entries, "events.jsonl"));
  const images = new Map();
  for (const [name, content] of Object.entries(entries)) {
    if (name.startsWith("frames/") && content[0] === 0xff && content[1] === 0xd8) images.set(name, content);
  }
  return { manifest, events, images, sources: readSources(manifest, entries) };
}

/** Check the zip's directory: number of entries, names and encryption. Nothing is unpacked yet. */
function checkDirectory(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let end = file.length - 22;
  for (const last = Math.max(0, end - 65_535); end >= last && view.getUint32(end, true) !== 0x06054b50; ) end--;
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50) {
    throw new TraceFileError("expected a zip file that is complete, got another kind of file, or only a part of one");
  }
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  if (count === 0xffff || at === 0xffffffff) {
    throw new TraceFileError(`expected at most ${whole(MAX_ENTRIES)} entries, got a zip64 file, which is for more`);
  }
  if (count > MAX_ENTRIES) {
    throw new TraceFileError(`expected at most ${whole(MAX_ENTRIES)} entries in the zip file, got ${whole(count)}`);
  }
  const seen = new Set();
  let unpacked = 0;
  for (let number = 0; number < count; number++) {
    if (at + 46 > file.length || view.getUint32(at, true) !== 0x02014b50) throw broken("the directory of the zip file");
    const nameLength = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(file.subarray(at + 46, at + 46 + nameLength));
    if (!NAMES.test(name)) {
      throw new TraceFileError(
        `expected only manifest.json, events.jsonl, frames/*.jpg and sources/*.txt in the zip file, got ${shown(name)}`,
      );
    }
    if (seen.has(name)) throw new TraceFileError(`expected each entry once, got ${shown(name)} twice`);
    seen.add(name);
    if (view.getUint16(at + 8, true) & 1) throw new TraceFileError(`expected no encryption, got ${name} encrypted`);
    if ((view.getUint32(at + 38, true) >>> 28) === 0xa) throw new TraceFileError(`expected a file, got a link: ${name}`);
    unpacked += view.getUint32(at + 24, true);
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  if (unpacked > MAX_UNPACKED_BYTES) {
    throw new TraceFileError(`expected at most ${bytes(MAX_UNPACKED_BYTES)} when unpacked, got ${bytes(unpacked)}`);
  }
}

function unpack(file) {
  try {
    return unzipSync(file);
  } catch (error) {
    throw broken("the compressed contents", error);
  }
}

function readManifest(entries) {
  const manifest = json(text(entry(entries, "manifest.json"), "manifest.json"), "manifest.json");
  check(isObject(manifest), "manifest.json", "an object", manifest);
  check(manifest.format === FORMAT, "manifest.json", `the format "${FORMAT}"`, manifest.format);
  if (Number.isInteger(manifest.version) && manifest.version > VERSION) {
    throw new TraceFileError(
      `written by a newer version (${manifest.version}); this page reads version ${VERSION}: upgrade odyssey-testkit`,
    );
  }
  check(manifest.version === VERSION, "manifest.json", `the version ${VERSION}`, manifest.version);
  check(typeof manifest.title === "string", "manifest.json", "text as `title`", manifest.title);
  for (const name of ["began_at", "duration"]) {
    check(Number.isFinite(manifest[name]), "manifest.json", `a number as \`${name}\``, manifest[name]);
  }
  check(OUTCOMES.includes(manifest.outcome), "manifest.json", `one of ${OUTCOMES.join(", ")} as \`outcome\``, manifest.outcome);
  check(TIME_AXES.includes(manifest.time), "manifest.json", `one of ${TIME_AXES.join(", ")} as \`time\``, manifest.time);
  for (const name of ["recorded_by", "dropped"]) {
    manifest[name] ??= {};
    check(isObject(manifest[name]), "manifest.json", `an object as \`${name}\``, manifest[name]);
  }
  for (const [lane, count] of Object.entries(manifest.dropped)) {
    check(Number.isInteger(count), "manifest.json", `a whole number as \`dropped.${lane}\``, count);
  }
  manifest.sources ??= [];
  check(Array.isArray(manifest.sources), "manifest.json", "a list as `sources`", manifest.sources);
  if (manifest.failure != null) {
    const failure = manifest.failure;
    check(isObject(failure), "manifest.json", "an object as `failure`", failure);
    for (const name of ["type", "message"]) {
      check(typeof failure[name] === "string", "manifest.json", `text as \`failure.${name}\``, failure[name]);
    }
    failure.traceback = typeof failure.traceback === "string" ? failure.traceback : "";
    failure.phase = typeof failure.phase === "string" ? failure.phase : "call";
    if (failure.source != null) checkSource(failure.source, "manifest.json");
  }
  return manifest;
}

/** Return the events of `events.jsonl`, in the order of their times. */
function readEvents(content) {
  const events = [];
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 0;
  for (const [begin, end] of piecesOf(content)) {
    for (const line of text(content.subarray(begin, end), "events.jsonl", decoder).split("\n")) {
      number++;
      if (line.length > MAX_LINE_BYTES) {
        throw new TraceFileError(`${placeName(number)}: expected at most ${bytes(MAX_LINE_BYTES)}, got ${bytes(line.length)}`);
      }
      if (line === "") continue;
      if (events.length === MAX_EVENTS) throw new TraceFileError(`expected at most ${whole(MAX_EVENTS)} events, got more`);
      events.push(eventOf(line, number));
    }
  }
  for (let place = 1; place < events.length; place++) {
    if (events[place].t < events[place - 1].t) return events.sort((one, other) => one.t - other.t || one.i - other.i);
  }
  return events;
}

/** Return the name of a place in the file: an entry, or a line of `events.jsonl` by its number. */
function placeName(where) {
  return typeof where === "number" ? `events.jsonl, line ${where}` : where;
}

/** Yield the beginning and end of pieces of whole lines, without the last line end. Decoding line by line is slower. */
function* piecesOf(content) {
  for (let begin = 0; begin < content.length; ) {
    let end = Math.min(begin + PIECE_BYTES, content.length);
    if (end < content.length) end = content.lastIndexOf(LINE_END, end - 1);
    if (end < begin) end = content.indexOf(LINE_END, begin);
    if (end < 0) end = content.length;
    yield [begin, content[end - 1] === LINE_END && end === content.length ? end - 1 : end];
    begin = end + 1;
  }
}

function eventOf(line, where) {
  const event = checkedEvent(json(line, where), where);
  if (line.length > MAX_DEPTH && depthOf(event, MAX_DEPTH) > MAX_DEPTH) {
    throw new TraceFileError(`${placeName(where)}: expected JSON that is nested at most ${MAX_DEPTH} times, got more`);
  }
  return event;
}

/** Return how often a value is nested, at most `limit` + 1. */
function depthOf(value, limit) {
  if (typeof value !== "object" || value === null || limit < 0) return 0;
  let most = 0;
  for (const each of Object.values(value)) {
    most = Math.max(most, depthOf(each, limit - 1));
    if (most >= limit) break;
  }
  return most + 1;
}

function checkedEvent(event, where) {
  check(isObject(event), where, "an object", event);
  check(Number.isInteger(event.i), where, "a whole number as `i`", event.i);
  check(Number.isFinite(event.t), where, "a number as `t`", event.t);
  check(LANES.includes(event.lane), where, ONE_LANE, event.lane);
  check(SIDES.includes(event.side), where, ONE_SIDE, event.side);
  check(typeof event.name === "string", where, "text as `name`", event.name);
  if ("end" in event) {
    check(SPAN_LANES.includes(event.lane), where, "no `end` in this lane", event.end);
    check(event.end === null || Number.isFinite(event.end), where, "a number or null as `end`", event.end);
  }
  for (const name of OPTIONAL_TEXTS) {
    const value = event[name];
    if (value === undefined || typeof value === "string") continue;
    check(value === null, where, `text as \`${name}\``, value);
    delete event[name];
  }
  if ("from" in event) check(SENDERS.includes(event.from), where, "client or server as `from`", event.from);
  if ("source" in event) checkSource(event.source, where);
  event.data ??= {};
  check(isObject(event.data), where, "an object as `data`", event.data);
  return event;
}

function checkSource(source, where) {
  check(isObject(source), where, "an object as `source`", source);
  check(typeof source.file === "string", where, "text as `source.file`", source.file);
  check(Number.isInteger(source.line), where, "a whole number as `source.line`", source.line);
}

function readSources(manifest, entries) {
  const sources = new Map();
  for (const listed of manifest.sources) {
    check(isObject(listed) && typeof listed.file === "string", "manifest.json", "objects with a `file` in `sources`", listed);
    const content = Object.hasOwn(entries, listed.entry) ? entries[listed.entry] : undefined;
    if (content === undefined) throw new TraceFileError(`expected the entry ${shown(listed.entry)}, which manifest.json lists`);
    const first = Number.isInteger(listed.first_line) ? listed.first_line : 1;
    sources.set(listed.file, { first, lines: new TextDecoder().decode(content).split(/\r?\n/) });
  }
  return sources;
}

function entry(entries, name) {
  if (!Object.hasOwn(entries, name)) {
    throw new TraceFileError(`expected a zip file with the entry ${name}, got one without: this is no trace of odyssey-testkit`);
  }
  return entries[name];
}

function text(content, where, decoder = new TextDecoder("utf-8", { fatal: true })) {
  try {
    return decoder.decode(content);
  } catch {
    throw new TraceFileError(`${where}: expected text in UTF-8, got other bytes`);
  }
}

function json(value, where) {
  try {
    return JSON.parse(value);
  } catch {
    throw new TraceFileError(`${placeName(where)}: expected JSON, got ${shown(value)}`);
  }
}

function check(holds, where, expected, got) {
  if (!holds) throw new TraceFileError(`${placeName(where)}: expected ${expected}, got ${shown(got)}`);
}

function broken(what, error) {
  const reason = error ? ` (${error.message})` : "";
  return new TraceFileError(`expected a complete zip file, got one that is damaged: ${what} cannot be read${reason}`);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value) {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
