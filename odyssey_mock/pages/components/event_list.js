// The list of events: only the visible rows are elements. EventList({events, shown, selected, isFollowing, onScrollBack, onSelect, onOpen}).

import { classes, html, useEffect, useLayoutEffect, useRef, useState } from "components/html.js";
import { duration, point } from "components/time_format.js";
import { isError, isPending, LANE_LABELS, summaryOf } from "components/trace_model.js";

const ROW = 26;
const MARGIN_ROWS = 6;
const MOST_PIXELS = 8_000_000;
const PAGE_ROWS = 12;

/**
 * A listbox with the events `shown` (indices), of which `selected` is an index or -1. While `isFollowing`, the last event stays
 * visible; `onScrollBack()` is called when the reader scrolls away from it.
 */
export function EventList({ events, shown, selected, isFollowing = false, onScrollBack, onSelect, onOpen }) {
  const list = useRef(null);
  const [scroll, setScroll] = useState({ top: 0, height: 400 });
  const total = shown.length * ROW;
  const scale = Math.max(1, total / MOST_PIXELS);
  const place = placeOf(shown, selected);

  useLayoutEffect(() => {
    const { current } = list;
    const update = () => setScroll({ top: current.scrollTop, height: current.clientHeight });
    const sizes = new ResizeObserver(update);
    sizes.observe(current);
    return () => sizes.disconnect();
  }, []);
  useEffect(() => {
    const { current } = list;
    if (place < 0 || !current) return;
    const top = place * ROW;
    const shownTop = current.scrollTop * scale;
    if (top < shownTop) current.scrollTop = top / scale;
    else if (top + ROW > shownTop + current.clientHeight) current.scrollTop = (top + ROW - current.clientHeight) / scale;
  }, [place, shown, scroll.height]);

  useLayoutEffect(() => {
    if (isFollowing) list.current.scrollTop = list.current.scrollHeight;
  }, [isFollowing, shown, scroll.height]);
  const onScroll = ({ currentTarget }) => {
    const { scrollTop: top, clientHeight: height, scrollHeight } = currentTarget;
    if (isFollowing && top < scroll.top && scrollHeight - top - height > ROW) onScrollBack();
    setScroll({ top, height });
  };

  const first = Math.max(Math.floor((scroll.top * scale) / ROW) - MARGIN_ROWS, 0);
  const last = Math.min(Math.ceil((scroll.top * scale + scroll.height) / ROW) + MARGIN_ROWS, shown.length);
  const places = Array.from({ length: Math.max(last - first, 0) }, (_, offset) => first + offset);
  const move = (to) => onSelect(shown[Math.min(Math.max(to, 0), shown.length - 1)]);
  const onKeyDown = (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE_ROWS, PageUp: -PAGE_ROWS };
    if (event.ctrlKey || event.metaKey || event.altKey || shown.length === 0) return;
    if (event.key in steps) move(place < 0 ? 0 : place + steps[event.key]);
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(shown.length - 1);
    else if (event.key === "Enter" && place >= 0) onOpen();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`
    <div
      class="event-list"
      role="listbox"
      tabindex="0"
      aria-label="Events"
      data-entry
      aria-activedescendant=${place >= first && place < last ? `event-${selected}` : undefined}
      ref=${list}
      onKeyDown=${onKeyDown}
      onScroll=${onScroll}
    >
      <div role="presentation" class="event-space" style=${{ height: `${Math.min(total, MOST_PIXELS)}px` }}>
        ${places.map((at) => html`
          <${Row}
            key=${shown[at]}
            event=${events[shown[at]]}
            index=${shown[at]}
            top=${at * ROW - scroll.top * scale + scroll.top}
            place=${at}
            of=${shown.length}
            isSelected=${at === place}
            onSelect=${onSelect}
          />
        `)}
      </div>
    </div>
  `;
}

function Row({ event, index, top, place, of, isSelected, onSelect }) {
  const summary = summaryOf(event);
  return html`
    <div
      id=${`event-${index}`}
      role="option"
      aria-selected=${isSelected}
      aria-posinset=${place + 1}
      aria-setsize=${of}
      class=${classes("event", isSelected && "selected", isError(event) && "failed", isPending(event) && "pending")}
      style=${{ transform: `translateY(${top}px)` }}
      onClick=${() => onSelect(index)}
    >
      <span class="event-time">${point(event.t)}</span>
      <span class="event-lane">${LANE_LABELS[event.lane]}</span>
      <span class="event-from"><${Direction} event=${event} /></span>
      <span class="event-name">${event.name}${event.error === undefined && summary !== "" && html` <span class="event-summary">${summary}</span>`}${event.error !== undefined && html` <span class="event-error">${event.error}</span>`}</span>
      <span class="event-length">${lengthOf(event)}</span>
    </div>
  `;
}

/** An arrow from the sender of a message to its receiver. */
function Direction({ event }) {
  if (event.from === undefined) return null;
  const text = event.from === "client" ? "client to server" : "server to client";
  return html`<span class=${`direction from-${event.from}`} role="img" aria-label=${text} title=${text}>${event.from === "client" ? "↓" : "↑"}</span>`;
}

/** Return how long a span took; `pending` if it had not ended; empty if the event is no span. */
export function lengthOf(event) {
  if (event.end === undefined) return "";
  return event.end === null ? "pending" : duration(event.end - event.t);
}

/** Return the place of an index in the ascending `shown`; -1 if it is not there. */
export function placeOf(shown, index) {
  let low = 0;
  let high = shown.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (shown[middle] === index) return middle;
    if (shown[middle] < index) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
