// Parts that the views of the console share: heads, empty states, badges, copy buttons, errors of requests.

import { classes, html, useEffect, useRef, useState } from "components/html.js";

const COPIED_MS = 1600;
/** The time after which a browser has read a file that is saved. */
const SAVED_MS = 60_000;

/** The head of a view: its name, what it is for in one sentence, and its actions as children. */
export function ViewHeader({ title, lead, children }) {
  return html`
    <header class="view-head">
      <div class="view-title">
        <h1 id="view-title" tabindex="-1">${title}</h1>
        ${lead && html`<p class="view-lead">${lead}</p>`}
      </div>
      ${children && html`<div class="view-actions">${children}</div>`}
    </header>
  `;
}

/** A part of a view with a heading; `actions` are at its right. */
export function Section({ title, actions, children, class: name }) {
  return html`
    <section class=${classes("section", name)} aria-label=${title}>
      <div class="section-head"><h2>${title}</h2>${actions && html`<div class="section-actions">${actions}</div>`}</div>
      ${children}
    </section>
  `;
}

/** What a view shows if there is nothing yet: says what to do; links and buttons as children. */
export function EmptyState({ title, children }) {
  return html`
    <div class="empty-state">
      <p class="empty-title">${title}</p>
      <div class="empty-text">${children}</div>
    </div>
  `;
}

/** A word about a state. `tone`: "" (plain), `good`, `busy`, `bad` or `warn`. */
export function Badge({ tone = "", children }) {
  return html`<span class=${classes("badge", tone && `badge-${tone}`)}>${children}</span>`;
}

/** A button that copies `text`; `what` names it for the announcement, such as "The address". */
export function CopyButton({ text, what, label = "Copy", announce, class: name }) {
  const [isCopied, setCopied] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    if (!(await copyText(text))) return announce(`${what} could not be copied: the browser does not permit it`);
    announce(`${what} copied`);
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), COPIED_MS);
    return undefined;
  };
  return html`
    <button type="button" class=${classes("copy", isCopied && "copied", name)} aria-label=${`${label || "Copy"}: ${what}`} onClick=${copy}>
      <${Icon} name=${isCopied ? "check" : "copy"} />${label !== "" && html`<span>${label}</span>`}
    </button>
  `;
}

/** Copy text to the clipboard; return whether that was possible. Pages of plain HTTP have no clipboard API, except of this machine. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    const focused = document.activeElement;
    area.select();
    try {
      return document.execCommand("copy");
    } finally {
      area.remove();
      focused?.focus();
    }
  }
}

/** Save a file with the browser, as a download of this name. */
export function saveFile(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  // The browser reads the file after this task.
  setTimeout(() => URL.revokeObjectURL(url), SAVED_MS);
}

/** Text of the mock, in which names and values are between backticks. */
export function Coded({ text }) {
  return text.split("`").map((part, number) => (number % 2 ? html`<code key=${number}>${part}</code>` : part));
}

/** The error of a request, an `ApiError`; nothing if there is none. */
export function ErrorText({ error }) {
  if (!error) return null;
  return html`<p class="error-text" role="alert"><${Coded} text=${error.message ?? String(error)} /></p>`;
}

const ICONS = {
  overview: ["M3 3h6v8H3z", "M11 3h6v4h-6z", "M11 9h6v8h-6z", "M3 13h6v4H3z"],
  sessions: ["M2.5 5h10v10h-10z", "M12.5 8.5l5-2.5v8l-5-2.5"],
  timeline: ["M3 5h7", "M7 10h8", "M12 15h5", "M3 10h1", "M3 15h6"],
  faults: ["M10 3l7.5 13h-15z", "M10 8v4", "M10 14v.2"],
  clock: ["M10 3a7 7 0 1 0 .01 0z", "M10 6v4l2.8 1.8"],
  simulations: ["M3 4h14v12H3z", "M7 4v12", "M13 4v12", "M3 8h4", "M3 12h4", "M13 8h4", "M13 12h4"],
  try: ["M6 4l10 6-10 6z"],
  accounts: ["M3 6h8", "M15 6h2", "M3 14h2", "M9 14h8", "M13 4a2 2 0 1 0 .01 0z", "M7 12a2 2 0 1 0 .01 0z"],
  copy: ["M7 7h9v9H7z", "M13 7V4H4v9h3"],
  check: ["M4 10.5l4 4 8-9"],
  close: ["M5 5l10 10", "M15 5L5 15"],
  theme: ["M10 3a7 7 0 1 0 .01 0z", "M10 3v14a7 7 0 0 0 0-14z"],
  help: ["M10 3a7 7 0 1 0 .01 0z", "M8 8.2a2 2 0 1 1 2.8 1.8c-.6.3-.8.6-.8 1.3", "M10 13.6v.2"],
  video: ["M3 5h14v10H3z", "M8.5 8l3.5 2-3.5 2z"],
};

/** A symbol of 16 pixels, for eyes only: the text beside it, or the label of its button, says what it means. */
export function Icon({ name }) {
  return html`
    <svg class="icon-line" viewBox="0 0 20 20" width="16" height="16" aria-hidden="true" focusable="false">
      ${ICONS[name].map((path) => html`<path key=${path} d=${path} />`)}
    </svg>
  `;
}
