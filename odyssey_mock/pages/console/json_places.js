// The places of values in JSON text, for errors that name a value by its path.

/** Levels of arrays and objects. Scripts have four. */
const MOST_LEVELS = 100;
const LITERALS = { t: "true", f: "false", n: "null" };
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SPACE = /[ \t\r\n]*/y;

/** Text that is not JSON. `at` is the index of the character that was not expected. */
export class JsonTextError extends Error {
  constructor(message, at) {
    super(message);
    this.name = "JsonTextError";
    this.at = at;
  }
}

/** Return the place {start, end} of each value in the text, by its path as JSON: `[0,"start"]`. Keys of objects are part of their place. */
export function placesOf(text) {
  const places = new Map();
  let at = 0;

  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? "";
    at += found.length;
    return found;
  };
  const fail = (expected) => {
    const got = at >= text.length ? "the end of the text" : JSON.stringify(text[at]);
    throw new JsonTextError(`expected ${expected}, got ${got}`, at);
  };
  const take = (character, expected) => {
    if (text[at] !== character) fail(expected);
    at += 1;
    match(SPACE);
  };
  const string = (expected) => {
    const found = match(STRING);
    if (found) return JSON.parse(found);
    if (text[at] === '"') throw new JsonTextError("expected text in quotation marks, in one line and without control characters", at);
    return fail(expected);
  };
  const members = (close, one) => {
    at += 1;
    match(SPACE);
    if (text[at] !== close) {
      for (;;) {
        one();
        match(SPACE);
        if (text[at] === close) break;
        take(",", `a comma or ${close}`);
      }
    }
    at += 1;
  };
  /** Remove the places in an earlier value of the same key: the last one counts. */
  const forget = (path) => {
    const own = JSON.stringify(path);
    if (!places.has(own)) return;
    for (const each of places.keys()) {
      if (each.startsWith(`${own.slice(0, -1)},`)) places.delete(each);
    }
  };
  const value = (path, start) => {
    if (path.length > MOST_LEVELS) fail(`at most ${MOST_LEVELS} levels`);
    if (text[at] === "[") {
      let index = 0;
      members("]", () => value([...path, index++], at));
    } else if (text[at] === "{") {
      members("}", () => {
        const keyAt = at;
        const key = string("a key in quotation marks");
        match(SPACE);
        take(":", "a colon after the key");
        forget([...path, key]);
        value([...path, key], keyAt);
      });
    } else if (text[at] === '"') string();
    else if (text.startsWith(LITERALS[text[at]] ?? "\u0000", at)) at += LITERALS[text[at]].length;
    else if (!match(NUMBER)) fail("a value");
    places.set(JSON.stringify(path), { start, end: at });
  };

  match(SPACE);
  value([], at);
  match(SPACE);
  if (at < text.length) fail("the end of the text");
  return places;
}

/** Return the place of a path; of what contains it, if there is no such value. */
export function placeOfPath(places, path) {
  for (let length = path.length; length >= 0; length--) {
    const place = places.get(JSON.stringify(path.slice(0, length)));
    if (place) return place;
  }
  return { start: 0, end: 0 };
}

/** Return {line, column} of a character, each from 1. */
export function lineAndColumn(text, at) {
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  return { line, column: at - before.lastIndexOf("\n") };
}
