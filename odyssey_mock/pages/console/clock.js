// The view Clock: time, speed and deadlines of the mock's clock.

import { classes, html, useState } from "components/html.js";
import { counted, point } from "components/time_format.js";
import { paceOf, secondsLeft, timeOf, useTicks } from "console/mock_time.js";
import { Badge, EmptyState, ErrorText, Section, ViewHeader } from "console/view_parts.js";

const SPEEDS = [0.5, 1, 2, 10, 60];
const STEPS = [
  { seconds: 0.1, label: "0.1 s" },
  { seconds: 1, label: "1 s" },
  { seconds: 10, label: "10 s" },
  { seconds: 60, label: "1 min" },
  { seconds: 3600, label: "1 h" },
];
const UNITS = { ms: 0.001, s: 1, min: 60, m: 60, h: 3600, d: 86400 };
/** Only the last number can be without a unit: with two ways to read digits, the time of a match would double with each of them. */
const DURATION = /^(?:\d+(?:\.\d+)?\s*(?:ms|min|s|m|h|d)\s*)*(?:\d+(?:\.\d+)?)?$/;
const PART = /(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d)?/g;
const PLACES = 6;

/** Return the seconds of a text such as `90`, `1m 30s` or `250 ms`; null if it is none. */
export function secondsOfText(text) {
  const written = text.trim();
  if (written === "" || !DURATION.test(written)) return null;
  const parts = [...written.matchAll(PART)].map(([, number, unit = "s"]) => Number(number) * UNITS[unit]);
  return Number(parts.reduce((sum, each) => sum + each, 0).toFixed(PLACES));
}

/** Time, speed, deadlines. */
export function ClockView({ mock, api, announce }) {
  useTicks(100);
  const { clock } = mock.state;
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const isManual = clock.kind === "manual";
  const isPaused = Boolean(clock.paused);
  const act = async (words, request) => {
    setError(null);
    setBusy(true);
    try {
      const answer = await request();
      announce(typeof words === "function" ? words(answer) : words);
    } catch (failed) {
      setError(failed);
    }
    setBusy(false);
  };
  const advance = (seconds) => act(`Advanced by ${point(seconds, 1)}`, () => api.post("clock/advance", { seconds }));
  const next = () => act("Advanced to the next deadline", () => api.post("clock/next"));
  const deadlines = clock.deadlines;
  return html`
    <${ViewHeader} title="Clock" lead="Every limit and delay of the mock runs on its clock. Advance it, and minutes pass in milliseconds; what becomes due happens in order." />
    <div class="clock">
      <section class="card card-body clock-face" aria-label="Current time">
        <div class="clock-time number" role="timer" aria-label="Time of the mock">${timeText(timeOf(mock))}</div>
        <div class="clock-date muted">${dateText(timeOf(mock))} <${Badge} tone=${isPaused || isManual ? "warn" : "good"}>${paceOf(clock)}<//></div>
        <div class="clock-actions">
          <button type="button" class="primary" disabled=${isBusy || isManual} onClick=${() => (isPaused ? act("The clock continues", () => api.post("clock/resume")) : act("The clock is paused", () => api.post("clock/pause")))}>
            ${isPaused ? "Resume" : "Pause"}
          </button>
          <button type="button" disabled=${isBusy || deadlines.length === 0} onClick=${next}>Next deadline</button>
        </div>
        ${isManual && html`<p class="field-hint">This clock is manual: it stands still until it is advanced. Start the mock without <code>--clock manual</code> for one that runs.</p>`}
      </section>
      <div class="card card-body clock-controls">
        <fieldset class="control-group" disabled=${isBusy}>
          <legend>Step</legend>
          <div class="buttons">${STEPS.map(({ seconds, label }) => html`<button key=${label} type="button" aria-label=${`Step by ${label}`} onClick=${() => advance(seconds)}>+${label}</button>`)}</div>
        </fieldset>
        <${AdvanceForm} isBusy=${isBusy} onAdvance=${advance} />
        <${SpeedForm} clock=${clock} isBusy=${isBusy} isManual=${isManual} onSpeed=${(speed) => act(`Speed ${speed}`, () => api.put("clock/speed", { speed }))} />
        <${ErrorText} error=${error} />
      </div>
    </div>
    <${Section} title="Pending deadlines" actions=${deadlines.length > 0 && html`<span class="muted number">${counted(deadlines.length, "deadline")}</span>`}>
      ${deadlines.length === 0
        ? html`<${EmptyState} title="Nothing is pending."><p>A session has deadlines: its inactivity, the length of its stream and of its connection. A job has them too.</p><//>`
        : html`<${Deadlines} mock=${mock} deadlines=${deadlines} isBusy=${isBusy} onAdvance=${advance} />`}
    <//>
  `;
}

function AdvanceForm({ isBusy, onAdvance }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const submit = (event) => {
    event.preventDefault();
    const seconds = secondsOfText(text);
    setProblem(seconds === null ? `Expected a duration such as 90, 1m 30s or 2h, got "${text}".` : "");
    if (seconds !== null) onAdvance(seconds);
  };
  return html`
    <form class="control-group" onSubmit=${submit}>
      <label for="advance-by">Advance by</label>
      <div class="buttons">
        <input id="advance-by" class="short" type="text" inputmode="decimal" placeholder="2m 30s" value=${text} aria-invalid=${problem !== ""} aria-describedby="advance-problem" onInput=${(event) => { setText(event.target.value); setProblem(""); }} />
        <button type="submit" disabled=${isBusy || text.trim() === ""}>Advance</button>
      </div>
      <p class="field-error" id="advance-problem">${problem}</p>
    </form>
  `;
}

function SpeedForm({ clock, isBusy, isManual, onSpeed }) {
  const [text, setText] = useState("");
  const speed = clock.speed ?? 1;
  const submit = (event) => {
    event.preventDefault();
    onSpeed(Number(text));
  };
  return html`
    <form class="control-group" onSubmit=${submit}>
      <span id="speed-label" class="control-label">Speed</span>
      <div class="buttons" role="group" aria-labelledby="speed-label">
        ${SPEEDS.map((each) => html`<button key=${each} type="button" class=${classes(!isManual && speed === each && "chosen")} aria-label=${`Speed ${each}`} aria-pressed=${!isManual && speed === each} disabled=${isBusy || isManual} onClick=${() => onSpeed(each)}>${each}×</button>`)}
        <input class="short" type="number" min="0" step="any" aria-label="Another speed" placeholder="other" disabled=${isManual} value=${text} onInput=${(event) => setText(event.target.value)} />
        <button type="submit" disabled=${isBusy || isManual || text === ""}>Set</button>
      </div>
    </form>
  `;
}

function Deadlines({ mock, deadlines, isBusy, onAdvance }) {
  return html`
    <div class="card table-scroller">
      <table class="table deadlines">
        <thead><tr><th scope="col">Deadline</th><th scope="col" class="right">Due in</th><th scope="col" class="wide-only">At</th><th scope="col"><span class="visually-hidden">Action</span></th></tr></thead>
        <tbody>
          ${deadlines.map((deadline, place) => {
            const left = secondsLeft(mock, deadline);
            return html`
              <tr key=${place}>
                <td>${deadline.name}</td>
                <td class="right number">${point(left, 1)}</td>
                <td class="number muted wide-only">${timeText(timeOf(mock) + left)}</td>
                <td class="right"><button type="button" disabled=${isBusy} onClick=${() => onAdvance(Number(secondsLeft(mock, deadline).toFixed(PLACES)))}>Advance to it<span class="visually-hidden">: ${deadline.name}</span></button></td>
              </tr>
            `;
          })}
        </tbody>
      </table>
    </div>
  `;
}

function timeText(seconds) {
  return new Date(seconds * 1000).toISOString().slice(11, 21);
}

function dateText(seconds) {
  return `${new Date(seconds * 1000).toLocaleDateString("en-US", { timeZone: "UTC", weekday: "short", year: "numeric", month: "short", day: "numeric" })}, UTC`;
}
