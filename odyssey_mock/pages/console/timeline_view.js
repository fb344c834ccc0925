// The view Timeline: journal entries in lanes as they happen, and trace files.

import { NO_FILTER } from "components/event_filter.js";
import { classes, html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "components/html.js";
import { TRACE_KEYS } from "components/keyboard.js";
import { whole } from "components/time_format.js";
import { TraceBrowser, useFollowing } from "components/trace_browser.js";
import { checkSize, problemOf, readTrace } from "components/trace_file.js";
import { modelOf } from "components/trace_model.js";
import { writeTrace } from "components/trace_writer.js";
import { createView } from "components/view.js";
import { WholeTrace } from "components/whole_trace.js";
import { curlOf, faultAt, pytestOf } from "console/copied_lines.js";
import { createFilm, createFrameImage } from "console/film_tracks.js";
import { createLiveTrace } from "console/live_trace.js";
import { timeOf } from "console/mock_time.js";
import { addressOf } from "console/navigation.js";
import { CopyButton, saveFile, ViewHeader } from "console/view_parts.js";

/** Seconds that the time axis shows at first. */
const SPAN = 30;
/** Milliseconds between two moves of the time axis while it follows the clock: about three pixels. */
const MOVE_MS = 100;
/** The keys of this view. `TraceBrowser` has the commands of the others. */
export const TIMELINE_KEYS = [
  ...TRACE_KEYS.filter(({ command }) => command !== "failure"),
  { keys: ["l"], does: "Follow the latest entry", command: "follow" },
  { keys: ["s"], does: "Save a trace file", command: "save" },
  { keys: ["o"], does: "Open a trace file", command: "open" },
];

/** The journal of the mock as it grows, or a trace file that the user opened. */
export function TimelineView(props) {
  const [opened, setOpened] = useState(null);
  const [problem, setProblem] = useState("");
  const [isDragging, setDragging] = useState(false);
  const input = useRef(null);
  const open = () => input.current.click();

  const read = async (file) => {
    if (!file) return;
    try {
      checkSize(file.size);
      setOpened(modelOf(readTrace(new Uint8Array(await file.arrayBuffer()))));
      setProblem("");
    } catch (error) {
      setProblem(`${file.name}: ${problemOf(error)}`);
    }
  };
  const drag = (event) => {
    event.preventDefault();
    setDragging(event.type === "dragover");
  };
  const drop = (event) => {
    drag(event);
    read(event.dataTransfer.files[0]);
  };
  return html`
    <div class="timeline" onDragOver=${drag} onDragLeave=${drag} onDrop=${drop}>
      <input
        type="file" class="visually-hidden" tabindex="-1" aria-hidden="true" accept=".odytrace" ref=${input}
        onChange=${(event) => {
          read(event.target.files[0]);
          event.target.value = "";
        }}
      />
      ${problem && html`
        <div class="notice timeline-notice" role="alert">
          <span>This file cannot be shown. ${problem}</span>
          <button onClick=${() => setProblem("")}>Close</button>
        </div>
      `}
      ${opened
        ? html`<${OpenedTrace} model=${opened} onOpen=${open} onClose=${() => setOpened(null)} />`
        : html`<${LiveTimeline} ...${props} onOpen=${open} />`}
      ${isDragging && html`<div class="timeline-drop">Drop the trace here</div>`}
    </div>
  `;
}

function OpenedTrace({ model, onOpen, onClose }) {
  return html`
    <${WholeTrace} model=${model} keys=${TIMELINE_KEYS} commands=${{ open: onOpen, follow: onClose }}>
      <button onClick=${onOpen} title="Open another file (o)">Open…</button>
      <button onClick=${onClose} title="Back to the running mock (l)">Back to live</button>
    <//>
  `;
}

function LiveTimeline({ mock, api, announce, query, onOpen }) {
  const live = useMemo(createLiveTrace, []);
  const { model, revision } = useMemo(() => live.update(mock.events), [mock.events]);
  const view = useMemo(followingView, []);
  const firstFilter = useMemo(() => ({ ...NO_FILTER, session: query?.get("session") ?? "" }), []);
  const isFollowing = useFollowing(view);
  const [isSaving, setSaving] = useState(false);
  const beganAt = beganAtOf(model.events, mock);
  useMovingAxis({ mock, model, view, isFollowing, beganAt });
  const film = useMemo(() => createFilm(model), [model]);
  const tracks = film.update(mock.state.streams, beganAt);
  const FrameImage = useMemo(() => createFrameImage(api), [api]);

  const save = async () => {
    if (isSaving) return;
    setSaving(true);
    try {
      const events = mock.events;
      const name = await saveTrace({ events, mock, api });
      announce(`${name} saved with ${entries(events.length)}`);
    } finally {
      setSaving(false);
    }
  };
  const follow = () => view.follow(!view.isFollowing);
  const actionsOf = (event) => html`<${EventActions} event=${event} mock=${mock} api=${api} announce=${announce} />`;
  const dropped = mock.dropped > 0 ? `; ${whole(mock.dropped)} older ones are not there any more` : "";
  return html`
    <${TraceBrowser}
      model=${model} revision=${revision} view=${view} FrameImage=${FrameImage} film=${tracks} firstFilter=${firstFilter} hasSession=${true} actionsOf=${actionsOf}
      keys=${TIMELINE_KEYS} commands=${{ follow, save, open: onOpen }} empty=${html`<${Nothing} />`}
      head=${() => html`
        <${ViewHeader} title="Timeline" lead=${`${entries(model.events.length)} of the journal${dropped}`}>
          <button disabled=${isSaving || model.events.length === 0} onClick=${save} title="Save a trace file (s)">${isSaving ? "Saving…" : "Save"}</button>
          <button onClick=${onOpen} title="Open a trace file (o)">Open…</button>
        <//>
      `}
      tools=${html`
        <button class=${classes("follow", isFollowing && "following")} aria-pressed=${isFollowing} onClick=${follow} title="Follow the latest entry (l)">
          <span class="follow-dot" aria-hidden="true"></span>Follow
        </button>
      `}
    />
  `;
}

function Nothing() {
  return html`
    <p class="empty-title">No entries yet</p>
    <p>Every request, message and change of state appears here as it happens. Connect an app, or start a session without code.</p>
    <p><a class="button" href=${addressOf("overview")}>How to connect</a> <a class="button" href=${addressOf("try")}>Try it</a></p>
  `;
}

function entries(count) {
  return `${whole(count)} ${count === 1 ? "entry" : "entries"}`;
}

/** Return when the journal began, in seconds of the mock's clock. */
function beganAtOf(events, mock) {
  return events.length ? events[0].data.server_time - events[0].t : (mock.overview?.began_at ?? mock.state.clock.time);
}

function followingView() {
  const view = createView(0, SPAN);
  view.follow(true);
  return view;
}

/** Make the time axis reach to now: after each snapshot, and as time passes while the view follows it. */
function useMovingAxis({ mock, model, view, isFollowing, beganAt }) {
  const latest = useRef(null);
  latest.current = () => {
    const { events } = model;
    const now = Math.max(timeOf(mock) - beganAt, model.last);
    const first = Math.min(events.length ? events[0].t : now, Math.max(now - SPAN, 0));
    view.extend(first, Math.max(now, first + SPAN));
  };
  useLayoutEffect(() => latest.current(), [mock, model]);
  useEffect(() => {
    if (!isFollowing) return undefined;
    const timer = setInterval(() => document.hidden || latest.current(), MOVE_MS);
    return () => clearInterval(timer);
  }, [isFollowing]);
}

/** Save the events as a trace file, and return its name. */
async function saveTrace({ events, mock, api }) {
  const beganAt = beganAtOf(events, mock);
  const missing = mock.dropped > 0 ? ` (${whole(mock.dropped)} older entries are missing)` : "";
  const about = {
    title: `Odyssey mock at ${api.serviceUrl}${missing}`,
    beganAt,
    duration: events.length ? events.at(-1).t : 0,
    recordedBy: mock.overview?.version ? { odyssey_mock: mock.overview.version } : {},
    dropped: {},
  };
  const name = `odyssey-mock-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.odytrace`;
  saveFile(await writeTrace({ about, events }), name);
  return name;
}

/** What can be done with an entry: copies for other tools, and a fault that fires when it happens again. */
function EventActions({ event, mock, api, announce }) {
  const curl = curlOf(event, { serviceUrl: api.serviceUrl, apiKey: mock.overview?.api_key ?? "" });
  const fault = faultAt(event, mock.catalog);
  return html`
    ${curl && html`<${CopyButton} text=${curl} what="The request" label="Copy as curl" announce=${announce} />`}
    <${CopyButton} text=${pytestOf(event)} what="The assertion" label="Copy as pytest" announce=${announce} />
    <${CopyButton} text=${JSON.stringify(event, null, 2)} what="The entry" label="Copy as JSON" announce=${announce} />
    ${fault && html`<a class="button" href=${addressOf("faults", { fault: JSON.stringify(fault) })}>Fault here…</a>`}
  `;
}
