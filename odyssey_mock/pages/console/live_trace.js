// The journal of the running mock as the model of a trace, which takes in new events without a look at the others.

import { createModel } from "components/trace_model.js";

/** Old events that the model keeps after the live model has dropped them. Without them, each new event would make a new model. */
const SLACK = 5000;
const NO_FILE = { manifest: { duration: 0 }, images: new Map(), sources: new Map() };

/**
 * Create the trace of a mock: `update(events)` takes the events of a snapshot (`live_model.js`), and returns {model, revision}.
 *
 * `model` is another one after a reset of the mock, and after many new events, when it loses the oldest. `revision` is another
 * number after each change.
 */
export function createLiveTrace() {
  let most = 0;
  let built = createModel(NO_FILE);
  let current = { model: built.model, revision: 0 };

  function update(events) {
    const mine = built.model.events;
    const begin = mine.length ? firstAfter(events, mine.at(-1)) : 0;
    if (begin === events.length && (begin > 0 || mine.length === 0)) return current;
    most = Math.max(most, events.length);
    if (begin === 0 || mine.length + events.length - begin > most + SLACK) {
      built = createModel(NO_FILE);
      built.append(events);
    } else {
      built.append(events.slice(begin));
    }
    current = { model: built.model, revision: current.revision + 1 };
    return current;
  }
  return { update };
}

/** Return the place after `event` in the events, which are ordered by `i`; 0 if it is not there. */
function firstAfter(events, event) {
  let low = 0;
  let high = events.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (events[middle].i < event.i) low = middle + 1;
    else if (events[middle].i > event.i) high = middle - 1;
    else return events[middle] === event ? middle + 1 : 0;
  }
  return 0;
}
