// The page of a broadcast: plays it over WHEP. The fragment of the address has the stream and the token of its spectators.

import { html, render, useEffect, useRef, useState } from "components/html.js";
import { connectWhep } from "components/whep.js";

/** Milliseconds without a packet after which the page asks whether the broadcast still exists. */
const STALL = 1500;

/** Return {stream, token} of the address; null if it has none. */
function given() {
  const values = new URLSearchParams(location.hash.slice(1));
  const [stream, token] = [values.get("stream"), values.get("token")];
  return stream && token ? { stream, token } : null;
}

const REASONS = {
  401: "The link is not valid for this broadcast. Ask for a new one.",
  404: "The broadcast has ended, or the link is not complete.",
  503: "The broadcast has its maximum number of spectators. Try again later.",
};

function wordsFor(error) {
  return REASONS[error.status] ?? `The broadcast cannot be played: ${error.message}.`;
}

/** Plays the broadcast. */
function Watch({ broadcast }) {
  const video = useRef(null);
  const [attempt, setAttempt] = useState(0);
  /** `connecting`, `live`, `ended` or `failed`; `words` say more. */
  const [state, setState] = useState({ name: "connecting", words: "" });
  useEffect(() => {
    const abort = new AbortController();
    const end = (name, words) => !abort.signal.aborted && setState({ name, words });
    setState({ name: "connecting", words: "" });
    const url = new URL(`../../broadcast/${encodeURIComponent(broadcast.stream)}/whep`, document.baseURI).href;
    let connection = null;
    let packets = 0;
    let checked = 0;
    let stalled = 0;
    const { current } = video;
    const onState = (name) => {
      if (name === "failed" || name === "closed") end("ended", "The broadcast has ended.");
    };
    const watchPackets = async () => {
      const now = await connection.packets();
      if (now !== packets) {
        packets = now;
        checked = performance.now();
      }
      if (document.hidden || performance.now() - checked < STALL) return;
      checked = performance.now();
      if (await connection.isThere()) return;
      clearInterval(stalled);
      connection.close();
      end("ended", "The broadcast has ended.");
    };
    connectWhep(`${url}?token=${encodeURIComponent(broadcast.token)}`, { onState, signal: abort.signal }).then(
      (opened) => {
        connection = opened;
        current.srcObject = opened.stream;
        current.play().catch(() => {}); // A browser can ask for a click first: the player has controls.
        checked = performance.now();
        stalled = setInterval(watchPackets, 1000);
      },
      (error) => end("failed", wordsFor(error)),
    );
    const leave = () => connection?.close();
    addEventListener("pagehide", leave);
    return () => {
      abort.abort();
      clearInterval(stalled);
      removeEventListener("pagehide", leave);
      connection?.close();
    };
  }, [attempt]);
  const isOver = state.name === "ended" || state.name === "failed";
  return html`
    <main class="watch" data-state=${state.name}>
      <h1 class="visually-hidden">Odyssey broadcast</h1>
      <video ref=${video} controls muted autoplay playsinline aria-label="Broadcast" onPlaying=${() => setState((before) => (before.name === "connecting" ? { name: "live", words: "" } : before))}></video>
      ${state.name === "live" && html`<span class="live-mark">Live</span>`}
      <div class=${isOver || state.name === "connecting" ? "watch-words" : "visually-hidden"} role="status">
        <p>${{ connecting: "Connecting to the broadcast…", live: "The broadcast is live." }[state.name] ?? state.words}</p>
        ${isOver && html`<button class="primary" onClick=${() => setAttempt(attempt + 1)}>Try again</button>`}
      </div>
    </main>
  `;
}

function NoBroadcast() {
  return html`
    <main class="watch">
      <div class="watch-words">
        <h1>This link has no broadcast</h1>
        <p>A link to a broadcast ends with <code>#stream=…&token=…</code>. Copy the whole link, or start a broadcast in the console: <a href="../console/#/try">Try it</a>.</p>
      </div>
    </main>
  `;
}

const root = document.getElementById("app");
root.replaceChildren();
function show() {
  const broadcast = given();
  render(broadcast ? html`<${Watch} key=${location.hash} broadcast=${broadcast} />` : html`<${NoBroadcast} />`, root);
}
addEventListener("hashchange", show);
show();
