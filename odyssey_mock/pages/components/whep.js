// WHEP: receiving a stream over WebRTC (RFC 9725).

/** Milliseconds after which the offer is sent with the candidates found so far: the mock answers checks from any address. */
const GATHERING_LIMIT = 2000;
/** Milliseconds until an answer is expected. The mock itself gives up after 10 s. */
const ANSWER_LIMIT = 15_000;
/** Milliseconds until the ICE servers are expected. Without them, most networks work too. */
const SERVERS_LIMIT = 5000;
/** A link with its parameters (RFC 8288), and one parameter. The mock needs no escapes in quoted values, and uses none. */
const LINK = /<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*=\s*(?:"[^"]*"|[^\s;,"]*))*)/g;
const PARAMETER = /;\s*([^\s=;,]+)\s*=\s*(?:"([^"]*)"|([^\s;,"]*))/g;

/** A stream that cannot be watched. `status` is the status of the response, 0 if there was none; `detail` what the server says. */
export class WhepError extends Error {
  constructor(message, { status = 0, detail = "" } = {}) {
    super(message);
    this.name = "WhepError";
    this.status = status;
    this.detail = detail;
  }
}

/**
 * Connect to a WHEP endpoint, and return {stream, packets(), isThere(), close()}.
 *
 * `headers` are sent with each request. `onState(state)` is called with each state of the connection: `connecting`,
 * `connected`, `disconnected`, `failed`. `signal` aborts the attempt. `packets()` returns how many packets have arrived.
 * `isThere()` asks the server whether the connection still exists: a browser notices the end of a stream only after many seconds.
 * `close()` ends the connection and tells the server.
 */
export async function connectWhep(url, { headers = {}, onState = () => {}, signal } = {}) {
  const peer = new RTCPeerConnection({ iceServers: await iceServersFor(url, { headers, signal }) });
  const stream = new MediaStream();
  let resource = null;
  let isClosed = false;

  function close() {
    if (isClosed) return;
    isClosed = true;
    signal?.removeEventListener("abort", close);
    peer.close();
    // `keepalive`: the request leaves even if the page is being closed. A stream that has ended answers 404.
    if (resource) fetch(resource, { method: "DELETE", headers, keepalive: true }).catch(() => {});
  }

  async function packets() {
    // Not the frames of the element: Firefox counts none for a stream.
    const reports = isClosed ? [] : [...(await peer.getStats()).values()];
    return reports.find(({ type }) => type === "inbound-rtp")?.packetsReceived ?? 0;
  }

  /** Return whether the server knows the connection; true if it does not respond. The request repeats the end of the candidates. */
  async function isThere() {
    if (isClosed || !resource) return !isClosed;
    const { sdp } = peer.localDescription;
    const lines = ["a=ice-ufrag", "a=ice-pwd"].map((name) => sdp.match(new RegExp(`^${name}:.*$`, "m"))?.[0].trim());
    const response = await fetch(resource, {
      method: "PATCH",
      headers: { ...headers, "Content-Type": "application/trickle-ice-sdpfrag" },
      body: [...lines, "a=end-of-candidates", ""].join("\r\n"),
    }).catch(() => null);
    if (response?.status !== 404 && response?.status !== 410) return true;
    resource = null;
    return false;
  }

  peer.addEventListener("track", ({ track }) => stream.addTrack(track));
  peer.addEventListener("connectionstatechange", () => {
    if (!isClosed) onState(peer.connectionState);
  });
  signal?.addEventListener("abort", close);
  try {
    signal?.throwIfAborted();
    peer.addTransceiver("video", { direction: "recvonly" });
    await peer.setLocalDescription();
    await gathered(peer);
    signal?.throwIfAborted();
    const limit = AbortSignal.timeout(ANSWER_LIMIT);
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/sdp" },
      body: peer.localDescription.sdp,
      signal: anyOf(signal, limit),
    }).catch((error) => {
      signal?.throwIfAborted();
      throw new WhepError(error.name === "TimeoutError" ? `expected an answer within ${ANSWER_LIMIT / 1000} s, got none` : "the mock cannot be reached");
    });
    if (response.status !== 201) throw await refusalOf(response);
    const location = response.headers.get("Location");
    // A path: the mock and this page have one origin, also behind a proxy that changes the address.
    resource = location ? new URL(location, response.url || url).href : null;
    const sdp = await response.text();
    signal?.throwIfAborted();
    await peer.setRemoteDescription({ type: "answer", sdp });
    return { stream, packets, isThere, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Return the ICE servers of a header `Link` (RFC 9725 section 4.6), for the configuration of an `RTCPeerConnection`. */
export function iceServersOf(header) {
  return [...header.matchAll(LINK)].flatMap(([, urls, parameters]) => {
    const found = [...parameters.matchAll(PARAMETER)].map(([, name, quoted, plain]) => [name.toLowerCase(), quoted ?? plain]);
    const { rel, username, credential } = Object.fromEntries(found);
    if (rel !== "ice-server") return [];
    return [credential === undefined ? { urls } : { urls, username, credential }];
  });
}

/** Return the ICE servers that a WHEP endpoint names. Without a response there are none, and the offer fails with the reason. */
async function iceServersFor(url, { headers, signal }) {
  const limit = AbortSignal.timeout(SERVERS_LIMIT);
  const response = await fetch(url, { method: "OPTIONS", headers, signal: anyOf(signal, limit) }).catch(() => null);
  signal?.throwIfAborted();
  return response?.ok ? iceServersOf(response.headers.get("Link") ?? "") : [];
}

function anyOf(signal, limit) {
  return signal ? AbortSignal.any([signal, limit]) : limit;
}

function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, GATHERING_LIMIT);
    function done() {
      clearTimeout(timer);
      peer.removeEventListener("icegatheringstatechange", check);
      resolve();
    }
    function check() {
      if (peer.iceGatheringState === "complete") done();
    }
    peer.addEventListener("icegatheringstatechange", check);
  });
}

async function refusalOf(response) {
  const text = await response.text().catch(() => "");
  let detail = text;
  try {
    const body = JSON.parse(text);
    detail = body.error ?? body.detail ?? text;
  } catch {
    // A proxy may answer with text.
  }
  detail = typeof detail === "string" ? detail : JSON.stringify(detail);
  return new WhepError(`status ${response.status}: ${detail || response.statusText}`, { status: response.status, detail });
}
