// The filters above the time axis. FilterBar({model, filter, count, onChange, search, children}).

import { html, useEffect, useRef, useState } from "components/html.js";
import { isFiltering, NO_FILTER } from "components/event_filter.js";
import { whole } from "components/time_format.js";
import { LANE_LABELS } from "components/trace_model.js";

/** Filters by text, lane, session, actor and errors. `count` events pass; `search` is a ref to the text field. Sessions can be chosen if `hasSession`. Children are at the end. */
export function FilterBar({ model, filter, count, hasSession = model.sessions.length > 1, onChange, search, children }) {
  const change = (changes) => onChange({ ...filter, ...changes });
  return html`
    <div class="filter-bar" role="search" aria-label="Filter events">
      <input
        type="search"
        class="search"
        placeholder="Filter by text"
        aria-label="Filter by text"
        aria-keyshortcuts="/"
        ref=${search}
        value=${filter.text}
        onInput=${(event) => change({ text: event.target.value })}
      />
      <${LaneMenu} lanes=${model.lanes} hidden=${filter.hidden} onChange=${(hidden) => change({ hidden })} />
      ${hasSession && html`
        <${Choice} label="Session" all="All sessions" values=${model.sessions} shown=${shortId} value=${filter.session} onChange=${(session) => change({ session })} />
      `}
      ${model.actors.length > 1 && html`
        <${Choice} label="Actor" all="All actors" values=${model.actors} shown=${(name) => name} value=${filter.actor} onChange=${(actor) => change({ actor })} />
      `}
      <label class="check"><input type="checkbox" checked=${filter.onlyErrors} onChange=${(event) => change({ onlyErrors: event.target.checked })} /> Errors</label>
      <span class="filter-count">
        ${isFiltering(filter)
          ? html`${whole(count)} of ${whole(model.events.length)} <button class="link" onClick=${() => onChange(NO_FILTER)}>Clear</button>`
          : ""}
      </span>
      ${children}
    </div>
  `;
}

function Choice({ label, all, values, shown, value, onChange }) {
  return html`
    <select aria-label=${label} value=${value} onChange=${(event) => onChange(event.target.value)}>
      <option value="">${all}</option>
      ${values.map((each) => html`<option key=${each} value=${each}>${shown(each)}</option>`)}
    </select>
  `;
}

function LaneMenu({ lanes, hidden, onChange }) {
  const [isOpen, setOpen] = useState(false);
  const menu = useRef(null);
  const button = useRef(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    const close = (event) => {
      if (event.type === "keydown" ? event.key === "Escape" : !menu.current.contains(event.target)) {
        setOpen(false);
        if (event.type === "keydown") {
          event.stopPropagation();
          button.current.focus();
        }
      }
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close, true);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close, true);
    };
  }, [isOpen]);
  const toggle = (lane) => {
    const next = new Set(hidden);
    if (!next.delete(lane)) next.add(lane);
    onChange(next);
  };
  const visible = lanes.length - hidden.size;
  return html`
    <div class="menu" ref=${menu}>
      <button ref=${button} aria-expanded=${isOpen} aria-controls="lane-menu" onClick=${() => setOpen(!isOpen)}>
        ${hidden.size ? `${visible} of ${lanes.length} lanes` : "All lanes"}
      </button>
      ${isOpen && html`
        <div class="menu-items" id="lane-menu" role="group" aria-label="Lanes that are shown">
          <div class="menu-all">
            <button class="link" onClick=${() => onChange(new Set())}>All</button>
            <button class="link" onClick=${() => onChange(new Set(lanes.map(({ lane }) => lane)))}>None</button>
          </div>
          ${lanes.map(({ lane, count }) => html`
            <label key=${lane} class="check">
              <input type="checkbox" checked=${!hidden.has(lane)} onChange=${() => toggle(lane)} />
              <span>${LANE_LABELS[lane]}</span><span class="menu-count">${whole(count)}</span>
            </label>
          `)}
        </div>
      `}
    </div>
  `;
}

function shortId(id) {
  return id.length > 12 ? `${id.slice(0, 8)}…` : id;
}
