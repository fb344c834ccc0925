// The film strip of a running mock: which frames of which streams are shown at which times.
//
// A frame is known if an entry of the journal says so: the first one when a stream runs, and the first one after each interaction.
// The state has the number of frames of a stream that has ended. Frames between two that are known are shown each second.

import { html } from "components/html.js";
import { ratioOf } from "components/trace_model.js";
import { FileImage } from "console/control_files.js";

const STARTED = "stream starting -> running";
/** Frames that are shown of one stream, at most. */
const MOST_FRAMES = 600;
/** A picture of unknown size in the film strip. */
const USUAL_RATIO = 9 / 16;

/**
 * Create the film of a model (`live_trace.js`): `update(streams, beganAt)` takes in its new events and the streams of the mock's
 * state, and returns the tracks for `FilmStrip`, those of the latest streams first.
 */
export function createFilm(model) {
  const known = new Map();
  let checked = 0;
  let latest = { key: "", tracks: [] };

  function update(streams, beganAt) {
    const { events } = model;
    for (; checked < events.length; checked++) {
      const { lane, name, stream, session, t, data } = events[checked];
      if (stream === undefined) continue;
      const index = lane === "state" && name === STARTED ? 0 : lane === "channel" && name === "update_acknowledged" ? data.frame_index : undefined;
      if (!Number.isInteger(index)) continue;
      if (!known.has(stream)) known.set(stream, { session, frames: [] });
      known.get(stream).frames.push({ at: t, index, event: checked });
    }
    const shown = streams.filter(({ stream_id: id }) => known.has(id)).reverse();
    const key = shown.map(({ stream_id: id, frames }) => `${id} ${frames ?? ""} ${known.get(id).frames.length}`).join("\n");
    if (key !== latest.key) latest = { key, tracks: shown.map((stream) => trackOf(stream, known.get(stream.stream_id), beganAt)) };
    return latest.tracks;
  }
  return { update };
}

function trackOf({ stream_id: id, width, height, frames, ended_at: endedAt }, { session, frames: known }, beganAt) {
  const track = { label: `Stream ${id.slice(0, 4)}`, session, at: [], names: [], ratios: [], indices: [] };
  const ratio = ratioOf({ width, height }, USUAL_RATIO);
  const points = frames > 0 && endedAt !== null ? [...known, { at: endedAt - beganAt, index: frames - 1, event: known.at(-1).event }] : known;
  const add = ({ at, index, event }) => {
    if (track.at.length && (at < track.at.at(-1) || track.names.at(-1) === nameOf(id, index))) return;
    track.at.push(at);
    track.names.push(nameOf(id, index));
    track.ratios.push(ratio);
    track.indices.push(event);
  };
  points.forEach((point, place) => {
    add(point);
    const next = points[place + 1];
    if (!next) return;
    const count = Math.min(Math.floor(next.at - point.at), MOST_FRAMES - track.at.length);
    const perSecond = (next.index - point.index) / (next.at - point.at);
    for (let second = 1; second < count; second++) {
      add({ at: point.at + second, index: point.index + Math.floor(perSecond * second), event: point.event });
    }
  });
  return track;
}

function nameOf(stream, index) {
  return `${stream}/${index}`;
}

/** Create the component FrameImage({name, ...attributes}) of `TraceBrowser`, for the frames of the tracks. */
export function createFrameImage(api) {
  return ({ name, ...attributes }) => {
    const [stream, index] = name.split("/");
    // The browser keeps frames that were in sight. The mock confirms that they are still the same.
    return html`<${FileImage} api=${api} path=${`streams/${encodeURIComponent(stream)}/frames/${index}.jpg`} cache="default" ...${attributes} />`;
  };
}
