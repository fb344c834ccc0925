// The session of the view Try it. It continues while other views are shown.

import { explain, nextEntry } from "console/refusal.js";
import { createLiveClient } from "console/live_client.js";
import { createService } from "console/service_client.js";

const NONE = {
  /** What the client knows; see live_client.js. Null before the first start. */
  live: null,
  /** Why the last action was refused; see refusal.js. Null if it was not. */
  refusal: null,
};

/** Return why the stream or the session has ended; null while the stream runs. */
function endingOf(live) {
  return live?.stream === null ? live.ending : null;
}

/** Create the session. It has one client at a time. */
function createTrial(api) {
  const listeners = new Set();
  let current = NONE;
  let client = null;
  let keyOfClient = "";
  let since = null;

  const change = (values) => {
    current = { ...current, ...values };
    listeners.forEach((listener) => listener());
  };
  const explained = (error) => explain(error, { api, since, session: current.live?.session?.id ?? null });

  /** Do something with the service, and explain a refusal. Return whether it was done. */
  const attempt = async (action) => {
    change({ refusal: null });
    try {
      await action();
      return true;
    } catch (error) {
      // The user ended the session meanwhile.
      if (error.code !== "closed") change({ refusal: await explained(error) });
      return false;
    }
  };
  const noteEnding = async (live) => {
    const refusal = await explained(live.ending);
    if (current.live?.ending === live.ending && !current.refusal) change({ refusal });
  };
  const onLive = (live) => {
    const before = current.live;
    change({ live });
    if (endingOf(live) && endingOf(live) !== endingOf(before)) noteEnding(live);
  };

  return {
    get snapshot() {
      return current;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** Connect if there is no session with this key, and start a stream. Return whether it has started. */
    start: ({ apiKey, ...options }) =>
      attempt(async () => {
        since = await nextEntry(api);
        if (client?.snapshot.phase === "connected" && keyOfClient !== apiKey) client.close();
        if (client?.snapshot.phase !== "connected") {
          keyOfClient = apiKey;
          client = createLiveClient({ service: createService({ url: api.serviceUrl, apiKey }), onChange: onLive });
          await client.connect();
        }
        await client.start(options);
      }),
    interact: (prompt) =>
      attempt(async () => {
        since = await nextEntry(api);
        await client.interact(prompt);
      }),
    end: () =>
      attempt(async () => {
        since = await nextEntry(api);
        await client.end();
      }),
    /** End the session, or the attempt to open one. */
    close() {
      client?.close();
      change({ refusal: null });
    },
  };
}

const trials = new WeakMap();

/** Return the session of the requests `api`, one for the page. */
export function trialOf(api) {
  if (!trials.has(api)) trials.set(api, createTrial(api));
  return trials.get(api);
}
