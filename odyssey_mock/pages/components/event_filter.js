// Which events of a trace are shown: filters by lane, session, actor, errors and text.

import { isError } from "components/trace_model.js";

const SLICE_MS = 12;

export const NO_FILTER = { text: "", hidden: new Set(), session: "", actor: "", onlyErrors: false };

/** Return whether the filter leaves out any event. */
export function isFiltering(filter) {
  return Boolean(filter.text.trim() || filter.hidden.size || filter.session || filter.actor || filter.onlyErrors);
}

/**
 * Create the filter of a list of events, to which events may be appended.
 *
 * `all(filter)` returns a promise of {found, end}: the indices of the events before `end` that pass. `from(begin, filter)` returns those of the events from
 * `begin` on.
 */
export function createFilter(events) {
  const texts = [];
  let latest = 0;

  function passes(event, index, filter, words) {
    if (filter.hidden.has(event.lane)) return false;
    if (filter.session && event.session !== filter.session) return false;
    if (filter.actor && event.actor !== filter.actor) return false;
    if (filter.onlyErrors && !isError(event)) return false;
    if (words.length === 0) return true;
    texts[index] ??= searchedText(event);
    return words.every((word) => texts[index].includes(word));
  }

  /** Return them; null if the function was called again in the meantime. Long searches leave time for the page. */
  async function all(filter) {
    const call = ++latest;
    const words = wordsOf(filter);
    const end = events.length;
    const found = new Uint32Array(end);
    let length = 0;
    let since = performance.now();
    for (let index = 0; index < end; index++) {
      if (passes(events[index], index, filter, words)) found[length++] = index;
      if ((index & 255) === 0 && performance.now() - since > SLICE_MS) {
        await new Promise((resolve) => setTimeout(resolve));
        if (call !== latest) return null;
        since = performance.now();
      }
    }
    return { found: found.subarray(0, length), end };
  }

  function from(begin, filter) {
    const words = wordsOf(filter);
    const found = [];
    for (let index = begin; index < events.length; index++) {
      if (passes(events[index], index, filter, words)) found.push(index);
    }
    return found;
  }
  return { all, from };
}

function wordsOf(filter) {
  return filter.text.toLowerCase().split(/\s+/).filter(Boolean);
}

function searchedText(event) {
  const parts = [event.lane, event.side, event.name, event.actor, event.session, event.stream, event.error, event.source?.file];
  return `${parts.filter(Boolean).join(" ")} ${JSON.stringify(event.data)}`.toLowerCase();
}
