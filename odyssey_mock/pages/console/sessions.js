// The view Sessions: one card for each session, or a wall of all videos, and the sessions that have ended.

import { classes, html, useEffect, useMemo, useState } from "components/html.js";
import { point } from "components/time_format.js";
import { addressOf } from "console/navigation.js";
import { SessionCard } from "console/session_card.js";
import { sessionState } from "console/state_words.js";
import { Badge, EmptyState, Section, ViewHeader } from "console/view_parts.js";
import { createPlaces, MOST_PLAYING, NoVideo, WhepPlayer } from "console/whep_player.js";

/** Sessions above which the wall is shown at first. */
const MOST_CARDS = 3;
const ENDED_SHOWN = 5;
/** Events that are searched for the ends of sessions. */
const SEARCHED = 3000;

/** One card for each session. `query` may have the session that is shown first. */
export function SessionsView({ mock, api, announce, query }) {
  const { sessions, streams } = mock.state;
  const places = useMemo(() => createPlaces(), []);
  const [layout, setLayout] = useState(null);
  const [chosen, setChosen] = useState(query.get("session"));
  const byId = useMemo(() => new Map(streams.map((stream) => [stream.stream_id, stream])), [streams]);
  const streamOf = ({ stream_id: id }) => (id ? byId.get(id) : undefined);
  const isWall = (layout ?? (sessions.length > MOST_CARDS ? "wall" : "cards")) === "wall";
  const selected = sessions.find(({ session_id: id }) => id === chosen) ?? sessions[0];

  useEffect(() => {
    const element = chosen && document.querySelector(`[data-session="${CSS.escape(chosen)}"]`);
    element?.scrollIntoView({ block: "nearest" });
  }, []);

  const card = (session) => html`
    <${SessionCard} key=${session.session_id} session=${session} stream=${streamOf(session)} mock=${mock} api=${api} announce=${announce} places=${places} />
  `;
  return html`
    <${ViewHeader} title="Sessions" lead=${`What each client sees, and what the mock can do to it.${sessions.length > MOST_PLAYING ? ` ${MOST_PLAYING} videos play at once.` : ""}`}>
      ${sessions.length > 1 && html`
        <div class="segments" role="group" aria-label="Layout">
          <button type="button" aria-pressed=${!isWall} onClick=${() => setLayout("cards")}>Cards</button>
          <button type="button" aria-pressed=${isWall} onClick=${() => setLayout("wall")}>Wall</button>
        </div>
      `}
    <//>
    ${sessions.length === 0 && html`
      <${EmptyState} title="No session is open">
        <p>Connect your app, and its session appears here with its video. Or start one without code.</p>
        <div class="empty-links"><a class="button primary" href=${addressOf("try")}>Try it</a><a class="button" href=${addressOf("overview")}>Connect an app</a></div>
      <//>
    `}
    ${sessions.length > 0 && !isWall && html`<div class="session-cards">${sessions.map(card)}</div>`}
    ${sessions.length > 0 && isWall && html`
      <div class="session-cards">${card(selected)}</div>
      <ul class="wall" aria-label="All sessions">
        ${sessions.map((session) => html`
          <${Tile}
            key=${session.session_id} session=${session} stream=${streamOf(session)} isSelected=${session === selected} api=${api} places=${places}
            onSelect=${() => { setChosen(session.session_id); announce(`Session ${session.session_id.slice(0, 8)} is shown`); }}
          />
        `)}
      </ul>
    `}
    <${Ended} events=${mock.events} />
  `;
}

/** A session of the wall. */
function Tile({ session, stream, isSelected, api, places, onSelect }) {
  const { label, tone } = sessionState(session);
  const id = session.session_id.slice(0, 8);
  return html`
    <li class=${classes("card", "tile", isSelected && "selected")}>
      <div class="tile-video">
        ${isSelected
          ? html`<${NoVideo} text="Shown above" />`
          : stream
            ? html`<${WhepPlayer} stream=${stream} label=${`Video of session ${id}`} api=${api} places=${places} />`
            : html`<${NoVideo} text="No stream" />`}
      </div>
      <button type="button" class="tile-button" aria-pressed=${isSelected} onClick=${onSelect}>
        <span class="tile-line"><${Badge} tone=${tone}>${label}<//><span class="mono muted">${id}</span></span>
        <span class="tile-prompt" dir="auto">${stream?.current_prompt ?? stream?.prompt ?? "no stream"}</span>
      </button>
    </li>
  `;
}

/** The sessions that have ended lately, and why. */
function Ended({ events }) {
  const ended = useMemo(() => {
    const found = [];
    for (let at = events.length - 1; at >= Math.max(events.length - SEARCHED, 0) && found.length < ENDED_SHOWN; at--) {
      const { lane, data } = events[at];
      if (lane === "state" && data.machine === "session" && data.to === "closed") found.push(events[at]);
    }
    return found;
  }, [events]);
  if (ended.length === 0) return null;
  return html`
    <${Section} title="Ended">
      <ul class="card rows">
        ${ended.map((event) => html`
          <li key=${event.i}>
            <a class="row" href=${addressOf("timeline", { session: event.session ?? "" })}>
              <span class="mono muted">${event.session?.slice(0, 8)}</span>
              <span class=${classes("row-main", event.error !== undefined && "entry-error")}>${reasonOf(event)}</span>
              <span class="row-end number">at ${point(event.t)}</span>
            </a>
          </li>
        `)}
      </ul>
    <//>
  `;
}

function reasonOf({ data }) {
  const text = String(data.why || data.event || "closed").replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
