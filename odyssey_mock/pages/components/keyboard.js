// The keys of a trace: one table, which the help of a page shows. HelpDialog({title, onClose, children}).

import { html, useEffect, useRef } from "components/html.js";

/** Each row: the keys as in KeyboardEvent.key, what they do, and the name of the command. */
export const TRACE_KEYS = [
  { keys: ["f"], does: "Show the failure", command: "failure" },
  { keys: ["e"], does: "Select the next error", command: "nextError" },
  { keys: ["E"], does: "Select the previous error", command: "previousError" },
  { keys: ["w"], does: "Select the next pending call", command: "nextPending" },
  { keys: ["j", "ArrowDown"], does: "Select the next event", command: "next" },
  { keys: ["k", "ArrowUp"], does: "Select the previous event", command: "previous" },
  { keys: ["."], does: "Select the next frame of the video", command: "nextFrame" },
  { keys: [","], does: "Select the previous frame of the video", command: "previousFrame" },
  { keys: ["p"], does: "Select the same message on the other side", command: "pair" },
  { keys: ["Enter"], does: "In the list: go to the selected event", command: null },
  { keys: ["ArrowLeft"], does: "Move the time axis to the left", command: "left" },
  { keys: ["ArrowRight"], does: "Move the time axis to the right", command: "right" },
  { keys: ["+", "="], does: "Zoom in on the selected event", command: "zoomIn" },
  { keys: ["-"], does: "Zoom out", command: "zoomOut" },
  { keys: ["0"], does: "Show the whole time axis", command: "fit" },
  { keys: ["/"], does: "Filter by text", command: "search" },
  { keys: ["c"], does: "Clear all filters", command: "clear" },
  { keys: ["1", "2", "3"], does: "Go to the list, the event, the failure", command: "panel" },
];

const SHOWN = { ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→" };

/** Call the function of `commands` whose key in the table `keys` is pressed, except while the user writes text or scrolls a text. */
export function useKeys(keys, commands) {
  const latest = useRef(commands);
  latest.current = commands;
  useEffect(() => {
    const onKeyDown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const { target } = event;
      if (target.closest("dialog")) return;
      if (target.closest("input[type=search]") && event.key === "Escape") return target.blur();
      if (target.closest("input:not([type=checkbox]), textarea, select")) return;
      if (event.key.startsWith("Arrow") && target.closest("[data-scrolls], [role=separator], [role=tablist]")) return;
      const row = keys.find((each) => each.keys.includes(event.key) && latest.current[each.command]);
      if (!row) return;
      event.preventDefault();
      latest.current[row.command](event.key);
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
}

/** A dialog with keys as children. It also has the licenses of the libraries in the page. */
export function HelpDialog({ title, onClose, children }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  const closeOutside = (event) => event.target === dialog.current && dialog.current.close();
  return html`
    <dialog class="help" ref=${dialog} onClose=${onClose} onClick=${closeOutside} aria-labelledby="help-title">
      <div class="help-body">
        <div class="help-head">
          <h2 id="help-title">${title}</h2>
          <button onClick=${() => dialog.current.close()}>Close</button>
        </div>
        ${children}
        <details>
          <summary>Licenses of the libraries in this page</summary>
          <pre class="text" tabindex="0" role="region" aria-label="Licenses" data-scrolls>${document.getElementById("licenses")?.textContent.trim()}</pre>
        </details>
      </div>
    </dialog>
  `;
}

/** The rows of a table of keys. */
export function KeyList({ keys }) {
  return html`
    <dl class="keys">
      ${keys.map((row) => html`
        <div key=${row.does}><dt>${row.keys.map((key) => html`<kbd key=${key}>${SHOWN[key] ?? key}</kbd>`)}</dt><dd>${row.does}</dd></div>
      `)}
    </dl>
  `;
}

/** What the pointer does on the time axis, and what its symbols mean. */
export function SymbolList() {
  return html`
    <h3>Pointer</h3>
    <p>Turn the wheel to zoom, drag to move, hold Shift to move with the wheel. Two fingers zoom on a touch screen.</p>
    <h3>Symbols</h3>
    <dl class="keys symbols">
      <div><dt><span class="symbol symbol-client">▼</span></dt><dd>Message from the client to the server</dd></div>
      <div><dt><span class="symbol symbol-client">▲</span></dt><dd>Message from the server to the client</dd></div>
      <div><dt><span class="symbol symbol-client">●</span></dt><dd>Recorded by the client; upper half of a lane</dd></div>
      <div><dt><span class="symbol symbol-server">●</span></dt><dd>Recorded by the server; lower half of a lane</dd></div>
      <div><dt><span class="symbol symbol-pending">▬</span></dt><dd>Pending: had not ended when the recording did</dd></div>
      <div><dt><span class="symbol symbol-error">●</span></dt><dd>Error</dd></div>
      <div><dt><span class="symbol symbol-warning">◆</span></dt><dd>Fault, or a warning in the log</dd></div>
    </dl>
  `;
}
