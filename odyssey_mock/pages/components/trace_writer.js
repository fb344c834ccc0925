// Writes a trace file: a zip with manifest.json and events.jsonl, without thumbnails, as docs/reference/trace.md describes it.

import { strToU8, Zip, ZipDeflate } from "fflate";

const PIECE_CHARACTERS = 1 << 20;

/**
 * Return a promise of a trace file as a `Blob`.
 *
 * `about` has {title, beganAt, duration, recordedBy, dropped}; `events` are as in `events.jsonl`. The page stays
 * responsive: the file is compressed in pieces.
 */
export async function writeTrace({ about, events }) {
  const pieces = [];
  const archive = new Zip((error, piece) => {
    if (error) throw error;
    pieces.push(piece);
  });
  const add = (entry) => {
    archive.add(entry);
    return entry;
  };
  add(new ZipDeflate("manifest.json")).push(strToU8(JSON.stringify(manifestOf(about, events.length), null, 2)), true);
  const lines = add(new ZipDeflate("events.jsonl"));
  let text = "";
  for (const event of events) {
    text += `${JSON.stringify(event)}\n`;
    if (text.length < PIECE_CHARACTERS) continue;
    lines.push(strToU8(text));
    text = "";
    await new Promise((resolve) => setTimeout(resolve));
  }
  lines.push(strToU8(text), true);
  archive.end();
  return new Blob(pieces, { type: "application/zip" });
}

function manifestOf({ title, beganAt, duration, recordedBy, dropped }, events) {
  return {
    format: "odytrace", version: 1, title, outcome: "none", began_at: beganAt, duration, time: "real", recorded_by: recordedBy,
    seed: null, commit: null, command: null, failure: null, sources: [], events, frames: 0, dropped,
  };
}
