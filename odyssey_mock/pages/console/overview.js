// The view Overview: how to connect an app, what runs, and the latest events.

import { LANE_LABELS, summaryOf } from "components/trace_model.js";
import { classes, html, useRef, useState } from "components/html.js";
import { counted, duration, longDuration, point, whole } from "components/time_format.js";
import { quoted } from "console/copied_lines.js";
import { dayTime, paceOf, timeOf, useTicks } from "console/mock_time.js";
import { addressOf } from "console/navigation.js";
import { jobState, sessionState } from "console/state_words.js";
import { Badge, CopyButton, EmptyState, Section, ViewHeader } from "console/view_parts.js";

const LATEST = 10;
const ROWS = 6;

/** What runs, and how to connect. */
export function OverviewView({ mock, api, announce }) {
  const { state, overview } = mock;
  const url = overview?.url ?? api.serviceUrl;
  const key = overview?.api_key ?? "";
  const isUnused = state.sessions.length === 0 && state.streams.length === 0 && state.jobs.length === 0;
  return html`
    <${ViewHeader} title="Overview" lead="This mock stands in for the Odyssey service. Point your app to its address.">
      ${!isUnused && html`<a class="button" href=${addressOf("try")}>Try it</a>`}
    <//>
    <div class="overview-top">
      <${Connect} url=${url} apiKey=${key} announce=${announce} />
      <${Facts} mock=${mock} />
    </div>
    ${isUnused
      ? html`
          <${EmptyState} title="No client has connected yet">
            <p>Set the address in your app, as above, and start a session. It appears here at once. Or start one without code.</p>
            <a class="button primary" href=${addressOf("try")}>Try it</a>
          <//>
        `
      : html`<div class="overview-lists"><${Sessions} mock=${mock} /><${Jobs} mock=${mock} /></div>`}
    <${Latest} events=${mock.events} />
  `;
}

/** Return the ready-made lines for each language: [{name, label, text}]. */
function connectionLines(url, key) {
  return [
    {
      name: "js",
      label: "JavaScript",
      text: [
        "// In a page, before the client is created:",
        `window.__ODYSSEY_API_URL__ = ${JSON.stringify(url)};`,
        `const client = new Odyssey({ apiKey: ${JSON.stringify(key)} });`,
        "const stream = await client.connect();",
        'await client.startStream({ prompt: "A cat on a windowsill" });',
      ].join("\n"),
    },
    {
      name: "python",
      label: "Python",
      text: [
        "from odyssey_client.sync import Odyssey",
        "",
        `with Odyssey(${JSON.stringify(key)}, api_url=${JSON.stringify(url)}) as client:`,
        "    client.connect()",
        '    client.start_stream("A cat on a windowsill")',
      ].join("\n"),
    },
    {
      name: "curl",
      label: "curl",
      text: `curl -X POST ${quoted(`${url}/auth/token`)} -H ${quoted("Content-Type: application/json")} -d ${quoted(JSON.stringify({ api_key: key }))}`,
    },
    { name: "env", label: ".env", text: `ODYSSEY_API_URL=${url}\nODYSSEY_API_KEY=${key}` },
  ];
}

function Connect({ url, apiKey, announce }) {
  const lines = connectionLines(url, apiKey);
  const [chosen, setChosen] = useState("js");
  const list = useRef(null);
  const current = lines.find(({ name }) => name === chosen);
  const onKeyDown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const { name } = lines[(lines.indexOf(current) + step + lines.length) % lines.length];
    setChosen(name);
    list.current.querySelector(`[data-tab="${name}"]`).focus();
  };
  return html`
    <${Section} title="Connect your app" class="card connect">
      <dl class="address">
        <div><dt>Address</dt><dd><span class="value mono">${url}</span><${CopyButton} text=${url} what="The address" label="" announce=${announce} /></dd></div>
        <div><dt>API key</dt><dd><span class="value mono">${apiKey || "…"}</span><${CopyButton} text=${apiKey} what="The API key" label="" announce=${announce} /></dd></div>
      </dl>
      <div class="snippet">
        <div class="snippet-head">
          <div class="segments" role="tablist" aria-label="Language" ref=${list} onKeyDown=${onKeyDown}>
            ${lines.map(({ name, label }) => html`
              <button
                key=${name} type="button" role="tab" id=${`tab-${name}`} data-tab=${name} aria-selected=${name === chosen} aria-controls="snippet"
                tabindex=${name === chosen ? 0 : -1} onClick=${() => setChosen(name)}
              >${label}</button>
            `)}
          </div>
          <${CopyButton} text=${current.text} what=${`The lines for ${current.label}`} announce=${announce} />
        </div>
        <pre class="text" id="snippet" role="tabpanel" aria-labelledby=${`tab-${chosen}`} tabindex="0" data-scrolls>${current.text}</pre>
      </div>
    <//>
  `;
}

/** Clock, plan and version, and how many of each thing there are. */
function Facts({ mock }) {
  useTicks();
  const { state, overview } = mock;
  const { clock } = state;
  const live = state.streams.filter(({ ended_at: ended }) => ended === null);
  const jobs = state.jobs.filter((job) => jobState(job).isRunning);
  const numbers = [
    { label: "Sessions", count: state.sessions.length, view: "sessions" },
    { label: "Streams", count: live.length, view: "sessions" },
    { label: "Jobs", count: jobs.length, view: "simulations" },
    { label: "Broadcasts", count: state.broadcasts.length, view: "sessions" },
  ];
  const began = overview?.began_at;
  const facts = [
    ["Clock", html`<time>${dayTime(timeOf(mock))}</time> <span class="muted">${paceOf(clock)}</span>`],
    ["Next deadline", clock.deadlines.length ? `${clock.deadlines[0].name} ${inTime(clock.deadlines[0].in_seconds)}` : "none"],
    ["Faults", html`<a href=${addressOf("faults")}>${whole(overview?.counts?.faults ?? 0)} active</a>`],
    ["Running for", Number.isFinite(began) ? longDuration(Math.max(timeOf(mock) - began, 0)) : "…"],
    ["Plan", overview?.plan ?? "…"],
    ["Version", overview?.version ?? "…"],
    overview?.seed !== null && overview?.seed !== undefined && ["Seed", String(overview.seed)],
  ].filter(Boolean);
  return html`
    <${Section} title="This mock" class="card about">
      <ul class="numbers">
        ${numbers.map(({ label, count, view }) => html`
          <li key=${label}><a class="figure" href=${addressOf(view)}><span class="figure-count number">${whole(count)}</span><span class="figure-label">${label}</span></a></li>
        `)}
      </ul>
      <dl class="pairs">
        ${facts.map(([label, value]) => html`<div key=${label}><dt>${label}</dt><dd class="number">${value}</dd></div>`)}
      </dl>
    <//>
  `;
}

function inTime(seconds) {
  return `in ${longDuration(seconds)}`;
}

function Sessions({ mock }) {
  const { sessions, streams } = mock.state;
  const shown = sessions.slice(-ROWS).reverse();
  return html`
    <${Section} title="Sessions" actions=${html`<a class="text-link" href=${addressOf("sessions")}>${sessions.length > ROWS ? `All ${whole(sessions.length)}` : "Watch live"}</a>`}>
      ${shown.length === 0
        ? html`<p class="card card-body muted">No session is open now. ${streams.length ? `${counted(streams.length, "stream")} ${streams.length === 1 ? "has" : "have"} been shown.` : ""}</p>`
        : html`
            <ul class="card rows">
              ${shown.map((session) => {
                const stream = streams.find(({ stream_id: id }) => id === session.stream_id);
                const { label, tone } = sessionState(session);
                return html`
                  <li key=${session.session_id}>
                    <a class="row" href=${addressOf("sessions", { session: session.session_id })}>
                      <${Badge} tone=${tone}>${label}<//>
                      <span class="row-main">${stream?.prompt ?? html`<span class="muted">no stream</span>`}</span>
                      <span class="row-end mono">${session.session_id.slice(0, 8)}</span>
                    </a>
                  </li>
                `;
              })}
            </ul>
          `}
    <//>
  `;
}

function Jobs({ mock }) {
  const { jobs } = mock.state;
  const shown = jobs.slice(-ROWS).reverse();
  return html`
    <${Section} title="Simulation jobs" actions=${html`<a class="text-link" href=${addressOf("simulations")}>${jobs.length > ROWS ? `All ${whole(jobs.length)}` : "Simulations"}</a>`}>
      ${shown.length === 0
        ? html`<p class="card card-body muted">No job has been submitted.</p>`
        : html`
            <ul class="card rows">
              ${shown.map((job) => {
                const { label, tone } = jobState(job);
                return html`
                  <li key=${job.job_id}>
                    <a class="row" href=${addressOf("simulations", { job: job.job_id })}>
                      <${Badge} tone=${tone}>${label}<//>
                      <span class="row-main">${job.error_message ?? counted(job.streams?.length ?? 0, "stream")}</span>
                      <span class="row-end mono">${job.job_id.slice(0, 8)}</span>
                    </a>
                  </li>
                `;
              })}
            </ul>
          `}
    <//>
  `;
}

/** The latest entries of the journal, the newest first. */
function Latest({ events }) {
  const shown = events.slice(-LATEST).reverse();
  return html`
    <${Section} title="Latest events" actions=${html`<a class="text-link" href=${addressOf("timeline")}>Timeline</a>`} class="latest">
      ${shown.length === 0
        ? html`<p class="card card-body muted">Requests, messages and changes of state appear here as they happen.</p>`
        : html`
            <ol class="card rows">
              ${shown.map((event) => {
                const summary = summaryOf(event);
                return html`
                  <li key=${event.i} class=${classes("row", "entry", event.error !== undefined && "failed")}>
                    <span class="entry-time number">${event.t < 3600 ? point(event.t) : duration(event.t)}</span>
                    <span class="entry-lane">${LANE_LABELS[event.lane]}</span>
                    <span class="entry-name">${event.name}${event.error !== undefined
                      ? html` <span class="entry-error">${event.error}</span>`
                      : summary && html` <span class="muted">${summary}</span>`}</span>
                    <span class="row-end mono">${event.session?.slice(0, 8)}</span>
                  </li>
                `;
              })}
            </ol>
          `}
    <//>
  `;
}
