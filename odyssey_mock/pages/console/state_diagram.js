// A state machine as a diagram, with the current state marked. StateDiagram({machine, state, label}).

import { classes, html, useMemo } from "components/html.js";
import { sessionState } from "console/state_words.js";

const WIDTH = 100;
const HEIGHT = 26;
const GAP_X = 30;
const GAP_Y = 18;
const COLUMNS = 3;
/** The places of the session's states: {state: [column, row]}. States that are not here follow below. */
const PLACES = {
  waiting: [0, 0], signaling: [1, 0], connecting: [2, 0],
  closed: [0, 1], rejoining: [1, 1], connected: [2, 1],
  stale: [0, 2], returning: [1, 2], held: [2, 2],
};

/** The states as boxes; arrows between neighbors, and from the current state to every state that can follow. */
export function StateDiagram({ machine, state, label }) {
  const { nodes, edges, height } = useMemo(() => layoutOf(machine), [machine]);
  const following = edges.filter(({ from }) => from === state);
  const next = new Set(following.map(({ to }) => to));
  const { means } = sessionState({ state });
  const description = `${label}: ${state}. ${means} It can change to ${[...next].join(", ") || "no other state"}.`;
  const width = COLUMNS * WIDTH + (COLUMNS - 1) * GAP_X;
  return html`
    <figure class="diagram">
      <svg viewBox=${`-1 -1 ${width + 2} ${height + 2}`} role="img" aria-label=${description}>
        ${edges.filter(({ isNear, from }) => isNear && from !== state).map((edge) => html`<${Arrow} key=${`${edge.from} ${edge.to}`} edge=${edge} />`)}
        ${following.map((edge) => html`<${Arrow} key=${`${edge.from} ${edge.to}`} edge=${edge} isNext />`)}
        ${nodes.map(({ name, x, y }) => html`
          <g key=${name} class=${classes("node", name === state && "current", next.has(name) && "next")}>
            <rect x=${x} y=${y} width=${WIDTH} height=${HEIGHT} rx="6" />
            <text x=${x + WIDTH / 2} y=${y + HEIGHT / 2} text-anchor="middle" dominant-baseline="central">${name}</text>
            ${following.filter(({ to }) => to === name).map(({ events }) => html`<title key="title">${events.join(", ")}</title>`)}
          </g>
        `)}
      </svg>
      <figcaption>${means}</figcaption>
    </figure>
  `;
}

function Arrow({ edge, isNext }) {
  return html`<g class=${classes("arrow", isNext && "next")}><path d=${edge.path} /><path class="head" d=${edge.head} /></g>`;
}

function layoutOf({ states, transitions }) {
  const places = new Map();
  let free = Math.max(...states.map((name) => PLACES[name]?.[1] ?? -1)) + 1;
  let column = 0;
  for (const name of states) {
    if (PLACES[name]) {
      places.set(name, PLACES[name]);
    } else {
      places.set(name, [column, free]);
      column = (column + 1) % COLUMNS;
      if (column === 0) free++;
    }
  }
  const nodes = states.map((name) => {
    const [x, y] = places.get(name);
    return { name, x: x * (WIDTH + GAP_X), y: y * (HEIGHT + GAP_Y) };
  });
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const events = new Map();
  for (const { from, event, to } of transitions) {
    if (from === to || !byName.has(from) || !byName.has(to)) continue;
    const key = `${from} ${to}`;
    if (!events.has(key)) events.set(key, []);
    events.get(key).push(event);
  }
  const edges = [...events].map(([key, names]) => {
    const [from, to] = key.split(" ");
    const [columnFrom, rowFrom] = places.get(from);
    const [columnTo, rowTo] = places.get(to);
    const isNear = Math.abs(columnFrom - columnTo) + Math.abs(rowFrom - rowTo) === 1;
    const isBoth = events.has(`${to} ${from}`);
    return { from, to, events: names, isNear, ...arrowBetween(byName.get(from), byName.get(to), isBoth) };
  });
  return { nodes, edges, height: Math.max(...nodes.map(({ y }) => y)) + HEIGHT };
}

/** Return the path of an arrow between two boxes, and its head. Arrows in both directions are beside each other. */
function arrowBetween(one, other, isBoth) {
  const centers = [one, other].map(({ x, y }) => ({ x: x + WIDTH / 2, y: y + HEIGHT / 2 }));
  const [from, to] = centers;
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  const aside = isBoth ? 4 : 0;
  const shift = { x: -Math.sin(angle) * aside, y: Math.cos(angle) * aside };
  const start = edgeOf(from, angle, 1);
  const end = edgeOf(to, angle + Math.PI, 3);
  const point = ({ x, y }) => `${(x + shift.x).toFixed(1)} ${(y + shift.y).toFixed(1)}`;
  const wing = (turn) => ({ x: end.x - 6 * Math.cos(angle + turn), y: end.y - 6 * Math.sin(angle + turn) });
  return { path: `M${point(start)}L${point(end)}`, head: `M${point(wing(0.45))}L${point(end)}L${point(wing(-0.45))}` };
}

/** Return the place at which a line from the center of a box leaves it, `away` pixels outside. */
function edgeOf({ x, y }, angle, away) {
  const cosine = Math.cos(angle);
  const sine = Math.sin(angle);
  const reach = Math.min(WIDTH / 2 / Math.max(Math.abs(cosine), 1e-9), HEIGHT / 2 / Math.max(Math.abs(sine), 1e-9)) + away;
  return { x: x + cosine * reach, y: y + sine * reach };
}
