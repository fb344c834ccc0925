// One session of the mock: its video, state, limits and statistics, and what the mock can do to it.

import { classes, html, useEffect, useMemo, useRef, useState } from "components/html.js";
import { counted, longDuration } from "components/time_format.js";
import { createStatistics, METRICS } from "components/trace_model.js";
import { secondsLeft, useTicks } from "console/mock_time.js";
import { addressOf } from "console/navigation.js";
import { SparkPlot } from "console/spark_plot.js";
import { StateDiagram } from "console/state_diagram.js";
import { sessionState } from "console/state_words.js";
import { Badge, CopyButton, ErrorText } from "console/view_parts.js";
import { NoVideo, WhepPlayer } from "console/whep_player.js";

const MOST_MEASURED = 120;
/** The longest reason of a close frame, in bytes (RFC 6455 section 5.5). */
const LONGEST_REASON = 123;
const DEFAULT_CODE = 1011;
const NO_STATISTICS = [];

/** A session with everything about it. */
export function SessionCard({ session, stream, mock, api, announce, places }) {
  const { label, tone } = sessionState(session);
  const id = session.session_id;
  const measured = useRef({ at: [], fps: [], age: [] });
  const [, setMeasured] = useState(0);
  const actions = useActions(id, api, announce);
  const onMeasure = ({ fps, age }) => {
    const { current } = measured;
    measured.current = {
      at: [...current.at, performance.now() / 1000].slice(-MOST_MEASURED),
      fps: [...current.fps, fps].slice(-MOST_MEASURED),
      age: [...current.age, age].slice(-MOST_MEASURED),
    };
    setMeasured((number) => number + 1);
  };
  return html`
    <article class="card session" aria-label=${`Session ${id.slice(0, 8)}`} data-session=${id}>
      <header class="session-head">
        <${Badge} tone=${tone}>${label}<//>
        <h2 class="mono session-id">${id.slice(0, 8)}</h2>
        <${CopyButton} text=${id} what="The session id" label="" announce=${announce} class="quiet" />
        <p class="session-facts">${[session.account, session.region, stream?.broadcast && viewersText(stream)].filter(Boolean).join(" · ")}</p>
        <a class="text-link" href=${addressOf("timeline", { session: id })}>Timeline</a>
        <button type="button" class="danger" disabled=${actions.busy !== ""} aria-label="End session" onClick=${() => actions.run("end", {}, "The session has ended")}>
          End<span class="wide-only"> session</span>
        </button>
      </header>
      <div class="session-body">
        <div class="session-video">
          ${stream
            ? html`<${WhepPlayer} stream=${stream} label=${`Video of session ${id.slice(0, 8)}`} api=${api} places=${places} isFirst onMeasure=${onMeasure} />`
            : html`<${NoVideo} text="No stream is running" />`}
        </div>
        <div class="session-main">
          <${Prompt} stream=${stream} />
          <${Actions} id=${id} stream=${stream} actions=${actions} />
          <${Limits} session=${session} mock=${mock} />
        </div>
        <div class="session-side">
          ${mock.machines && html`<${StateDiagram} machine=${mock.machines.session} state=${session.state} label="State of the session" />`}
          <${Plots} reports=${mock.statistics.get(id) ?? NO_STATISTICS} measured=${measured.current} />
        </div>
      </div>
    </article>
  `;
}

function viewersText({ viewers = 0 }) {
  return `broadcast, ${counted(viewers, "viewer")}`;
}

/** What the stream shows now. */
function Prompt({ stream }) {
  if (!stream) return html`<p class="session-prompt muted">The client has not started a stream.</p>`;
  return html`
    <div class="session-prompt">
      <p class="prompt-now" dir="auto">${stream.current_prompt ?? stream.prompt}</p>
      <p class="muted">${[
        `${stream.width} × ${stream.height}`,
        stream.fps && `${stream.fps} fps`,
        stream.interactions > 0 && counted(stream.interactions, "interaction"),
      ].filter(Boolean).join(" · ")}</p>
    </div>
  `;
}

/** Return {run, busy, error, clear}: `run(action, body, done)` requests an action below `sessions/{id}/`, and announces `done`. */
function useActions(id, api, announce) {
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState("");
  const run = async (action, body, done) => {
    setBusy(action);
    setError(null);
    try {
      await api.post(`sessions/${encodeURIComponent(id)}/${action}`, body);
      announce(done);
      return true;
    } catch (failure) {
      setError(failure);
      return false;
    } finally {
      setBusy("");
    }
  };
  return { run, busy, error, clear: () => setError(null) };
}

/** The prompt box and the buttons. The mock refuses actions that the state of the session does not permit, and says why. */
function Actions({ id, stream, actions }) {
  const { run, busy, error, clear } = actions;
  const [prompt, setPrompt] = useState("");
  const [form, setForm] = useState("");
  const interact = async (event) => {
    event.preventDefault();
    if (prompt.trim() && (await run("interact", { prompt }, "The picture changes to the prompt"))) setPrompt("");
  };
  const toggle = (name) => {
    clear();
    setForm(form === name ? "" : name);
  };
  const finish = async (action, body, done) => {
    if (await run(action, body, done)) setForm("");
  };
  const cancel = (event) => {
    if (event.key !== "Escape" || form === "") return;
    event.stopPropagation();
    setForm("");
    event.currentTarget.querySelector("[aria-expanded=true]").focus();
  };
  const opener = (name, text) => html`
    <button type="button" aria-expanded=${form === name} aria-controls=${`${name}-${id}`} onClick=${() => toggle(name)}>${text}</button>
  `;
  return html`
    <div class="actions" onKeyDown=${cancel}>
      <form class="interact" onSubmit=${interact}>
        <input
          type="text" aria-label="Prompt" placeholder=${stream ? "What happens next?" : "Waiting for a stream"}
          value=${prompt} disabled=${!stream} onInput=${(event) => setPrompt(event.target.value)}
        />
        <button type="submit" disabled=${!stream || busy === "interact"}>Interact</button>
      </form>
      <div class="action-row" role="group" aria-label="Actions">
        <button type="button" disabled=${!stream || busy !== ""} onClick=${() => run("end-stream", {}, "The stream has ended")}>End stream</button>
        ${opener("break", "Break…")}
        <button type="button" disabled=${busy !== ""} title="The peer stops sending and receiving, as if a cable were cut" onClick=${() => run("vanish", {}, "The peer has vanished, as if a cable were cut")}>Drop peer</button>
        ${opener("close", "Close socket…")}
      </div>
      ${form === "break" && html`<${BreakForm} id=${`break-${id}`} onSubmit=${(body) => finish("break", body, "The stream broke")} />`}
      ${form === "close" && html`<${CloseForm} id=${`close-${id}`} onSubmit=${(body) => finish("close-socket", body, "The socket is closed")} />`}
      <${ErrorText} error=${error} />
    </div>
  `;
}

/** Focus the first field of a form that was just opened. */
function useFirstField() {
  const form = useRef(null);
  useEffect(() => form.current.querySelector("input").focus(), []);
  return form;
}

function BreakForm({ id, onSubmit }) {
  const [reason, setReason] = useState("model_error");
  const [message, setMessage] = useState("The model crashed");
  const form = useFirstField();
  const submit = (event) => {
    event.preventDefault();
    onSubmit({ reason, message });
  };
  return html`
    <form class="action-form" id=${id} ref=${form} onSubmit=${submit} aria-label="Break the stream">
      <label class="field"><span>Reason</span><input type="text" required value=${reason} onInput=${(event) => setReason(event.target.value)} /></label>
      <label class="field"><span>Message</span><input type="text" value=${message} onInput=${(event) => setMessage(event.target.value)} /></label>
      <button type="submit">Break the stream</button>
    </form>
  `;
}

function CloseForm({ id, onSubmit }) {
  const [code, setCode] = useState(String(DEFAULT_CODE));
  const [reason, setReason] = useState("");
  const form = useFirstField();
  const submit = (event) => {
    event.preventDefault();
    onSubmit({ code: Number(code), reason });
  };
  return html`
    <form class="action-form" id=${id} ref=${form} onSubmit=${submit} aria-label="Close the socket">
      <label class="field narrow"><span>Code</span><input type="number" required min="1000" max="4999" value=${code} onInput=${(event) => setCode(event.target.value)} /></label>
      <label class="field"><span>Reason</span><input type="text" maxlength=${LONGEST_REASON} value=${reason} onInput=${(event) => setReason(event.target.value)} /></label>
      <button type="submit">Close the socket</button>
    </form>
  `;
}

/** The deadlines of the session, with the seconds that are left. */
function Limits({ session, mock }) {
  useTicks();
  const deadlines = session.deadlines ?? [];
  if (deadlines.length === 0) return null;
  return html`
    <dl class="limits" aria-label="Remaining limits">
      ${deadlines.map((deadline) => {
        const left = secondsLeft(mock, deadline);
        return html`<div key=${deadline.name} class=${classes(left < 10 && "urgent")}><dt>${deadline.name}</dt><dd class="number">${longDuration(Math.ceil(left))}</dd></div>`;
      })}
    </dl>
  `;
}

/** Frames per second and frame age as this page receives the video; bitrate and loss of the client's own connection. */
function Plots({ reports, measured }) {
  const peer = useMemo(() => {
    const events = reports.map(({ at, reports: data }) => ({ t: at, lane: "stats", side: "server", data: { reports: data } }));
    return createStatistics()(events, 0)[0] ?? { at: [], values: Object.fromEntries(METRICS.map(({ name }) => [name, []])) };
  }, [reports]);
  return html`
    <div class="sparks">
      <${SparkPlot} label="fps" title="frames per second, as this page receives them" at=${measured.at} values=${measured.fps} color="plot-1" text=${(value) => value.toFixed(0)} />
      <${SparkPlot} label="bitrate" title="bitrate of the video to the client" at=${peer.at} values=${peer.values.bitrate} color="plot-2" text=${(value) => `${(value / 1e6).toFixed(2)} Mbit/s`} />
      <${SparkPlot} label="lost" title="packets that the client has lost" at=${peer.at} values=${peer.values.packetsLost} color="plot-3" text=${(value) => value.toFixed(0)} />
      <${SparkPlot} label="frame age" title="time from the capture of a frame, or from its arrival if the capture is unknown, to its display in this page" at=${measured.at} values=${measured.age} color="plot-4" text=${(value) => `${(value * 1000).toFixed(0)} ms`} />
    </div>
  `;
}
