// The shell of the console: navigation, the live model, keys, and announcements to screen readers.

import { AccountsView } from "console/accounts.js";
import { createApi, takeToken } from "console/api.js";
import { ClockView } from "console/clock.js";
import { FaultsView } from "console/faults.js";
import { keepFocus } from "console/kept_focus.js";
import { createLiveModel } from "console/live_model.js";
import { addressOf, navigate, useRoute } from "console/navigation.js";
import { OverviewView } from "console/overview.js";
import { SessionsView } from "console/sessions.js";
import { SimulationsView } from "console/simulations.js";
import { jobState } from "console/state_words.js";
import { TIMELINE_KEYS, TimelineView } from "console/timeline_view.js";
import { TryItView } from "console/try_it.js";
import { ErrorText, Icon } from "console/view_parts.js";
import { classes, html, render, useCallback, useEffect, useErrorBoundary, useRef, useState } from "components/html.js";
import { HelpDialog, KeyList, SymbolList } from "components/keyboard.js";
import { nextTheme } from "components/theme.js";

/** The views in the order of the navigation. `key` is pressed after `g`. `count` returns the number beside the label, or 0. */
const VIEWS = [
  { name: "overview", label: "Overview", key: "o", View: OverviewView },
  { name: "sessions", label: "Sessions", key: "s", View: SessionsView, count: ({ state }) => state?.sessions.length },
  { name: "timeline", label: "Timeline", key: "t", View: TimelineView },
  { name: "faults", label: "Faults", key: "f", View: FaultsView, count: ({ overview }) => overview?.counts?.faults },
  { name: "clock", label: "Clock", key: "c", View: ClockView },
  { name: "simulations", label: "Simulations", key: "m", View: SimulationsView, count: ({ state }) => state?.jobs.filter((job) => jobState(job).isRunning).length },
  { name: "try", label: "Try it", key: "y", View: TryItView },
  { name: "accounts", label: "Accounts", key: "a", View: AccountsView },
];
const NAMES = VIEWS.map(({ name }) => name);
const TOAST_MS = 3500;
/** Milliseconds after `g` in which the key of a view counts. */
const SEQUENCE_MS = 1500;

/** The keys of the shell. They are taken before those of a view, and not while the user writes. */
function useShellKeys({ onHelp }) {
  const waitsUntil = useRef(0);
  useEffect(() => {
    const onKeyDown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
      if (event.timeStamp < waitsUntil.current) {
        waitsUntil.current = 0;
        const view = VIEWS.find(({ key }) => key === event.key);
        if (!view) return;
        event.preventDefault();
        event.stopPropagation();
        navigate(view.name);
      } else if (event.key === "g") {
        waitsUntil.current = event.timeStamp + SEQUENCE_MS;
        event.preventDefault();
        event.stopPropagation();
      }
    };
    const onLateKeyDown = (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
      if (event.key === "?") onHelp();
      else if (event.key === "t") nextTheme();
    };
    document.addEventListener("keydown", onKeyDown, { capture: true });
    document.addEventListener("keydown", onLateKeyDown);
    return () => {
      document.removeEventListener("keydown", onKeyDown, { capture: true });
      document.removeEventListener("keydown", onLateKeyDown);
    };
  }, []);
}

/** The whole page. */
function Console({ api }) {
  const [mock, setMock] = useState(null);
  const [toast, setToast] = useState({ text: "", number: 0 });
  const [isHelpOpen, setHelpOpen] = useState(false);
  const model = useRef(null);
  const { view, query } = useRoute(NAMES);
  const content = useRef(null);

  useEffect(() => {
    model.current = createLiveModel({ api, onChange: setMock });
    return () => model.current.close();
  }, []);
  useEffect(() => keepFocus(root), []);
  const announce = useCallback((text) => setToast(({ number }) => ({ text, number: number + 1 })), []);
  useEffect(() => {
    if (!toast.text) return undefined;
    const timer = setTimeout(() => setToast(({ number }) => ({ text: "", number })), TOAST_MS);
    return () => clearTimeout(timer);
  }, [toast.number]);
  useShellKeys({ onHelp: () => setHelpOpen(true) });

  const current = VIEWS.find(({ name }) => name === view);
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${current.label} - Odyssey mock`;
    content.current?.scrollTo(0, 0);
    document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    // After a change of the view, the keyboard and screen readers continue at its heading.
    if (!isFirst.current) document.getElementById("view-title")?.focus({ preventScroll: true });
    isFirst.current = false;
  }, [view]);

  return html`
    <div class="console">
      <a class="skip" href="#view" onClick=${(event) => { event.preventDefault(); content.current.focus(); }}>Skip to the content</a>
      <header class="bar">
        <div class="brand"><span class="brand-mark" aria-hidden="true"></span><span class="brand-name">Odyssey mock</span></div>
        <nav class="nav" aria-label="Views">
          <ul>
            ${VIEWS.map(({ name, label, count }) => html`
              <li key=${name}>
                <a href=${addressOf(name)} aria-current=${name === view ? "page" : undefined}>
                  <${Icon} name=${name} /><span class="nav-label">${label}</span>
                  ${mock && count?.(mock) > 0 && html`<span class="nav-count">${count(mock)}</span>`}
                </a>
              </li>
            `)}
          </ul>
        </nav>
        <div class="bar-end">
          <${Connection} mock=${mock} />
          <button class="quiet icon" onClick=${nextTheme} aria-label="Light or dark" title="Light or dark (t)"><${Icon} name="theme" /></button>
          <button class="quiet icon" onClick=${() => setHelpOpen(true)} aria-label="Keys" title="Keys (?)"><${Icon} name="help" /></button>
        </div>
      </header>
      <main class="view" id="view" tabindex="-1" ref=${content} data-view=${view}>
        ${mock?.connection === "lost" && mock.state && html`<${LostNotice} reason=${mock.reason} onRetry=${() => model.current.retry()} />`}
        ${contentOf(mock, { api, model, current, query, announce })}
      </main>
      <div class=${classes("toast", toast.text && "shown")} role="status" aria-live="polite">${toast.text}</div>
      ${isHelpOpen && html`<${Help} view=${view} onClose=${() => setHelpOpen(false)} />`}
    </div>
  `;
}

/** Return what the main part shows: the view, or why there is none. */
function contentOf(mock, { api, model, current, query, announce }) {
  if (mock?.connection === "refused") {
    return html`<${TokenForm} reason=${mock.reason} onToken=${(token) => { api.setToken(token); model.current.retry(); }} />`;
  }
  if (!mock?.state || !mock.isLoaded) {
    return mock?.connection === "lost"
      ? html`<div class="loading"><h1>No connection to the mock</h1><p>${mock.reason}. Is it still running? The console connects again by itself.</p></div>`
      : html`<div class="loading" aria-busy="true"><p>Connecting to the mock…</p></div>`;
  }
  return html`<${ViewBoundary} key=${current.name} View=${current.View} mock=${mock} api=${api} announce=${announce} query=${query} />`;
}

/** A view. If it fails, the others are still there. */
function ViewBoundary({ View, ...rest }) {
  const [failed, recover] = useErrorBoundary((error) => console.error(error));
  if (failed) {
    return html`
      <div class="loading">
        <h1>This view failed</h1>
        <p class="error-text" role="alert">${String(failed)}</p>
        <button class="primary" onClick=${recover}>Show it again</button>
      </div>
    `;
  }
  return html`<${View} ...${rest} />`;
}

const CONNECTIONS = { connecting: "Connecting", open: "Live", lost: "Disconnected", refused: "Needs a token" };

function Connection({ mock }) {
  const connection = mock?.connection ?? "connecting";
  return html`<span class=${`connection connection-${connection}`}><span class="dot" aria-hidden="true"></span>${CONNECTIONS[connection]}</span>`;
}

function LostNotice({ reason, onRetry }) {
  return html`
    <div class="notice" role="alert">
      <span>The connection to the mock is lost${reason ? ` (${reason})` : ""}. What you see may be old.</span>
      <button onClick=${onRetry}>Connect now</button>
    </div>
  `;
}

/** Asks for the control token, which the mock's link has if other machines can reach it. */
function TokenForm({ reason, onToken }) {
  const [token, setToken] = useState("");
  const submit = (event) => {
    event.preventDefault();
    if (token.trim()) onToken(token.trim());
  };
  return html`
    <form class="loading token-form" onSubmit=${submit}>
      <h1>This mock needs its control token</h1>
      <p>Open the link that <code>odyssey-mock serve</code> printed. It has the token. Or enter the token here.</p>
      <label class="field">
        <span>Control token</span>
        <input type="password" autocomplete="off" value=${token} onInput=${(event) => setToken(event.target.value)} />
      </label>
      <${ErrorText} error=${reason} />
      <button class="primary" type="submit">Open the console</button>
    </form>
  `;
}

/** The keys of the shell, and of the view that has its own. */
function Help({ view, onClose }) {
  const keys = [
    ...VIEWS.map(({ key, label }) => ({ keys: ["g", key], does: label })),
    { keys: ["t"], does: "Light or dark" },
    { keys: ["?"], does: "Show this help" },
  ];
  return html`
    <${HelpDialog} title="Keys" onClose=${onClose}>
      <${KeyList} keys=${keys} />
      ${view === "timeline" && html`<h3>Timeline</h3><${KeyList} keys=${TIMELINE_KEYS} /><${SymbolList} />`}
    <//>
  `;
}

const root = document.getElementById("app");
const api = createApi({ page: new URL(".", document.baseURI), token: takeToken() });
root.replaceChildren();
render(html`<${Console} api=${api} />`, root);
