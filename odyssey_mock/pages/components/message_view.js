// One event in full. MessageView({event, pair, frames, FrameImage, sources, actions, onSelectPair}).

import { lengthOf } from "components/event_list.js";
import { html } from "components/html.js";
import { JsonText } from "components/json_text.js";
import { CodeLines } from "components/source_view.js";
import { duration, point } from "components/time_format.js";
import { LANE_LABELS } from "components/trace_model.js";

const LINES_AROUND = 3;

/** An event with its values, its JSON, the video of its moment, and the code that caused it. `pair` is the other side's event or null; `actions` are below the title. */
export function MessageView({ event, pair, frames, FrameImage, sources, actions, onSelectPair }) {
  return html`
    <article class="message">
      <h2 class="message-title">
        <span class="message-lane">${LANE_LABELS[event.lane]}</span>
        <span class="message-name">${event.name}</span>
      </h2>
      ${actions && html`<div class="message-actions">${actions}</div>`}
      ${event.error !== undefined && html`<p class="error-text">${event.error}</p>`}
      <dl class="facts">
        ${factsOf(event).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
        ${pair && html`
          <div><dt>other side</dt><dd>
            <button class="link" onClick=${onSelectPair}>${pair.side} at ${point(pair.t)} (${offset(pair.t - event.t)})</button>
          </dd></div>
        `}
      </dl>
      ${event.data.waiting_for && html`<p class="waiting">Waiting for ${String(event.data.waiting_for)}</p>`}
      ${event.source && html`<${Sent} source=${event.source} sources=${sources} event=${event} />`}
      ${partsOf(event).map(({ title, value }) => html`
        <section key=${`${event.i} ${title}`}>
          <h3>${title}</h3>
          <${JsonText} value=${value} label=${title} />
        </section>
      `)}
      ${frames.length > 0 && html`
        <section>
          <h3>Video at this moment</h3>
          <div class="moment-frames">
            ${frames.map((frame) => html`
              <figure key=${frame.label}>
                <${FrameImage} name=${frame.name} alt=${`Frame of ${frame.label} at ${point(frame.at)}`} />
                <figcaption>${frame.label}, ${point(frame.at)}</figcaption>
              </figure>
            `)}
          </div>
        </section>
      `}
    </article>
  `;
}

function offset(seconds) {
  return `${seconds < 0 ? "" : "+"}${duration(seconds)}`;
}

function factsOf(event) {
  const length = lengthOf(event);
  return [
    ["time", point(event.t, 4)],
    length && ["duration", length],
    ["recorded by", event.actor ? `${event.side}, ${event.actor}` : event.side],
    event.from && ["direction", event.from === "client" ? "client to server" : "server to client"],
    event.lane === "channel" && typeof event.data.channel === "string" && ["data channel", event.data.channel],
    event.session && ["session", event.session],
    event.stream && ["stream", event.stream],
  ].filter(Boolean);
}

/** The line of code that sent a message or made a call, with the lines around it. */
function Sent({ source, sources, event }) {
  const file = sources.get(source.file);
  const where = `${source.file}:${source.line}`;
  return html`
    <section>
      <h3>${event.end === undefined ? "Sent by" : "Called by"} <span class="where">${where}${source.function ? ` in ${source.function}` : ""}</span></h3>
      ${file && html`<${CodeLines} file=${file} from=${source.line - LINES_AROUND} to=${source.line + LINES_AROUND} marks=${{ [source.line]: "selected" }} label=${where} />`}
    </section>
  `;
}

/** Return the parts of the event's data, each with a title: {title, value}. */
function partsOf({ lane, data }) {
  const rest = (...names) => Object.fromEntries(Object.entries(data).filter(([name]) => !names.includes(name)));
  const parts = [];
  const add = (title, value) => {
    const isEmpty = value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);
    if (!isEmpty) parts.push({ title, value });
  };
  if (lane === "http") {
    add("Request", exchangeText([data.method, data.url], data.request));
    add("Response", exchangeText([data.status], data.response));
    add("Other data", rest("method", "url", "status", "request", "response"));
  } else if (lane === "call") {
    add("Arguments", data.arguments);
    add("Result", data.result);
    add("Other data", rest("arguments", "result", "waiting_for"));
  } else if (lane === "signaling" || lane === "channel") {
    add("Message", data.message);
    add("Other data", rest("message", "channel"));
  } else if (lane === "sdp" && typeof data.sdp === "string") {
    add("SDP", data.sdp.replaceAll("\r\n", "\n"));
    add("Other data", rest("sdp"));
  } else if (lane === "callback") {
    add("Event", data.event);
    add("Other data", rest("event"));
  } else if (lane === "log" && typeof data.message === "string") {
    add("Message", data.message);
    add("Other data", rest("message"));
  } else {
    add("Data", data);
  }
  return parts;
}

/** Return a request or response as in HTTP: first line, headers, body. */
function exchangeText(first, exchange) {
  const lines = [first.filter((part) => part !== undefined && part !== null).join(" ")];
  if (Array.isArray(exchange?.headers)) lines.push(...exchange.headers.map((header) => [].concat(header).join(": ")));
  const body = exchange?.body;
  if (body !== undefined && body !== null && body !== "") {
    lines.push("", typeof body === "string" ? body : JSON.stringify(body, null, 2));
  }
  return lines.join("\n").trim();
}
