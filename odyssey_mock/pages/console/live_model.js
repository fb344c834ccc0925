// What the console knows of the running mock: snapshots that change as the mock does.

import { readEvents } from "console/event_stream.js";

/** Events that the page keeps, more than the mock's journal has by default (`journal_limit`). */
const MOST_EVENTS = 50_000;
/** Statistics of one session that the page keeps, one each second. */
const MOST_STATISTICS = 120;
/** The shortest time between two snapshots: what is shown is never older, and many entries cause one rendering. */
const SNAPSHOT_MS = 80;
const OVERVIEW_MS = 5000;
/** Milliseconds after which a tab that is not shown closes its stream of events. Browsers open six connections to a host, for all tabs. */
const HIDDEN_MS = 30_000;

/**
 * Create the model of the mock.
 *
 * `onChange(snapshot)` gets a new object after changes, in an animation frame. A snapshot and what is in it never change:
 *
 * - `connection`: `connecting`, `open`, `lost` or `refused`; `reason`: why it is lost or refused.
 * - `overview`, `machines`, `catalog` (of faults): bodies of the control API; `settings`: each setting by its name. Before
 *   `isLoaded`, and if a request failed, they are null.
 * - `state`: the body of `GET /_mock/state`; null until it is there. `stateAt`: the `performance.now()` of its arrival.
 * - `statistics`: Map of session id -> [{at, reports}], the latest last.
 * - `events`: journal entries as trace events, in order. `dropped`: how many older ones are not there any more.
 */
export function createLiveModel({ api, onChange }) {
  let snapshot = {
    connection: "connecting", reason: "", isLoaded: false, overview: null, machines: null, catalog: null, settings: null,
    state: null, stateAt: 0, statistics: new Map(), events: [], dropped: 0,
  };
  let changes = {};
  let arrived = [];
  let next = 0;
  let base = 0;
  let beganAt = null;
  let timer = 0;
  let frame = 0;
  let published = -Infinity;
  let overviewAt = -Infinity;

  const publish = () => {
    frame = 0;
    published = performance.now();
    const events = arrived.length ? (changes.events ?? snapshot.events).concat(arrived) : (changes.events ?? snapshot.events);
    const kept = events.length > MOST_EVENTS ? events.slice(-MOST_EVENTS) : events;
    arrived = [];
    snapshot = { ...snapshot, ...changes, events: kept, dropped: Math.max(next - base - kept.length, 0) };
    changes = {};
    onChange(snapshot);
  };
  const requestFrame = () => {
    timer = 0;
    frame ||= requestAnimationFrame(publish);
  };
  const change = (values) => {
    Object.assign(changes, values);
    if (!timer && !frame) timer = setTimeout(requestFrame, Math.max(published + SNAPSHOT_MS - performance.now(), 0));
  };

  const load = async (name, path) => {
    try {
      const body = await api.get(path);
      change({ [name]: name === "settings" ? body.settings : body });
    } catch {
      // The stream of events shows that the mock is not there; what is missing is loaded with the next connection.
    }
  };
  const loadAll = async () => {
    overviewAt = performance.now();
    await Promise.all([load("overview", "overview"), load("machines", "machines"), load("catalog", "faults/catalog"), load("settings", "settings")]);
    change({ isLoaded: true });
  };

  const clear = () => {
    arrived = [];
    change({ events: [], statistics: new Map() });
  };
  const handlers = {
    hello(data) {
      // An earlier index, or another beginning, is another run of the mock. It is read from its first entry on.
      const isOther = beganAt !== null && (data.began_at !== beganAt || data.next < next);
      const isContinued = isOther && next > 0;
      beganAt = data.began_at;
      if (isOther) {
        next = 0;
        base = 0;
        clear();
      }
      if (isContinued) stream.reopen();
      else loadAll();
    },
    entry(data, id) {
      next = Number(id) + 1;
      arrived.push(data);
      // A page in the background gets no animation frames.
      if (arrived.length > MOST_EVENTS * 2) arrived = arrived.slice(-MOST_EVENTS);
      change({});
    },
    gap(data) {
      next = data.to;
      change({});
    },
    state(data) {
      const ids = new Set(data.sessions.map((session) => session.session_id));
      const before = changes.statistics ?? snapshot.statistics;
      const isStale = [...before.keys()].some((id) => !ids.has(id));
      change({
        state: data,
        stateAt: performance.now(),
        ...(isStale && { statistics: new Map([...before].filter(([id]) => ids.has(id))) }),
      });
      if (performance.now() - overviewAt > OVERVIEW_MS) {
        overviewAt = performance.now();
        load("overview", "overview");
      }
    },
    statistics(data) {
      const statistics = new Map(changes.statistics ?? snapshot.statistics);
      for (const [id, report] of Object.entries(data)) {
        statistics.set(id, [...(statistics.get(id) ?? []), report].slice(-MOST_STATISTICS));
      }
      change({ statistics });
    },
    reset(data) {
      next = data.next;
      base = next;
      clear();
      loadAll();
    },
  };

  const stopListening = api.onSuccess(({ method, path }) => {
    if (method === "GET") return;
    load("overview", "overview");
    if (path === "settings") load("settings", "settings");
  });
  const stream = readEvents({
    open: (signal) => api.request("GET", `events?since=${next}`, { signal, headers: { Accept: "text/event-stream" } }),
    onEvent: ({ event, data, id }) => handlers[event]?.(JSON.parse(data), id),
    onConnection: (connection, reason) => change({ connection, reason }),
  });

  let hiding = 0;
  const onVisibility = () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(stream.pause, HIDDEN_MS);
    else stream.resume();
  };
  document.addEventListener("visibilitychange", onVisibility);

  return {
    /** Open the stream of events now, if it is not open. */
    retry: stream.retry,
    close() {
      stream.close();
      stopListening();
      clearTimeout(hiding);
      document.removeEventListener("visibilitychange", onVisibility);
      clearTimeout(timer);
      cancelAnimationFrame(frame);
    },
  };
}
