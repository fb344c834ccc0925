// JSON and other text of a message, as text nodes.

import { html, useState } from "components/html.js";
import { bytes } from "components/time_format.js";

const MOST_SHOWN = 100_000;
const MOST_COLORED = 40_000;
/** Invisible characters. Some of them reverse the text around them. */
const INVISIBLE = /[\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/g;

/** A value as text: a string as it is, all else as JSON. Long text is cut until the reader asks for all of it. */
export function JsonText({ value, label }) {
  const [isWhole, setWhole] = useState(false);
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2).replace(INVISIBLE, escaped);
  const isCut = text.length > MOST_SHOWN && !isWhole;
  const visible = isCut ? text.slice(0, MOST_SHOWN) : text;
  const isColored = typeof value !== "string" && visible.length <= MOST_COLORED;
  return html`
    <pre class="text" tabindex="0" role="region" aria-label=${label} data-scrolls>${isColored ? colored(visible) : visible}</pre>
    ${isCut && html`<button class="quiet" onClick=${() => setWhole(true)}>Show all ${bytes(text.length)}</button>`}
  `;
}

/** Return a character as an escape of JSON, which is also one of Python and YAML. */
export function escaped(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Return the parts of a JSON text: strings, and elements for keys, strings and other values. */
function colored(text) {
  const parts = [];
  let end = 0;
  for (const token of text.matchAll(TOKEN)) {
    parts.push(text.slice(end, token.index));
    const [all, string, colon, other] = token;
    if (colon !== undefined) parts.push(html`<span class="json-key">${string}</span>`, colon);
    else if (string !== undefined) parts.push(html`<span class="json-string">${string}</span>`);
    else parts.push(html`<span class="json-value">${other}</span>`);
    end = token.index + all.length;
  }
  parts.push(text.slice(end));
  return parts;
}
