// The keys of the viewer, and its help.

import { html, useEffect, useRef } from "components/html.js";
import { KeyList, SymbolList, TRACE_KEYS } from "components/keyboard.js";

export const KEYS = [
  ...TRACE_KEYS,
  { keys: ["t"], does: "Light or dark", command: "theme" },
  { keys: ["o"], does: "Open another file", command: "open" },
  { keys: ["?"], does: "Show this help", command: "help" },
];

/** A dialog with all keys and the symbols of the timeline. */
export function HelpDialog({ onClose }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  const closeOutside = (event) => event.target === dialog.current && dialog.current.close();
  return html`
    <dialog class="help" ref=${dialog} onClose=${onClose} onClick=${closeOutside} aria-labelledby="help-title">
      <div class="help-body">
        <div class="help-head">
          <h2 id="help-title">Keys and symbols</h2>
          <button onClick=${() => dialog.current.close()}>Close</button>
        </div>
        <${KeyList} keys=${KEYS} />
        <${SymbolList} />
        <details>
          <summary>Licenses of the libraries in this page</summary>
          <pre class="text" tabindex="0" role="region" aria-label="Licenses" data-scrolls>${document.getElementById("licenses")?.textContent.trim()}</pre>
        </details>
      </div>
    </dialog>
  `;
}
