// The page: reads the trace that is embedded in it, or a file that the user chooses or drops, and shows it.

import { createFilter, isFiltering, NO_FILTER } from "components/event_filter.js";
import { EventList, placeOf } from "components/event_list.js";
import { FilterBar } from "components/filter_bar.js";
import { html, render, useErrorBoundary, useEffect, useMemo, useRef, useState } from "components/html.js";
import { HelpDialog, useKeys } from "viewer/keyboard.js";
import { rowsOf } from "components/lane_rows.js";
import { MessageView } from "components/message_view.js";
import { SourceView } from "components/source_view.js";
import { nextTheme } from "components/theme.js";
import { TimePanel } from "components/time_panel.js";
import { counted, point } from "components/time_format.js";
import { FailureView, TraceHeader } from "viewer/trace_header.js";
import { checkSize, readTrace, TraceFileError } from "components/trace_file.js";
import { framesAt, isPending, LANE_LABELS, modelOf, tracksOf } from "components/trace_model.js";
import { createView } from "components/view.js";

const MOST_URLS = 400;
const NARROW = matchMedia("(max-width: 859px)");

/** Create a function that returns an address for the image of a name. Old addresses are released. */
function createImageUrls(images) {
  const urls = new Map();
  return (name) => {
    let url = urls.get(name);
    if (url === undefined) {
      url = URL.createObjectURL(new Blob([images.get(name)], { type: "image/jpeg" }));
    } else {
      urls.delete(name);
    }
    urls.set(name, url);
    if (urls.size > MOST_URLS) {
      const [oldest, oldUrl] = urls.entries().next().value;
      urls.delete(oldest);
      URL.revokeObjectURL(oldUrl);
    }
    return url;
  };
}

function useNarrow() {
  const [isNarrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const update = () => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", update);
    return () => NARROW.removeEventListener("change", update);
  }, []);
  return isNarrow;
}

/** A trace: the whole page. */
function TracePage({ model, onOpen }) {
  const { manifest, events } = model;
  const view = useMemo(() => createView(model.first, model.last), [model]);
  const urlOf = useMemo(() => createImageUrls(model.images), [model]);
  const filtered = useMemo(() => createFilter(events), [model]);
  const [filter, setFilter] = useState(NO_FILTER);
  const all = useMemo(() => Uint32Array.from(events.keys()), [model]);
  const [shown, setShown] = useState(all);
  const [selected, setSelected] = useState(-1);
  const [panel, setPanel] = useState("events");
  const [isHelpOpen, setHelpOpen] = useState(false);
  const [spoken, setSpoken] = useState("");
  const search = useRef(null);
  const failureHeading = useRef(null);
  const root = useRef(null);
  const isNarrow = useNarrow();

  useEffect(() => {
    if (!isFiltering(filter)) {
      setShown(all);
      return undefined;
    }
    let isCurrent = true;
    filtered(filter).then((found) => {
      if (found === null || !isCurrent) return;
      setShown(found);
      setSpoken(`${counted(found.length, "event")} pass${found.length === 1 ? "es" : ""} the filter`);
    });
    return () => {
      isCurrent = false;
    };
  }, [filter]);

  const rows = useMemo(() => rowsOf(events, shown), [shown]);
  const isShownTrack = ({ session, actor }) => (!filter.session || session === filter.session) && (!filter.actor || actor === filter.actor);
  const tracks = useMemo(() => model.frames.filter((track) => !filter.hidden.has("frame") && isShownTrack(track)), [filter]);
  const peers = useMemo(() => model.statistics.filter((peer) => !filter.hidden.has("stats") && isShownTrack(peer)), [filter]);
  const isShown = (index) => placeOf(shown, index) >= 0;
  const errors = useMemo(() => model.errors.filter(isShown), [shown]);

  const select = (index) => {
    if (index === undefined || index < 0) return;
    if (placeOf(shown, index) < 0) setFilter(NO_FILTER);
    setSelected(index);
    view.reveal(events[index].t);
    setSpoken(spokenText(events[index]));
    if (isNarrow && panel === "source") setPanel("event");
  };
  /** Select the event that is `step` places away in the ascending indices. */
  const selectAmong = (indices, step) => {
    if (indices.length === 0) return;
    let place = step > 0 ? firstAbove(indices, selected) : firstAbove(indices, selected - 1) - 1;
    if (selected < 0 && step < 0) place = indices.length - 1;
    select(indices[Math.min(Math.max(place, 0), indices.length - 1)]);
  };
  /** Select the error after the selected event; at first, one that is not the failure of the test itself, which follows from others. */
  const selectError = () => {
    if (errors.length === 0) setSpoken(isFiltering(filter) ? "No error passes the filter" : "The trace has no errors");
    else if (selected < 0) select(errors.find((index) => events[index].lane !== "test") ?? errors[0]);
    else selectAmong(errors, 1);
  };
  /** Select the pending call after the selected event; after the last one, the first. */
  const selectPending = (pending) => {
    if (pending.length === 0) setSpoken(isFiltering(filter) ? "No pending call passes the filter" : "The trace has no pending calls");
    else select(pending.find((index) => index > selected) ?? pending[0]);
  };
  const showPanel = (name) => {
    setPanel(name);
    requestAnimationFrame(() => root.current?.querySelector(`[data-panel="${name}"] [data-entry]`)?.focus());
  };
  const showFailure = () => {
    if (!manifest.failure) return select(model.firstError ?? -1);
    setPanel("source");
    setSpoken("");
    requestAnimationFrame(() => {
      failureHeading.current?.focus();
      failureHeading.current?.scrollIntoView({ block: "nearest" });
    });
    return undefined;
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
  useKeys({
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
    panel: (key) => showPanel(["events", "event", "source"][key - 1]),
    theme: nextTheme,
    open: onOpen,
    help: () => setHelpOpen(true),
  });

  const event = selected >= 0 ? events[selected] : null;
  const pair = event && model.pairs[selected] >= 0 ? events[model.pairs[selected]] : null;
  const hasSource = Boolean(manifest.failure) || model.sources.size > 0;
  const panels = [
    { name: "events", label: "Events" },
    { name: "event", label: "Event" },
    ...(hasSource ? [{ name: "source", label: manifest.failure ? "Failure" : "Source" }] : []),
  ];
  return html`
    <main class="page" ref=${root}>
      <${TraceHeader} model=${model} onFailure=${showFailure} onFirstError=${() => select(model.firstError)} onPending=${() => selectPending(model.pending)}>
        <button class="quiet" onClick=${onOpen} title="Open another file (o)">Open…</button>
        <button class="quiet icon" onClick=${nextTheme} aria-label="Light or dark" title="Light or dark (t)">◐</button>
        <button class="quiet icon" onClick=${() => setHelpOpen(true)} aria-label="Keys and symbols" title="Keys and symbols (?)">?</button>
      <//>
      <${FilterBar} model=${model} filter=${filter} count=${shown.length} onChange=${setFilter} search=${search} />
      <${TimePanel}
        model=${model} rows=${rows} shown=${shown} errors=${errors} tracks=${tracks} peers=${peers}
        view=${view} selected=${selected} urlOf=${urlOf} onSelect=${(index) => { select(index); if (isNarrow) setPanel("event"); }}
      />
      <${Splitter} root=${root} />
      ${isNarrow && html`<${Tabs} panels=${panels} chosen=${panel} onChoose=${setPanel} />`}
      <div class=${`panels ${hasSource ? "three" : "two"}`} data-shown=${panel}>
        <section class="panel" data-panel="events" aria-label="Events">
          ${shown.length > 0
            ? html`<${EventList} events=${events} shown=${shown} selected=${selected} onSelect=${(index) => { select(index); }} onOpen=${() => showPanel("event")} />`
            : html`<p class="empty">${events.length ? "No event passes the filter." : "The trace has no events."}</p>`}
        </section>
        <section class="panel scrolling" data-panel="event" aria-label="Event" tabindex="0" data-entry data-scrolls>
          ${event
            ? html`<${MessageView}
                event=${event} pair=${pair} frames=${framesAt(tracksOf(tracks, event), event.t).slice(0, 3)} urlOf=${urlOf} sources=${model.sources}
                onSelectPair=${() => select(model.pairs[selected])}
              />`
            : html`<p class="empty">Select an event in the list or on the time axis.</p>`}
        </section>
        ${hasSource && html`
          <section class="panel source-panel" data-panel="source" aria-label="Failure and source">
            ${manifest.failure && html`<${FailureView} manifest=${manifest} heading=${failureHeading} />`}
            ${model.sources.size > 0 && html`<${SourceView} sources=${model.sources} failed=${manifest.failure?.source} selected=${event?.source} />`}
          </section>
        `}
      </div>
      <div class="visually-hidden" aria-live="polite" role="status">${spoken}</div>
      ${isHelpOpen && html`<${HelpDialog} onClose=${() => setHelpOpen(false)} />`}
    </main>
  `;
}

function spokenText(event) {
  const parts = [point(event.t), LANE_LABELS[event.lane], event.name];
  if (isPending(event)) parts.push("pending");
  if (event.error !== undefined) parts.push(`error: ${event.error}`);
  return parts.join(", ");
}

/** Return the place of the first number above `limit` in the ascending `numbers`. */
function firstAbove(numbers, limit) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function Tabs({ panels, chosen, onChoose }) {
  const onKeyDown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const place = panels.findIndex(({ name }) => name === chosen);
    const next = panels[(place + step + panels.length) % panels.length].name;
    onChoose(next);
    event.currentTarget.querySelector(`[data-tab="${next}"]`).focus();
  };
  return html`
    <div class="tabs" role="tablist" aria-label="Views" onKeyDown=${onKeyDown}>
      ${panels.map(({ name, label }) => html`
        <button key=${name} role="tab" data-tab=${name} aria-selected=${name === chosen} tabindex=${name === chosen ? 0 : -1} onClick=${() => onChoose(name)}>${label}</button>
      `)}
    </div>
  `;
}

/** The line between the time axis and the panels. It is moved with the pointer or the arrow keys. */
function Splitter({ root }) {
  const [share, setShare] = useState(48);
  const set = (value) => {
    const next = Math.min(Math.max(Math.round(value), 20), 80);
    setShare(next);
    root.current.style.setProperty("--time-share", next);
  };
  const shareAt = (event) => {
    const top = root.current.querySelector(".time-panel").getBoundingClientRect().top;
    return ((event.clientY - top) / innerHeight) * 100;
  };
  const onKeyDown = (event) => {
    const step = { ArrowUp: -4, ArrowDown: 4 }[event.key];
    if (!step) return;
    event.preventDefault();
    set(share + step);
  };
  return html`
    <div
      class="splitter" role="separator" tabindex="0" aria-orientation="horizontal" aria-label="Height of the timeline"
      aria-valuenow=${share} aria-valuemin="20" aria-valuemax="80" onKeyDown=${onKeyDown}
      onPointerDown=${(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove=${(event) => event.currentTarget.hasPointerCapture(event.pointerId) && set(shareAt(event))}
    ></div>
  `;
}

/** The page without a trace: asks for a file, and says why the last one cannot be shown. */
function StartPage({ problem, onOpen }) {
  return html`
    <main class="start">
      ${problem
        ? html`
            <h1>This file cannot be shown</h1>
            <p class="error-text" role="alert"><strong>${problem.file}</strong>: ${problem.message}</p>
          `
        : html`
            <h1>Odyssey trace</h1>
            <p>Drop a file <code>NAME.odytrace</code> here, or choose one. It stays on this machine.</p>
          `}
      <button class="primary" onClick=${onOpen}>Choose a file</button>
    </main>
  `;
}

/** Shows a page for the given state: {model, number}, {problem} or {}. */
function App({ start }) {
  const [state, setState] = useState(start);
  const [isDragging, setDragging] = useState(false);
  const input = useRef(null);
  const open = () => input.current.click();
  const [failed, recover] = useErrorBoundary();
  useEffect(() => {
    if (!failed) return;
    setState({ problem: { file: "This trace", message: problemText(failed) } });
    recover();
  }, [failed]);
  useEffect(() => {
    const over = (event) => {
      event.preventDefault();
      setDragging(true);
    };
    const leave = (event) => event.relatedTarget === null && setDragging(false);
    const drop = (event) => {
      event.preventDefault();
      setDragging(false);
      if (event.dataTransfer.files.length) readFile(event.dataTransfer.files[0], setState);
    };
    const listeners = [["dragover", over], ["dragleave", leave], ["drop", drop]];
    for (const [name, listener] of listeners) document.addEventListener(name, listener);
    return () => {
      for (const [name, listener] of listeners) document.removeEventListener(name, listener);
    };
  }, []);
  useEffect(() => {
    document.title = state.model ? `${state.model.manifest.title} - trace` : "Odyssey trace";
  }, [state]);
  return html`
    <input
      type="file" class="visually-hidden" tabindex="-1" aria-hidden="true" accept=".odytrace" ref=${input}
      onChange=${(event) => {
        if (event.target.files.length) readFile(event.target.files[0], setState);
        event.target.value = "";
      }}
    />
    ${state.model
      ? html`<${TracePage} key=${state.number} model=${state.model} onOpen=${open} />`
      : html`<${StartPage} problem=${state.problem} onOpen=${open} />`}
    ${isDragging && html`<div class="drop-target">Drop the trace here</div>`}
  `;
}

let opened = 0;

async function readFile(file, setState) {
  try {
    checkSize(file.size);
    setState(stateOf(file.name, new Uint8Array(await file.arrayBuffer())));
  } catch (error) {
    setState({ problem: { file: file.name, message: problemText(error) } });
  }
}

/** Return the state of the page for the bytes of a file: its model, or why it cannot be shown. */
function stateOf(name, content) {
  try {
    return { model: modelOf(readTrace(content)), number: ++opened };
  } catch (error) {
    return { problem: { file: name, message: problemText(error) } };
  }
}

function problemText(error) {
  return error instanceof TraceFileError ? error.message : `expected a trace file, got one that cannot be read (${error})`;
}

/** Return the trace that is embedded in the page as {name, content}; null if the page has none. */
function embedded() {
  const element = document.getElementById("trace");
  if (!element) return null;
  const text = element.textContent.trim();
  element.textContent = "";
  return { name: element.dataset.name, content: fromBase64(text) };
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text);
  const content = new Uint8Array(characters.length);
  for (let at = 0; at < characters.length; at++) content[at] = characters.charCodeAt(at);
  return content;
}

const given = embedded();
const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} start=${given ? stateOf(given.name, given.content) : {}} />`, root);
