// The events of a trace or of a recording that continues: filters, time axis, list and one event, with their keys.

import { isFiltering, NO_FILTER } from "components/event_filter.js";
import { EventList, placeOf } from "components/event_list.js";
import { FilterBar } from "components/filter_bar.js";
import { html, useEffect, useMemo, useRef, useState } from "components/html.js";
import { useKeys } from "components/keyboard.js";
import { MessageView } from "components/message_view.js";
import { Splitter, Tabs, useNarrow } from "components/panels.js";
import { useShown } from "components/shown_events.js";
import { counted, point } from "components/time_format.js";
import { TimePanel } from "components/time_panel.js";
import { framesAt, isPending, LANE_LABELS, lastAtOrBefore, tracksOf } from "components/trace_model.js";

/**
 * All events of a model, and what belongs to them.
 *
 * - `model`, `view`: as `modelOf` and `createView` return them; `revision` is another number after each change of the events.
 * - `FrameImage({name, ...attributes})` is a component: the `<img>` of a frame.
 * - `head({select, selectPending, showFailure})` returns what is above the filters.
 * - `tools` are at the end of the filters, and `actionsOf(event)` returns the actions of the selected event.
 * - `third`: {label, content(event)}, a third panel beside the list and the event; null if there is none. `onFailure` gets
 *   `showPanel`, if the key of the failure shows something else than the first error.
 * - `keys`, `commands`: the table of keys and the functions of those commands that belong to the page.
 * - `empty`: what the list says if there are no events; `firstFilter`: the filter at the beginning; `hasSession`: whether
 *   a session can be chosen, by default if there are several.
 * - `film`: the tracks of the film strip, by default those of the model.
 */
export function TraceBrowser({
  model, view, revision = 0, FrameImage, head, tools, actionsOf, third = null, onFailure, keys, commands, empty, firstFilter = NO_FILTER, hasSession,
  film = model.frames,
}) {
  const { events } = model;
  const [filter, setFilter] = useState(firstFilter);
  const [chosen, setChosen] = useState(null);
  const [panel, setPanel] = useState("events");
  const [spoken, setSpoken] = useState("");
  const search = useRef(null);
  const root = useRef(null);
  const isNarrow = useNarrow();
  const isFollowing = useFollowing(view);
  const { shown, rows, errors } = useShown(model, revision, filter, (count) => {
    setSpoken(`${counted(count, "event")} pass${count === 1 ? "es" : ""} the filter`);
  });
  // The selected event stays selected when a model without the oldest events takes the place of another.
  const selected = useMemo(() => (chosen === null ? -1 : events[chosen.index] === chosen.event ? chosen.index : events.indexOf(chosen.event)), [model, chosen]);

  const isShownTrack = ({ session, actor }) => (!filter.session || session === filter.session) && (!filter.actor || actor === filter.actor);
  const tracks = useMemo(() => film.filter((track) => !filter.hidden.has("frame") && isShownTrack(track)), [filter, film]);
  const peers = useMemo(() => model.statistics.filter((peer) => !filter.hidden.has("stats") && isShownTrack(peer)), [filter, model.statistics]);
  const isShown = (index) => placeOf(shown, index) >= 0;

  const select = (index) => {
    if (index === undefined || index === null || index < 0) return;
    view.follow(false);
    if (placeOf(shown, index) < 0) setFilter(NO_FILTER);
    setChosen({ index, event: events[index] });
    view.reveal(events[index].t);
    setSpoken(spokenText(events[index]));
    if (isNarrow && panel === "source") setPanel("event");
  };
  /** Select the event that is `step` places away in the ascending indices. */
  const selectAmong = (indices, step) => {
    if (indices.length === 0) return;
    let place = step > 0 ? lastAtOrBefore(indices, selected) + 1 : lastAtOrBefore(indices, selected - 1);
    if (selected < 0 && step < 0) place = indices.length - 1;
    select(indices[Math.min(Math.max(place, 0), indices.length - 1)]);
  };
  /** Select the error after the selected event; at first, one that is not the failure of the test itself, which follows from others. */
  const selectError = () => {
    if (errors.length === 0) setSpoken(isFiltering(filter) ? "No error passes the filter" : "There are no errors");
    else if (selected < 0) select(errors.find((index) => events[index].lane !== "test") ?? errors[0]);
    else selectAmong(errors, 1);
  };
  /** Select the pending call after the selected event; after the last one, the first. */
  const selectPending = (pending) => {
    if (pending.length === 0) setSpoken(isFiltering(filter) ? "No pending call passes the filter" : "There are no pending calls");
    else select(pending.find((index) => index > selected) ?? pending[0]);
  };
  const showPanel = (name) => {
    setPanel(name);
    requestAnimationFrame(() => root.current?.querySelector(`[data-panel="${name}"]:is([data-entry]), [data-panel="${name}"] [data-entry]`)?.focus());
  };
  const showFailure = () => {
    if (!onFailure) return select(model.firstError ?? -1);
    setSpoken("");
    return onFailure({ showPanel: setPanel });
  };
  const frames = useMemo(() => tracks.flatMap(({ indices }) => indices).sort((one, other) => one - other), [tracks]);
  const zoom = (factor) => {
    view.zoom(factor, selected >= 0 ? Math.min(Math.max(events[selected].t, view.from), view.to) : undefined);
    setSpoken(`${point(view.from)} to ${point(view.to)}`);
  };
  const pan = (fraction) => {
    view.pan(fraction);
    setSpoken(`${point(view.from)} to ${point(view.to)}`);
  };
  const panels = [
    { name: "events", label: "Events" },
    { name: "event", label: "Event" },
    ...(third ? [{ name: "source", label: third.label }] : []),
  ];
  useKeys(keys, {
    failure: showFailure,
    nextError: selectError,
    previousError: () => selectAmong(errors, -1),
    nextPending: () => selectPending(model.pending.filter(isShown)),
    next: () => selectAmong(shown, 1),
    previous: () => selectAmong(shown, -1),
    nextFrame: () => selectAmong(frames, 1),
    previousFrame: () => selectAmong(frames, -1),
    pair: () => selected >= 0 && select(model.pairs[selected]),
    left: () => pan(-0.2),
    right: () => pan(0.2),
    zoomIn: () => zoom(0.6),
    zoomOut: () => zoom(1 / 0.6),
    fit: () => view.fit(),
    search: () => search.current.focus(),
    clear: () => setFilter(NO_FILTER),
    panel: (key) => panels[key - 1] && showPanel(panels[key - 1].name),
    ...commands,
  });

  const event = selected >= 0 ? events[selected] : null;
  const pair = event && model.pairs[selected] >= 0 ? events[model.pairs[selected]] : null;
  return html`
    <div class="trace" ref=${root}>
      ${head?.({ select, selectPending: () => selectPending(model.pending), showFailure })}
      <${FilterBar} model=${model} filter=${filter} count=${shown.length} hasSession=${hasSession} onChange=${setFilter} search=${search}>${tools}<//>
      <${TimePanel}
        model=${model} rows=${rows} shown=${shown} errors=${errors} tracks=${tracks} peers=${peers}
        view=${view} selected=${selected} FrameImage=${FrameImage} onSelect=${(index) => { select(index); if (isNarrow) setPanel("event"); }}
      />
      <${Splitter} root=${root} />
      ${isNarrow && html`<${Tabs} panels=${panels} chosen=${panel} onChoose=${setPanel} />`}
      <div class=${`panels ${third ? "three" : "two"}`} data-shown=${panel}>
        <section class="panel" data-panel="events" aria-label="Events">
          ${shown.length > 0
            ? html`<${EventList}
                events=${events} shown=${shown} selected=${selected} isFollowing=${isFollowing} onScrollBack=${() => view.follow(false)}
                onSelect=${(index) => { select(index); }} onOpen=${() => showPanel("event")}
              />`
            : html`<div class="empty">${events.length ? "No event passes the filter." : empty}</div>`}
        </section>
        <section class="panel scrolling" data-panel="event" aria-label="Event" tabindex="0" data-entry data-scrolls>
          ${event
            ? html`<${MessageView}
                event=${event} pair=${pair} frames=${framesAt(tracksOf(tracks, event), event.t).slice(0, 3)} FrameImage=${FrameImage} sources=${model.sources}
                actions=${actionsOf?.(event)} onSelectPair=${() => select(model.pairs[selected])}
              />`
            : html`<p class="empty">Select an event in the list or on the time axis.</p>`}
        </section>
        ${third && html`<section class="panel source-panel" data-panel="source" aria-label=${third.title}>${third.content(event)}</section>`}
      </div>
      <div class="visually-hidden" aria-live="polite" role="status">${spoken}</div>
    </div>
  `;
}

/** Return whether the view follows the latest moment, and render the component again when that changes. */
export function useFollowing(view) {
  const [, render] = useState(0);
  useEffect(() => view.subscribeToFollowing(() => render((number) => number + 1)), [view]);
  return view.isFollowing;
}

function spokenText(event) {
  const parts = [point(event.t), LANE_LABELS[event.lane], event.name];
  if (isPending(event)) parts.push("pending");
  if (event.error !== undefined) parts.push(`error: ${event.error}`);
  return parts.join(", ");
}
