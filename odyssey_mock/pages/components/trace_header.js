// The head of the page: what the trace is about. TraceHeader({model, onFailure, onFirstError, actions}), FailureView({failure, ...}).

import { classes, html, useState } from "components/html.js";
import { JsonText } from "components/json_text.js";
import { counted, duration, whole } from "components/time_format.js";
import { LANE_LABELS } from "components/trace_model.js";

/** Characters of a fact, such as the command, above which it is cut on a wide page too, until the reader asks for all. */
const LONG_FACT = 60;
const OUTCOMES = { passed: "Passed", failed: "Failed", error: "Error", none: "Recording" };

/** Title, outcome, duration, versions and numbers; the first line of the failure. */
export function TraceHeader({ model, onFailure, onFirstError, onPending, children }) {
  const { manifest, pending, firstError } = model;
  const errors = model.errors.length;
  const [isWhole, setWhole] = useState(false);
  const { before, name } = splitTitle(manifest.title);
  const facts = factsOf(model);
  return html`
    <header class="trace-header">
      <div class="title-row">
        <span class=${`outcome outcome-${manifest.outcome}`}>${OUTCOMES[manifest.outcome]}</span>
        <h1 title=${manifest.title}>${before && html`<span class="title-path">${before}</span>`}<span class="title-name">${name}</span></h1>
        <div class="actions">${children}</div>
      </div>
      <div class="facts-row">
        <ul class=${classes("facts-line", isWhole && "whole")} aria-label="About the trace">
          ${facts.map(({ text, title }) => html`<li key=${text} title=${title}>${text}</li>`)}
        </ul>
        <button class=${classes("link", "more", facts.some(({ text }) => text.length > LONG_FACT) && "always")} aria-expanded=${isWhole} onClick=${() => setWhole(!isWhole)}>${isWhole ? "Less" : "More"}</button>
      </div>
      ${(manifest.failure || firstError !== null || pending.length > 0) && html`
        <div class=${classes("failure-line", !manifest.failure && firstError === null && "only-pending")}>
          <span class="failure-message">
            ${manifest.failure
              ? html`<strong>${manifest.failure.type}</strong> ${firstLine(manifest.failure.message)}`
              : [errors > 0 && `${counted(errors, "event")} with an error`, pending.length > 0 && counted(pending.length, "pending call")].filter(Boolean).join(", ")}
          </span>
          ${manifest.failure && html`<button onClick=${onFailure} title="Show the failure (f)">Show failure</button>`}
          ${firstError !== null && html`<button onClick=${onFirstError} title="Select the first error (e)">First error</button>`}
          ${pending.length > 0 && html`<button onClick=${onPending} title="Select the next pending call (w)">${whole(pending.length)} pending</button>`}
        </div>
      `}
    </header>
  `;
}

/** The failure of a test: exception, message, phase and traceback. */
export function FailureView({ manifest, heading }) {
  const { failure } = manifest;
  return html`
    <div class="failure">
      <h2 tabindex="-1" ref=${heading} data-entry>${failure.type}${failure.phase !== "call" ? ` in ${failure.phase}` : ""}</h2>
      <p class="error-text failure-text">${failure.message}</p>
      ${failure.traceback && html`
        <details>
          <summary>Traceback</summary>
          <${JsonText} value=${failure.traceback} label="Traceback" />
        </details>
      `}
    </div>
  `;
}

/** Return the path of a test and its name, which may have parameters with colons. */
function splitTitle(title) {
  const at = title.split("[", 1)[0].lastIndexOf("::");
  return at < 0 ? { before: "", name: title } : { before: title.slice(0, at + 2), name: title.slice(at + 2) };
}

function firstLine(message) {
  return message.split("\n", 1)[0];
}

function factsOf({ manifest, events, images }) {
  const { recorded_by: versions, dropped } = manifest;
  const facts = [
    { text: `${duration(manifest.duration)}${manifest.time === "virtual" ? " in virtual time" : ""}` },
    { text: counted(events.length, "event") },
    { text: counted(images.size, "frame") },
  ];
  const lost = Object.entries(dropped).filter(([, count]) => count > 0);
  if (lost.length) {
    const total = lost.reduce((sum, [, count]) => sum + count, 0);
    const lanes = lost.map(([lane, count]) => `${LANE_LABELS[lane] ?? lane} ${count}`).join(", ");
    facts.push({ text: `${total} dropped (${lanes})`, title: "Left out because of the size limit of the recording" });
  }
  const began = new Date(manifest.began_at * 1000);
  if (!Number.isNaN(began.getTime())) facts.push({ text: began.toISOString().replace("T", " ").replace(/\.\d+Z/, " UTC") });
  if (manifest.seed !== null && manifest.seed !== undefined) facts.push({ text: `seed ${manifest.seed}` });
  if (typeof manifest.commit === "string") facts.push({ text: `commit ${manifest.commit.slice(0, 8)}`, title: manifest.commit });
  for (const [name, version] of Object.entries(versions)) {
    if (name !== "platform") facts.push({ text: `${name} ${version}` });
  }
  if (versions.platform) facts.push({ text: String(versions.platform) });
  if (typeof manifest.command === "string") facts.push({ text: manifest.command, title: "The command that ran the test" });
  return facts;
}
