// A text editor with line numbers and the errors at their places. ScriptEditor({text, problems, onChange, onRun}).

import { html, useRef, useState } from "components/html.js";
import { counted } from "components/time_format.js";

const LINE = 20;
const PADDING = 8;

/** The script `text`; `problems` are [{line, column, start, end, message, path}]. Ctrl+Enter calls `onRun`. */
export function ScriptEditor({ text, problems, onChange, onRun, label, status }) {
  const area = useRef(null);
  const [scroll, setScroll] = useState({ top: 0, left: 0 });
  const lines = text.split("\n").length;
  const failing = new Set(problems.map(({ line }) => line));
  const show = ({ start, end, line }) => {
    const { current } = area;
    current.focus();
    current.setSelectionRange(start, end);
    const top = (line - 1) * LINE;
    if (top < current.scrollTop || top + LINE > current.scrollTop + current.clientHeight) current.scrollTop = Math.max(top - 3 * LINE, 0);
  };
  const onKeyDown = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    onRun();
  };
  return html`
    <div class="editor">
      <div class="editor-text" style=${{ height: `${Math.min(Math.max(lines, 8), 22) * LINE + 2 * PADDING + 14}px` }}>
        <div class="editor-gutter" aria-hidden="true">
          <div style=${{ transform: `translateY(${-scroll.top}px)` }}>
            ${Array.from({ length: lines }, (_, place) => html`<div key=${place} class=${failing.has(place + 1) ? "failing" : ""}>${place + 1}</div>`)}
          </div>
        </div>
        <div class="editor-body">
          <div class="editor-marks" aria-hidden="true">
            <div style=${{ transform: `translate(${-scroll.left}px, ${-scroll.top}px)` }}>
              ${problems.map((problem, place) => html`
                <span key=${place} class="editor-mark" style=${{
                  top: `${(problem.line - 1) * LINE + PADDING}px`,
                  left: `calc(${problem.column - 1}ch + 10px)`,
                  width: `${Math.max(problem.end - problem.start, 1)}ch`,
                }}></span>
              `)}
            </div>
          </div>
          <textarea
            ref=${area} class="editor-area" aria-label=${label} aria-invalid=${problems.length > 0} aria-describedby="script-problems"
            spellcheck=${false} autocomplete="off" wrap="off" value=${text}
            onInput=${(event) => onChange(event.target.value)} onKeyDown=${onKeyDown}
            onScroll=${({ target }) => setScroll({ top: target.scrollTop, left: target.scrollLeft })}
          ></textarea>
        </div>
      </div>
      <div class="editor-problems" id="script-problems" aria-live="polite">
        ${problems.length === 0
          ? html`<p class="editor-status">${status}</p>`
          : html`
              <p class="editor-status failing">${counted(problems.length, "error")}</p>
              <ul>
                ${problems.slice(0, 20).map((problem, place) => html`
                  <li key=${place}>
                    <button type="button" class="problem" onClick=${() => show(problem)}>
                      <span class="problem-place">${problem.line}:${problem.column}</span>
                      <span>${problem.path && html`<code>${problem.path}</code> `}${problem.message}</span>
                    </button>
                  </li>
                `)}
              </ul>
            `}
      </div>
    </div>
  `;
}
