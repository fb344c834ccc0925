// A client of the service: REST, signaling socket, WebRTC peer and data channels (docs/reference/protocol.md).

import { whole } from "components/time_format.js";
import { ServiceError } from "console/service_client.js";

/** Milliseconds between two requests for a session while no streamer is free, and the time after which the client gives up. */
const QUEUE_PAUSE = 1000;
const QUEUE_LIMIT = 30_000;
/** Milliseconds in which socket, peer and channel must be connected. */
const CONNECT_LIMIT = 30_000;
/** Milliseconds until the list of ICE servers is expected. */
const CONFIG_LIMIT = 5000;
/** Milliseconds until a reply to a start, an interaction or an end is expected. */
const REPLY_LIMIT = 30_000;
const KEEPALIVE_PAUSE = 10_000;
/** Milliseconds for a ping of a region; a slower one counts as 9999 ms. */
const PING_LIMIT = 1000;
const NO_PING = 9999;
/** Prompts of a session that are kept. */
const MOST_PROMPTS = 100;
/** The size of a message in bytes that every peer accepts (RFC 8841 section 6). */
const USUAL_MESSAGE_SIZE = 65_536;
const CLEAN_CODES = new Set([1000, 1001]);

/** What connecting consists of, in order. */
export const STEPS = [
  { name: "token", label: "Access token", call: "POST /auth/token" },
  { name: "session", label: "Session", call: "POST /sessions/request" },
  { name: "signaling", label: "Signaling", call: "WebSocket, SDP offer and answer" },
  { name: "peer", label: "Video", call: "ICE, DTLS, video track" },
  { name: "channel", label: "Data channels", call: "clientToStreamer, streamerToClient" },
];

const IDLE = {
  /** `idle`, `connecting`, `connected` or `closed`. */
  phase: "idle",
  /** The name of the current step while connecting; that of the failed step afterwards. */
  step: null,
  /** Seconds of each step that is done, by name. */
  took: {},
  /** How often a session was refused with 503 because no streamer was free. */
  refusals: 0,
  /** {id, model, region, hasImages}; null before the session. */
  session: null,
  /** The MediaStream of the video; null before the track. */
  video: null,
  /** `starting`, `running`, `ending` or null: the interactive stream. */
  stream: null,
  streamId: null,
  startedAt: 0,
  /** [{number, prompt, kind: "start" | "interact", state: "sent" | "applied" | "refused", applied, message}] */
  prompts: [],
  /** {webrtcUrl, token, hlsUrl} of a broadcast; null without one. */
  broadcast: null,
  /** Why the last stream or the session ended, a `ServiceError`; null if the user ended it. */
  ending: null,
};

/**
 * Create a client. `service` makes the REST calls; `onChange(snapshot)` gets an object like `IDLE` after each change.
 *
 * `connect`, `start`, `interact` and `end` return promises, which are rejected with a `ServiceError`. `close()` ends the session.
 */
export function createLiveClient({ service, onChange }) {
  let snapshot = IDLE;
  let abort = new AbortController();
  let socket = null;
  let peer = null;
  let channel = null;
  let keepalive = 0;
  let stepBegan = 0;
  let number = 0;
  /** Messages that wait for a reply, in order: the replies have no id. */
  let waiting = [];
  let ending = null;

  const change = (values) => {
    snapshot = { ...snapshot, ...values };
    onChange(snapshot);
  };
  const begin = (step) => {
    const now = performance.now();
    const took = snapshot.step ? { ...snapshot.took, [snapshot.step]: (now - stepBegan) / 1000 } : {};
    stepBegan = now;
    change({ step, took });
  };

  /** Close everything, and reject what is still waiting with `error`. */
  const release = (error) => {
    abort.abort(error);
    clearInterval(keepalive);
    const open = waiting;
    waiting = [];
    for (const { refuse } of open) refuse(error);
    ending?.refuse(error);
    ending = null;
    channel = null;
    const [oldSocket, oldPeer] = [socket, peer];
    socket = null; // What the two report from now on does not matter.
    peer = null;
    if (oldSocket?.readyState === WebSocket.OPEN) oldSocket.send(JSON.stringify({ type: "client_disconnecting" }));
    oldPeer?.close();
    if (oldSocket && oldSocket.readyState <= WebSocket.OPEN) oldSocket.close(1000);
  };
  /** End everything. `error` rejects what is still waiting; `ending` says why the session ended, null if the user ended it. */
  const finish = (error, ending) => {
    if (snapshot.phase === "closed" || snapshot.phase === "idle") return;
    snapshot = { ...snapshot, phase: "closed" }; // before `release`, which can call this again
    release(error);
    change({ phase: "closed", stream: null, video: null, broadcast: null, ending });
  };

  const latencies = async (signal) => {
    const { regions = [] } = (await service.call("GET", "/regions", { signal })) ?? {};
    const pings = regions.slice(0, 20).map(async ({ id, ping_url: url }) => {
      const began = performance.now();
      const isThere = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(PING_LIMIT)]), cache: "no-store" }).then(({ ok }) => ok, () => false);
      return [id, isThere ? Math.round(performance.now() - began) : NO_PING];
    });
    return Object.fromEntries(await Promise.all(pings));
  };

  const requestSession = async (signal) => {
    // Clients continue without regions after any error.
    const measured = await latencies(signal).catch(() => ({}));
    signal.throwIfAborted();
    const body = Object.keys(measured).length ? { region_latencies: measured } : {};
    const began = performance.now();
    for (;;) {
      try {
        return await service.call("POST", "/sessions/request", { body, signal });
      } catch (error) {
        if (error.status !== 503 || performance.now() - began > QUEUE_LIMIT) throw error;
        change({ refusals: snapshot.refusals + 1 });
        await paused(QUEUE_PAUSE, signal);
      }
    }
  };

  const onMessage = (message) => {
    switch (message?.type) {
      case "stream_started": {
        const first = settle("start");
        change({ stream: "running", streamId: message.stream_id, startedAt: performance.now(), ending: null });
        first?.accept(message);
        break;
      }
      case "update_acknowledged":
        settle("interact")?.accept(message);
        break;
      case "stream_ended":
        streamEnded();
        break;
      case "broadcast_ready":
        if (message.webrtc_url) {
          change({ broadcast: { webrtcUrl: message.webrtc_url, token: message.spectator_token, hlsUrl: message.broadcast_url ?? null } });
        }
        break;
      case "interactive_stream_error":
        refusedBy(new ServiceError(String(message.message || message.reason), { code: String(message.reason ?? "") }));
        break;
      default:
        break;
    }
  };

  const settle = (kind) => {
    const place = waiting.findIndex((each) => each.kind === kind);
    return place < 0 ? null : waiting.splice(place, 1)[0];
  };
  const streamEnded = () => {
    const isWanted = ending !== null;
    const gone = new ServiceError("the stream ended before the reply", { code: "no_active_stream" });
    for (const { refuse } of waiting.splice(0)) refuse(gone);
    const why = snapshot.ending ?? new ServiceError("the mock ended the stream", { code: "stream_ended" });
    change({ stream: null, broadcast: null, ending: isWanted ? null : why });
    ending?.accept();
    ending = null;
  };
  const refusedBy = (error) => {
    const first = waiting.shift();
    if (first) first.refuse(error);
    else if (ending && error.code === "no_active_stream") {
      ending.refuse(error);
      ending = null;
      change({ stream: null });
    } else change({ ending: error, stream: snapshot.stream && "ending" });
  };

  const send = (message, { bySocket = false } = {}) => {
    const text = JSON.stringify(message);
    const size = new TextEncoder().encode(text).length;
    const most = peer?.sctp?.maxMessageSize ?? USUAL_MESSAGE_SIZE;
    const byChannel = !bySocket && channel?.readyState === "open";
    if (byChannel && size <= most) channel.send(text);
    else if (message.type === "interactive_stream_start" && socket?.readyState === WebSocket.OPEN) socket.send(text);
    else if (byChannel) {
      throw new ServiceError(`expected a message of at most ${whole(most)} bytes, got ${whole(size)}: shorten the prompt`, { code: "message_too_long" });
    } else throw new ServiceError("the data channel clientToStreamer is not open", { code: "channel_closed" });
  };

  const replyTo = (message, kind, options) =>
    new Promise((accept, refuse) => {
      const own = {
        kind,
        accept: (reply) => settled(accept, reply),
        refuse: (error) => settled(refuse, error),
      };
      const timer = setTimeout(() => {
        waiting = waiting.filter((each) => each !== own);
        if (ending === own) ending = null;
        own.refuse(new ServiceError(`expected a reply to ${message.type} within ${REPLY_LIMIT / 1000} s, got none`, { code: "no_reply" }));
      }, REPLY_LIMIT);
      function settled(end, value) {
        clearTimeout(timer);
        end(value);
      }
      if (kind === "end") ending = own;
      else waiting.push(own);
      try {
        send(message, options);
      } catch (error) {
        waiting = waiting.filter((each) => each !== own);
        if (ending === own) ending = null;
        own.refuse(error);
      }
    });

  /** Send a prompt, and note whether it is applied or refused. */
  const prompted = async (kind, message, options) => {
    const own = { number: ++number, kind, prompt: message.prompt, state: "sent", applied: "", message: "" };
    change({ prompts: [...snapshot.prompts, own].slice(-MOST_PROMPTS) });
    const note = (values) => change({ prompts: snapshot.prompts.map((each) => (each.number === own.number ? { ...each, ...values } : each)) });
    try {
      const reply = await replyTo(message, kind, options);
      note({ state: "applied", applied: String(reply.applied_prompt ?? reply.prompt ?? "") });
      return reply;
    } catch (error) {
      note({ state: "refused", message: error.message });
      throw error;
    }
  };

  /** Open the signaling socket. `onOffer(sdp)` gets the offer; `onFailed(error)` is called when the session ends while connecting. */
  const openSocket = (address, { onOffer, onFailed }) => {
    const own = new WebSocket(address);
    socket = own;
    const over = (error) => {
      if (snapshot.phase === "connected") finish(error, snapshot.ending ?? error);
      else onFailed(error);
    };
    own.addEventListener("message", ({ data }) => {
      if (socket !== own) return;
      const message = parsed(data);
      if (message?.type === "offer" && typeof message.sdp === "string") onOffer(message.sdp);
      else if (message?.type === "ice_candidate" && message.candidate) {
        const { candidate, sdpMid, sdpMLineIndex } = message;
        // A candidate that cannot be used does not matter, as long as another one works.
        peer?.addIceCandidate({ candidate, sdpMid, sdpMLineIndex }).catch(() => {});
      } else if (message?.type === "error") {
        const reason = String(message.reason);
        // Reasons that are not in the protocol are sentences.
        over(new ServiceError(reason, { code: /^[a-z_]+$/.test(reason) ? reason : "" }));
      } else onMessage(message);
    });
    own.addEventListener("close", ({ code, reason }) => {
      if (socket !== own) return;
      if (CLEAN_CODES.has(code) && !reason) over(new ServiceError("the mock ended the session", { code: "session_ended" }));
      else over(new ServiceError(`the signaling socket was closed with code ${code}${reason && ` (${reason})`}`));
    });
  };

  /** Answer the offer. `onPart({video})` and `onPart({channel})` are called when these are there. */
  const answer = async (sdp, iceServers, { onPart, onFailed }) => {
    const own = new RTCPeerConnection({ iceServers });
    peer = own;
    own.addEventListener("icecandidate", ({ candidate }) => {
      if (!candidate || own !== peer || socket?.readyState !== WebSocket.OPEN) return;
      const { candidate: text, sdpMid, sdpMLineIndex } = candidate;
      socket.send(JSON.stringify({ type: "ice_candidate", candidate: text, sdpMid, sdpMLineIndex }));
    });
    own.addEventListener("track", ({ track, streams }) => onPart({ video: streams[0] ?? new MediaStream([track]) }));
    own.addEventListener("datachannel", ({ channel: opened }) => {
      if (opened.label === "streamerToClient") opened.addEventListener("message", ({ data }) => onMessage(parsed(data)));
      if (opened.label !== "clientToStreamer") return;
      const ready = () => onPart({ channel: opened });
      if (opened.readyState === "open") ready();
      else opened.addEventListener("open", ready);
    });
    own.addEventListener("connectionstatechange", () => {
      if (own !== peer || own.connectionState !== "failed") return;
      onFailed(new ServiceError("the WebRTC connection failed", { code: "peer_failed" }));
    });
    await own.setRemoteDescription({ type: "offer", sdp });
    await own.setLocalDescription();
    if (own === peer && socket?.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify({ type: "answer", sdp: own.localDescription.sdp }));
    }
  };

  const establish = async (signal) => {
    begin("token");
    await service.authorize(signal);
    begin("session");
    const granted = await requestSession(signal);
    expectTexts(granted, "POST /sessions/request", ["session_id", "signalling_url"]);
    const session = {
      id: granted.session_id,
      model: granted.model,
      region: granted.region,
      hasImages: granted.capabilities?.image_to_video !== false,
    };
    change({ session });
    const tokenAnswer = await service.call("POST", "/sessions/token", { body: { session_id: session.id }, signal });
    expectTexts(tokenAnswer, "POST /sessions/token", ["session_token"]);
    begin("signaling");
    const base = granted.signalling_url;
    // Without ICE servers, the candidates of this machine and of the mock are enough in most networks.
    const soon = AbortSignal.any([signal, AbortSignal.timeout(CONFIG_LIMIT)]);
    const config = await service.callOpenly("GET", `${base.replace(/^ws/, "http")}/config`, { signal: soon }).catch(() => null);
    signal.throwIfAborted();
    await new Promise((accept, refuse) => {
      const parts = { video: null, channel: null };
      const timer = setTimeout(
        () => failed(new ServiceError(`expected video and data channels within ${CONNECT_LIMIT / 1000} s, got none`, { code: "connect_timeout" })),
        CONNECT_LIMIT,
      );
      function failed(error) {
        clearTimeout(timer);
        if (snapshot.phase === "connected") finish(error, error);
        else refuse(error);
      }
      function onPart(part) {
        Object.assign(parts, part);
        if (part.video) {
          change({ video: part.video });
          begin("channel");
        }
        if (!parts.video || !parts.channel) return;
        clearTimeout(timer);
        channel = parts.channel;
        accept();
      }
      signal.addEventListener("abort", () => failed(signal.reason), { once: true });
      openSocket(`${base}/client/${session.id}?token=${encodeURIComponent(tokenAnswer.session_token)}`, {
        onFailed: failed,
        onOffer(sdp) {
          if (peer) return; // A second offer is ignored.
          begin("peer");
          answer(sdp, Array.isArray(config?.iceServers) ? config.iceServers : [], { onPart, onFailed: failed }).catch(failed);
        },
      });
    });
    begin(null);
    keepalive = setInterval(() => {
      if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "keepalive" }));
    }, KEEPALIVE_PAUSE);
    change({ phase: "connected" });
  };

  const close = () => {
    finish(new ServiceError("the session was ended", { code: "closed" }), null);
  };

  return {
    get snapshot() {
      return snapshot;
    },
    /** Open a session with video. */
    async connect() {
      abort = new AbortController();
      const { signal } = abort;
      // Only until the session ends: a listener keeps the client in memory.
      addEventListener("pagehide", close, { signal });
      change({ ...IDLE, phase: "connecting" });
      try {
        await establish(signal);
      } catch (error) {
        if (snapshot.phase === "connecting") {
          const { step } = snapshot;
          release(error);
          change({ phase: "closed", step, video: null });
        }
        throw error;
      }
    },
    /** Start a stream. `image` is a `data:` URL or null. */
    async start({ prompt, portrait, image = null, broadcast = false, bypass = false }) {
      change({ stream: "starting", broadcast: null, prompts: [], ending: null });
      const message = {
        type: "interactive_stream_start", prompt, portrait, broadcast,
        ...(image && { input_image_base64: image }),
        ...(bypass && { bypass_vlm_expansion: true }),
      };
      try {
        return await prompted("start", message, { bySocket: Boolean(image) });
      } catch (error) {
        // Without a reply, the stream can run: `end` ends it.
        if (snapshot.stream === "starting" && error.code !== "no_reply") change({ stream: null });
        throw error;
      }
    },
    /** Change the stream with a prompt. */
    interact: (prompt) => prompted("interact", { type: "update", prompt }),
    /** End the stream. The session stays open. */
    async end() {
      change({ stream: "ending" });
      try {
        await replyTo({ type: "interactive_stream_end" }, "end");
      } catch (error) {
        if (snapshot.stream === "ending") change({ stream: "running" });
        throw error;
      }
    },
    /** End the session. */
    close,
  };
}

/** Check that an answer has these texts. */
function expectTexts(answer, call, names) {
  const missing = names.filter((name) => typeof answer?.[name] !== "string");
  if (missing.length) throw new ServiceError(`${call}: expected ${names.join(" and ")} in the response, got no ${missing.join(" and no ")}`);
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null; // A fault can send text that is no JSON.
  }
}

function paused(milliseconds, signal) {
  return new Promise((accept, refuse) => {
    const timer = setTimeout(accept, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      refuse(signal.reason);
    }, { once: true });
  });
}
