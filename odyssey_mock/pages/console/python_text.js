// Values of JSON as text of Python.

import { escaped } from "components/json_text.js";

/** Return a value of JSON as a Python expression. */
export function pythonOf(value) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${pythonOf(each)}`).join(", ")}}`;
  }
  // Strings and numbers of JSON are those of Python, except for line separators, which end a line of some editors.
  return JSON.stringify(value).replace(/[\u007f\u0085\u2028\u2029]/g, escaped);
}

const KEYWORDS = new Set(
  ("and as assert async await break class continue def del elif else except False finally for from global if import in is lambda None " +
    "nonlocal not or pass raise return True try while with yield").split(" "),
);

/** Return arguments of a call: positional values, then keywords. Names that cannot be keywords are in `**{...}`. */
export function argumentsOf(values, keywords, reserved = []) {
  const isKeyword = (name) => /^[A-Za-z_]\w*$/.test(name) && !KEYWORDS.has(name) && !reserved.includes(name);
  const others = Object.fromEntries(Object.entries(keywords).filter(([name]) => !isKeyword(name)));
  return [
    ...values.map(pythonOf),
    ...Object.entries(keywords).filter(([name]) => isKeyword(name)).map(([name, value]) => `${name}=${pythonOf(value)}`),
    ...(Object.keys(others).length ? [`**${pythonOf(others)}`] : []),
  ].join(", ");
}
