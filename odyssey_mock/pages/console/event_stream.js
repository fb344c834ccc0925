// Server-sent events read with `fetch`, because `EventSource` sends no headers. The stream resumes after a lost connection.

import { detailOf } from "console/api.js";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 4000;
/** The server sends a comment each 15 seconds. A connection that is silent for longer is lost. */
const LONGEST_SILENCE_MS = 40_000;
/** Characters of one event. The longest are states of many sessions; more is not from this server. */
const LONGEST_EVENT = 64_000_000;

/** Create a parser of `text/event-stream`: call `feed(text)` with each piece; `onEvent({event, data, id})` gets each event. */
export function createParser(onEvent) {
  let rest = "";
  let event = "";
  let data = [];
  let id = null;
  let size = 0;

  const line = (text) => {
    if (text === "") {
      if (data.length) onEvent({ event: event || "message", data: data.join("\n"), id });
      event = "";
      data = [];
      size = 0;
      return;
    }
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + (text[colon + 1] === " " ? 2 : 1));
    if (field === "event") event = value;
    else if (field === "id") id = value;
    else if (field === "data") {
      data.push(value);
      size += value.length;
    }
    if (size > LONGEST_EVENT) throw new Error(`expected events of at most ${LONGEST_EVENT} characters`);
  };

  return {
    feed(text) {
      const pieces = (rest + text).split("\n");
      rest = pieces.pop();
      if (rest.length > LONGEST_EVENT) throw new Error(`expected events of at most ${LONGEST_EVENT} characters`);
      for (const piece of pieces) line(piece.endsWith("\r") ? piece.slice(0, -1) : piece);
    },
  };
}

/**
 * Read events until `close()` of the returned object is called. After each lost connection, the stream is opened again.
 *
 * `open(signal)` requests the stream, and returns a promise of the `Response`. `onEvent({event, data, id})` gets the events.
 * `onConnection(state, reason)` gets `connecting`, `open`, `lost`, and `refused` after a response without events; a refused
 * stream is opened again only by `retry()`, if the status is 401 or 403.
 */
export function readEvents({ open, onEvent, onConnection }) {
  let isClosed = false;
  let abort = new AbortController();
  let wake = () => {};
  let pause = FIRST_PAUSE_MS;
  let isOutdated = false;
  let isPaused = false;

  const waited = (limit) =>
    new Promise((resolve) => {
      const timer = limit === null ? 0 : setTimeout(resolve, limit);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const once = async () => {
    abort = new AbortController();
    isOutdated = false;
    let silence = 0;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(new Error("the server sent nothing")), LONGEST_SILENCE_MS);
    };
    try {
      heard();
      const response = await open(abort.signal);
      if (!response.ok) {
        const isFinal = response.status === 401 || response.status === 403;
        onConnection(isFinal ? "refused" : "lost", await reasonOf(response));
        return isFinal ? null : pause;
      }
      onConnection("open", "");
      pause = FIRST_PAUSE_MS;
      const parser = createParser((event) => isOutdated || isPaused || onEvent(event));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        heard();
        parser.feed(value);
      }
      onConnection("lost", "the mock closed the connection");
    } catch (error) {
      if (isOutdated || isPaused) return 0;
      // What a browser calls a request without a response: "Failed to fetch" in one, "Load failed" in another.
      if (!isClosed) onConnection("lost", error instanceof TypeError ? "the mock does not respond" : error.message);
    } finally {
      clearTimeout(silence);
      abort.abort();
    }
    return pause;
  };

  const run = async () => {
    onConnection("connecting", "");
    while (!isClosed) {
      const limit = await once();
      if (isClosed) return;
      await waited(isPaused ? null : limit);
      while (isPaused && !isClosed) await waited(null);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  };
  run();

  return {
    /** Open the stream now if it is not open. */
    retry: () => wake(),
    /** Request the stream again, because what it sends does not continue what was received. No further event of it is passed on. */
    reopen() {
      isOutdated = true;
      abort.abort();
    },
    /** Close the stream until `resume()` is called. This is no lost connection, so `onConnection` is not called. */
    pause() {
      isPaused = true;
      abort.abort();
    },
    resume() {
      if (!isPaused) return;
      isPaused = false;
      wake();
    },
    close() {
      isClosed = true;
      abort.abort();
      wake();
    },
  };
}

async function reasonOf(response) {
  const detail = detailOf(await response.text().catch(() => ""));
  return typeof detail === "string" ? detail : `status ${response.status}`;
}
