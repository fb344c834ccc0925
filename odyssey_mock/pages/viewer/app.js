// The page: reads the trace that is embedded in it, or a file that the user chooses or drops, and shows it.

import { html, render, useErrorBoundary, useEffect, useRef, useState } from "components/html.js";
import { HelpDialog, KeyList, SymbolList } from "components/keyboard.js";
import { nextTheme } from "components/theme.js";
import { checkSize, problemOf, readTrace } from "components/trace_file.js";
import { modelOf } from "components/trace_model.js";
import { WholeTrace } from "components/whole_trace.js";
import { KEYS } from "viewer/keyboard.js";

/** A trace: the whole page. */
function TracePage({ model, onOpen }) {
  const [isHelpOpen, setHelpOpen] = useState(false);
  const openHelp = () => setHelpOpen(true);
  return html`
    <main class="page">
      <${WholeTrace} model=${model} keys=${KEYS} commands=${{ theme: nextTheme, open: onOpen, help: openHelp }}>
        <button class="quiet" onClick=${onOpen} title="Open another file (o)">Open…</button>
        <button class="quiet icon" onClick=${nextTheme} aria-label="Light or dark" title="Light or dark (t)">◐</button>
        <button class="quiet icon" onClick=${openHelp} aria-label="Keys and symbols" title="Keys and symbols (?)">?</button>
      <//>
      ${isHelpOpen && html`
        <${HelpDialog} title="Keys and symbols" onClose=${() => setHelpOpen(false)}><${KeyList} keys=${KEYS} /><${SymbolList} /><//>
      `}
    </main>
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
    setState({ problem: { file: "This trace", message: problemOf(failed) } });
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
    setState({ problem: { file: file.name, message: problemOf(error) } });
  }
}

/** Return the state of the page for the bytes of a file: its model, or why it cannot be shown. */
function stateOf(name, content) {
  try {
    return { model: modelOf(readTrace(content)), number: ++opened };
  } catch (error) {
    return { problem: { file: name, message: problemOf(error) } };
  }
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
