// A simulation script as the user writes it: its request to the service, and the places of its errors.

import { JsonTextError, lineAndColumn, placeOfPath, placesOf } from "console/json_places.js";

/** Stands for an attached image while the script is checked: the rules do not decode images. */
const SMALL_IMAGE = "data:image/png;base64,AAAA";

export const EXAMPLE = `[
  {"timestamp_ms": 0, "start": {"prompt": "A cat on a windowsill"}},
  {"timestamp_ms": 3000, "interact": {"prompt": "Pet the cat"}},
  {"timestamp_ms": 6000, "interact": {"prompt": "Rain falls outside"}},
  {"timestamp_ms": 9000, "end": {}}
]
`;

/** A script in which an entry starts from an attached image. */
export function exampleWithImage(name) {
  return EXAMPLE.replace('"A cat on a windowsill"}', `"A cat on a windowsill", "image": ${JSON.stringify(referenceTo(name))}}`);
}

/** Return the text that stands for an attached image in a script. */
export function referenceTo(name) {
  return `attached:${name}`;
}

/**
 * Return {body, check, problems}: the body of a request for a job, that of a check, and the errors that need no server.
 *
 * The text is one script, several in an array, or a whole request. `images` are the attached images, by name, as `data:` URLs.
 */
export function readScript(text, { portrait, images }) {
  let places;
  try {
    places = placesOf(text);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    return { body: null, check: null, problems: [problemAt(text, { start: error.at, end: error.at + 1 }, `JSON: ${error.message}`, "")] };
  }
  const value = JSON.parse(text);
  const isRequest = value !== null && typeof value === "object" && !Array.isArray(value);
  const name = Array.isArray(value) && value.length > 0 && value.every(Array.isArray) ? "scripts" : "script";
  const problems = [];
  const used = [];
  for (const [path, { end }] of places) {
    const keys = JSON.parse(path);
    if (keys.at(-1) !== "image" || keys.at(-2) !== "start") continue;
    const image = keys.reduce((inner, key) => inner[key], value);
    if (typeof image !== "string" || !image.startsWith("attached:")) continue;
    const attached = images.get(image.slice("attached:".length));
    if (attached) used.push({ start: end - JSON.stringify(image).length, end, url: attached });
    else problems.push(problemAt(text, placeOfPath(places, keys), `expected the name of an attached image, got ${JSON.stringify(image)}; attach the image below`, ""));
  }
  const filled = (urlOf) => {
    let result = text;
    for (const { start, end, url } of [...used].sort((one, other) => other.start - one.start)) {
      result = `${result.slice(0, start)}${JSON.stringify(urlOf(url))}${result.slice(end)}`;
    }
    return isRequest ? result : `{"portrait": ${portrait}, "output_video": true, "${name}": ${result}}`;
  };
  return {
    body: filled((url) => url),
    check: filled(() => SMALL_IMAGE),
    problems,
    /** Return the problem of an error {loc, msg} of the server. */
    problemOf({ loc, msg }) {
      const path = loc.slice(isRequest ? 1 : 2);
      return problemAt(text, placeOfPath(places, path), msg, pathText(path));
    },
  };
}

/** Return the lengths of the videos of a request in seconds; [] if they are not known. */
export function secondsOf(body) {
  const { script, scripts } = JSON.parse(body);
  return (scripts ?? (script ? [script] : [])).map((entries) => (entries.at(-1)?.timestamp_ms ?? 0) / 1000);
}

function problemAt(text, { start, end }, message, path) {
  // Of an array or object, only the bracket is marked: what is in it can be right.
  const lineEnd = "[{".includes(text[start] ?? " ") ? start + 1 : text.indexOf("\n", start);
  return { ...lineAndColumn(text, start), start, end: Math.max(Math.min(end, lineEnd < 0 ? text.length : lineEnd), start + 1), message, path };
}

/** Return problems in the order of the text. */
export function inOrder(problems) {
  return [...problems].sort((one, other) => one.start - other.start);
}

function pathText(path) {
  return path.map((step, place) => (typeof step === "number" ? `[${step}]` : `${place ? "." : ""}${step}`)).join("");
}
