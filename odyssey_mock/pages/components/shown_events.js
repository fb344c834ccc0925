// The events that pass a filter, with their rows: all of a trace, or those of a recording that continues.

import { createFilter, isFiltering, NO_FILTER } from "components/event_filter.js";
import { useEffect, useMemo, useState } from "components/html.js";
import { createRows } from "components/lane_rows.js";
import { isError } from "components/trace_model.js";

const FIRST_CAPACITY = 256;

/**
 * Create the events of a model that pass a filter. `current` is {shown, rows, errors}, a new object after each change: indices
 * in ascending order, rows of the lanes, and indices of the errors.
 *
 * `extend()` takes in the events that the model has got since, and takes as long as these do. `apply(filter)` filters all events
 * again, and returns a promise of whether it is still the latest filter.
 */
export function createShown(model, first = NO_FILTER) {
  const { events } = model;
  const filtered = createFilter(events);
  let filter = first;
  let indices = new Uint32Array(FIRST_CAPACITY);
  let size = 0;
  let checked = 0;
  let errors = [];
  let rows = createRows(events);

  function take(found) {
    if (size + found.length > indices.length) {
      const larger = new Uint32Array(Math.max(indices.length * 2, size + found.length));
      larger.set(indices.subarray(0, size));
      indices = larger;
    }
    indices.set(found, size);
    size += found.length;
    const more = Array.from(found).filter((index) => isError(events[index]));
    if (more.length) errors = errors.concat(more);
    result.current = { shown: indices.subarray(0, size), rows: rows.append(found), errors };
  }

  function extend() {
    if (checked === events.length) return;
    const found = filtered.from(checked, filter);
    checked = events.length;
    if (found.length) take(found);
  }

  function restart(filterOfAll, found, end) {
    filter = filterOfAll;
    indices = new Uint32Array(FIRST_CAPACITY);
    size = 0;
    errors = [];
    rows = createRows(events);
    checked = end;
    take(found);
  }

  async function apply(next) {
    const passing = await filtered.all(next);
    if (passing === null) return false;
    restart(next, passing.found, passing.end);
    extend();
    return true;
  }

  const result = { current: { shown: indices.subarray(0, 0), rows: [], errors }, extend, apply };
  extend();
  return result;
}

/**
 * Return {shown, rows, errors} of the model, and render the component again after a change. `revision` is another number after
 * each change of the model's events; `onFiltered(count)` is called when a filter has been applied.
 */
export function useShown(model, revision, filter, onFiltered) {
  const shown = useMemo(() => createShown(model, filter), [model]);
  const [, render] = useState(0);
  useMemo(() => shown.extend(), [shown, revision]);
  const applied = useMemo(() => ({ filter }), [shown]);
  useEffect(() => {
    if (filter === applied.filter) return undefined;
    let isCurrent = true;
    shown.apply(filter).then((isLatest) => {
      if (!isLatest || !isCurrent) return;
      applied.filter = filter;
      if (isFiltering(filter)) onFiltered(shown.current.shown.length);
      render((number) => number + 1);
    });
    return () => {
      isCurrent = false;
    };
  }, [shown, filter]);
  return shown.current;
}
