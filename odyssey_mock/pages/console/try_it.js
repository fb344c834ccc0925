// The view Try it: a session without code. The page itself is a client of the service.

import { classes, html, useEffect, useRef, useState } from "components/html.js";
import { useNarrow } from "components/panels.js";
import { counted } from "components/time_format.js";
import { BroadcastCard } from "console/broadcast_card.js";
import { STEPS } from "console/live_client.js";
import { addressOf } from "console/navigation.js";
import { RefusalNotice } from "console/refusal_notice.js";
import { StartImage } from "console/start_image.js";
import { trialOf } from "console/trial.js";
import { Badge, Section, ViewHeader } from "console/view_parts.js";

const FIRST_PROMPT = "A cat on a windowsill";
/** Test keys, each of which causes a refusal (docs/reference/protocol.md, section 2). */
const TEST_KEYS = [
  ["ody_no_capacity", "no streamer is free"],
  ["ody_concurrent_limit", "too many sessions"],
  ["ody_monthly_limit", "the hours of the month are used up"],
  ["ody_suspended", "the account is suspended"],
  ["ody_invalid", "the key is unknown"],
];

/** What the user has entered: kept while other views are shown. */
const DRAFT = { prompt: FIRST_PROMPT, portrait: false, image: null, broadcast: false, bypass: false, key: "", update: "" };
let draft = DRAFT;

function useTrial(api) {
  const trial = trialOf(api);
  const [, setNumber] = useState(0);
  useEffect(() => trial.subscribe(() => setNumber((number) => number + 1)), [trial]);
  return trial;
}

/** A session without code. */
export function TryItView({ mock, api, announce }) {
  const trial = useTrial(api);
  const { live, refusal } = trial.snapshot;
  const [form, setForm] = useState(draft);
  const change = (values) => setForm((before) => (draft = { ...before, ...values }));
  const isNarrow = useNarrow();
  const update = useRef(null);
  const start = useRef(null);
  const stage = useRef(null);
  const stream = live?.stream ?? null;
  const isConnecting = live?.phase === "connecting";
  const isBusy = isConnecting || stream === "starting" || stream === "ending";
  const ownKey = mock.overview?.api_key ?? "";

  const onStart = async (event) => {
    event.preventDefault();
    if (isBusy || stream || !ownKey) return;
    announce("Starting");
    if (isNarrow) stage.current.scrollIntoView({ block: "start" });
    const isStarted = await trial.start({
      apiKey: form.key.trim() || ownKey,
      prompt: form.prompt,
      portrait: form.portrait,
      image: form.image?.url ?? null,
      broadcast: form.broadcast,
      bypass: form.bypass,
    });
    announce(isStarted ? "The stream runs" : "The start was refused");
    if (isStarted) update.current?.focus({ preventScroll: true });
  };
  const onInteract = async (event) => {
    event.preventDefault();
    const prompt = form.update;
    if (!prompt.trim() || stream !== "running") return;
    change({ update: "" });
    const isApplied = await trial.interact(prompt);
    announce(isApplied ? "Applied" : "The interaction was refused");
  };
  const onEnd = async () => {
    const isEnded = await trial.end();
    announce(isEnded ? "The stream has ended" : "The end was not acknowledged");
    if (isEnded) start.current?.focus({ preventScroll: true });
  };
  const onKeyDown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onStart(event);
  };

  return html`
    <${ViewHeader} title="Try it" lead="A session without code: this page is a client of the mock, with real REST calls, signaling and WebRTC." />
    <div class="try">
      <form class="card card-body try-form" aria-label="Stream" onSubmit=${onStart}>
        <label class="field">
          <span>Prompt</span>
          <textarea rows="3" value=${form.prompt} onInput=${(event) => change({ prompt: event.target.value })} onKeyDown=${onKeyDown}></textarea>
        </label>
        <fieldset class="choices">
          <legend>Shape</legend>
          ${[[false, "Landscape"], [true, "Portrait"]].map(([portrait, label]) => html`
            <label key=${label} class="choice"><input type="radio" name="shape" checked=${form.portrait === portrait} onChange=${() => change({ portrait })} /><span>${label}</span></label>
          `)}
        </fieldset>
        <${StartImage} image=${form.image} onChange=${(image) => change({ image })} announce=${announce} />
        <label class="check"><input type="checkbox" checked=${form.broadcast} onChange=${(event) => change({ broadcast: event.target.checked })} /> <span>Broadcast <span class="field-hint">with a link for spectators</span></span></label>
        <details class="more-options">
          <summary>More options</summary>
          <label class="check"><input type="checkbox" checked=${form.bypass} onChange=${(event) => change({ bypass: event.target.checked })} /> <span>Use the prompt unchanged <span class="field-hint">bypass_vlm_expansion</span></span></label>
          <label class="field">
            <span>API key</span>
            <input type="text" class="mono" list="test-keys" autocomplete="off" spellcheck=${false} placeholder=${ownKey} value=${form.key} onInput=${(event) => change({ key: event.target.value })} />
            <span class="field-hint">The mock's own key by default. The list has keys that are refused.</span>
          </label>
          <datalist id="test-keys">${TEST_KEYS.map(([key, does]) => html`<option key=${key} value=${key}>${does}</option>`)}</datalist>
        </details>
        <button class="primary" type="submit" ref=${start} aria-disabled=${isBusy || stream !== null || !ownKey}>${startLabel(live)}</button>
      </form>
      <div class="try-stage" ref=${stage}>
        <${Stage} live=${live} portrait=${form.portrait} />
        <div class="stage-bar">
          <form class="interact" aria-label="Change the stream" onSubmit=${onInteract}>
            <input type="text" ref=${update} aria-label="Interaction" placeholder=${stream ? "Pet the cat" : "Start a stream, then change it here"} disabled=${stream !== "running"} value=${form.update} onInput=${(event) => change({ update: event.target.value })} />
            <button type="submit" disabled=${stream !== "running"}>Interact</button>
          </form>
          <button type="button" disabled=${stream !== "running" && stream !== "starting"} onClick=${onEnd}>End the stream</button>
          <button type="button" disabled=${!isConnecting && live?.phase !== "connected"} onClick=${() => { trial.close(); announce("The session has ended"); start.current?.focus({ preventScroll: true }); }}>${isConnecting ? "Cancel" : "Disconnect"}</button>
        </div>
        ${refusal && html`<${RefusalNotice} refusal=${refusal} />`}
        ${live && html`<${Prompts} prompts=${live.prompts} />`}
      </div>
      ${live?.broadcast && html`<${BroadcastCard} broadcast=${live.broadcast} viewers=${viewersOf(mock, live.streamId)} announce=${announce} />`}
    </div>
  `;
}

function startLabel(live) {
  if (live?.phase === "connecting") return "Connecting…";
  if (live?.stream === "starting") return "Starting…";
  return live?.stream ? "Running" : "Start";
}

function viewersOf(mock, streamId) {
  const broadcast = mock.state.broadcasts.find(({ stream_id: id }) => id === streamId);
  const { spectators } = broadcast ?? {};
  return Array.isArray(spectators) ? spectators.length : (spectators ?? 0);
}

/** The picture; before it, what is going on. */
function Stage({ live, portrait }) {
  const video = useRef(null);
  const [isPlaying, setPlaying] = useState(false);
  useEffect(() => {
    const { current } = video;
    setPlaying(false);
    current.srcObject = live?.video ?? null;
    if (live?.video) current.play().catch(() => {}); // The browser can refuse to play; the picture stays dark then.
  }, [live?.video]);
  const isConnecting = live?.phase === "connecting";
  const isFailed = live?.phase === "closed" && live.step !== null;
  return html`
    <div class=${classes("stage", portrait && "portrait")} data-phase=${live?.phase ?? "idle"} data-stream=${live?.stream ?? "none"}>
      <video ref=${video} class=${classes(live?.video && isPlaying && "shown")} muted playsinline aria-label="Video of the session" onPlaying=${() => setPlaying(true)}></video>
      ${live?.phase === "connected" && html`<div class="stage-badges"><${StreamBadge} live=${live} /></div>`}
      ${isConnecting || isFailed
        ? html`<${Steps} live=${live} isFailed=${isFailed} />`
        : !live?.video && html`<p class="stage-text">${live?.phase === "closed" ? "The session has ended." : "The picture of the session is shown here."}</p>`}
    </div>
  `;
}

const STREAM_BADGES = {
  starting: { tone: "busy", label: "Starting" },
  running: { tone: "good", label: "Streaming" },
  ending: { tone: "busy", label: "Ending" },
};

function StreamBadge({ live }) {
  const { tone, label } = STREAM_BADGES[live.stream] ?? { tone: "", label: "Connected, no stream" };
  return html`<${Badge} tone=${tone}>${label}<//>${live.session && html`<a class="badge" href=${addressOf("timeline", { session: live.session.id })}>${live.session.region} · ${live.session.id.slice(0, 8)}</a>`}`;
}

/** The steps of connecting, each with its duration. */
function Steps({ live, isFailed }) {
  const current = STEPS.findIndex(({ name }) => name === live.step);
  return html`
    <ol class="steps" aria-label="Steps of connecting">
      ${STEPS.map(({ name, label, call }, place) => {
        const isDone = live.took[name] !== undefined;
        const isCurrent = place === current;
        const state = isDone ? "done" : isCurrent ? (isFailed ? "failed" : "busy") : "open";
        return html`
          <li key=${name} class=${`step step-${state}`} aria-current=${isCurrent ? "step" : undefined}>
            <span class="step-mark" aria-hidden="true">${{ done: "✓", failed: "×", busy: "", open: "" }[state]}</span>
            <span class="step-label">${label} <span class="step-call">${call}</span></span>
            <span class="step-time">${isDone ? `${Math.round(live.took[name] * 1000)} ms` : isCurrent && isFailed ? "refused" : ""}</span>
          </li>
        `;
      })}
      ${live.refusals > 0 && !isFailed && html`<li class="step-note" role="status">No streamer is free (503, ${counted(live.refusals, "time")}). The client asks each second, for 30 seconds.</li>`}
    </ol>
  `;
}

const PROMPT_BADGES = { sent: { tone: "busy", label: "sent" }, applied: { tone: "good", label: "applied" }, refused: { tone: "bad", label: "refused" } };

/** The prompts of the stream, each with its state: sent, applied or refused. The latest is first. */
function Prompts({ prompts }) {
  if (prompts.length === 0) return null;
  return html`
    <${Section} title="Prompts">
      <ol class="card prompts" reversed>
        ${[...prompts].reverse().map(({ number, kind, prompt, state, applied, message }) => html`
          <li key=${number}>
            <div class="prompt-line"><span class="prompt-kind">${kind}</span><span class="prompt-text" dir="auto">${prompt}</span><${Badge} tone=${PROMPT_BADGES[state].tone}>${PROMPT_BADGES[state].label}<//></div>
            ${applied && applied !== prompt && html`<p class="prompt-applied muted" dir="auto">${applied}</p>`}
            ${message && html`<p class="field-error">${message}</p>`}
          </li>
        `)}
      </ol>
    <//>
  `;
}
