// Functions that the tests call in the page: the calls of the official client, and what the browser shows of the video.
import * as odyssey from "@odysseyml/odyssey"; // package 1.0.0 does not export all names
import { nextFrame } from "./video.js";

const { Odyssey } = odyssey;
const video = document.querySelector("video");
const log = document.querySelector("pre");
const events = [];

// The client does not expose its peer connection. The tests need its statistics (decoded frames), the states of its
// data channels, and the messages on them.
const peers = [];
const channels = [];
const received = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) {
    super(...options);
    peers.push(this);
    this.addEventListener("datachannel", ({ channel }) => {
      channels.push(channel);
      channel.addEventListener("message", ({ data }) => received.push(String(data)));
    });
  }
};

function record(name, ...values) {
  events.push([name, ...values]);
  log.textContent += [name, ...values].join(" ") + "\n";
}

const handlers = {
  onConnected: (stream) => {
    video.srcObject = stream;
    record("connected");
  },
  onDisconnected: () => record("disconnected"),
  onStreamStarted: (streamId) => record("stream_started", streamId),
  onStreamEnded: () => record("stream_ended"),
  onInteractAcknowledged: (prompt) => record("interact_acknowledged", prompt),
  onStreamError: (reason, message) => record("stream_error", reason, message),
  onError: (error, fatal) => record("error", error.message, fatal),
  onStatusChange: (status) => record("status", status),
  onBroadcastReady: (info) => {
    broadcast = info;
    record("broadcast_ready");
  },
};

let client;
let broadcast;
let spectator;
const calls = [];

async function connect(apiKey) {
  client = new Odyssey({ apiKey });
  await client.connect(handlers);
}

function connection() {
  return { sessionId: client.currentSessionId, status: client.currentStatus, isConnected: client.isConnected };
}

async function connectError(apiKey) {
  try {
    await connect(apiKey);
  } catch (error) {
    return { message: error.message, code: error.code ?? null, details: error.details ?? null };
  }
  return null;
}

async function createCredentials(apiKey) {
  return odyssey.credentialsToDict(await new Odyssey({ apiKey }).createClientCredentials());
}

async function connectWithCredentials(dict) {
  client = new Odyssey();
  await client.connectWithCredentials(odyssey.credentialsFromDict(dict), handlers);
  return client.currentSessionId;
}

// A start image: blue above, yellow below.
async function horizon() {
  const canvas = new OffscreenCanvas(640, 480);
  const context = canvas.getContext("2d");
  context.fillStyle = "#1040ff";
  context.fillRect(0, 0, 640, 240);
  context.fillStyle = "#ffd000";
  context.fillRect(0, 240, 640, 240);
  return new File([await canvas.convertToBlob({ type: "image/png" })], "horizon.png", { type: "image/png" });
}

async function startFromPng(options, base64) {
  const content = await (await fetch(`data:image/png;base64,${base64}`)).blob();
  return client.startStream({ ...options, image: new File([content], "start.png", { type: "image/png" }) });
}

const startFromImage = async (options) => client.startStream({ ...options, image: await horizon() });

// Simulations need an API key but no connection.
function use(apiKey) {
  client = new Odyssey({ apiKey });
}

async function simulateFromImage(prompt) {
  const start = { prompt, image: await horizon() };
  return client.simulate({ script: [{ timestamp_ms: 0, start }, { timestamp_ms: 1000, end: {} }] });
}

// Return the message with which a call was rejected.
async function refusal(name, argument) {
  try {
    await client[name](argument);
  } catch (error) {
    return error.message;
  }
  return null;
}

// Start a call without waiting for it. Under a fault some calls never settle; the tests read their state from `calls`.
function begin(name, ...values) {
  const call = { state: "pending", value: null };
  const settle = (state) => (value) => Object.assign(call, { state, value: value ?? null });
  Promise.resolve(window.contract[name](...values)).then(settle("resolved"), (error) => settle("rejected")(error.message));
  return calls.push(call) - 1;
}

// Load a video from its URL; resolves when its first frame is available.
async function load(url) {
  video.srcObject = null;
  video.crossOrigin = "anonymous"; // otherwise its pixels cannot be read
  video.autoplay = false;
  video.src = url;
  await new Promise((resolve, reject) => {
    video.addEventListener("loadeddata", resolve, { once: true });
    video.addEventListener("error", () => reject(new Error(video.error.message)), { once: true });
  });
  return { width: video.videoWidth, height: video.videoHeight, duration: video.duration };
}

async function playUntil(seconds) {
  const played = new Promise((resolve) => {
    const look = () => (video.currentTime >= seconds ? resolve(video.currentTime) : video.requestVideoFrameCallback(look));
    look();
  });
  await video.play();
  const time = await played;
  video.pause();
  return time;
}

async function seek(seconds) {
  const frame = nextFrame(video);
  video.currentTime = seconds;
  return frame;
}

async function playback() {
  const stats = await peers.at(-1).getStats();
  const inbound = [...stats.values()].find((report) => report.type === "inbound-rtp" && report.kind === "video");
  return {
    width: video.videoWidth,
    height: video.videoHeight,
    currentTime: video.currentTime,
    framesDecoded: inbound?.framesDecoded ?? 0,
    codec: stats.get(inbound?.codecId)?.mimeType,
  };
}

// The browser's own reports of the video and of the network path, from `getStats`.
async function statistics() {
  const stats = await peers.at(-1).getStats();
  const reports = [...stats.values()];
  const transport = reports.find(({ type }) => type === "transport");
  return {
    video: reports.find(({ type, kind }) => type === "inbound-rtp" && kind === "video"),
    pair: stats.get(transport?.selectedCandidatePairId),
  };
}

async function decoded(frames) {
  while ((await playback()).framesDecoded < frames) await new Promise(requestAnimationFrame);
}

// Watch a broadcast without an API key, with the URL and token of the host.
async function watch(webrtcUrl, spectatorToken) {
  try {
    spectator = await Odyssey.connectToStream(webrtcUrl, spectatorToken);
  } catch (error) {
    return error.message;
  }
  video.srcObject = spectator.stream;
  spectator.onDisconnect(() => record("broadcast_ended"));
  return null;
}

// Connect, wait until the browser presents the first frame, and disconnect; return how long that took, in milliseconds.
async function firstFrame(apiKey) {
  const began = performance.now();
  await connect(apiKey);
  await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
  const took = performance.now() - began;
  client.disconnect();
  video.srcObject = null;
  return took;
}

// Connect repeatedly, and each time start a stream in the moment the connection is established.
async function startAtOnce(apiKey, connections, patience) {
  const refused = [];
  let started = 0;
  let lost = 0;
  for (let i = 0; i < connections; i++) {
    const eager = new Odyssey({ apiKey });
    await eager.connect();
    let timer;
    const tooLong = new Promise((resolve) => {
      timer = setTimeout(resolve, patience, false);
    });
    try {
      if (await Promise.race([eager.startStream({ prompt: "A cat" }), tooLong])) started += 1;
      else lost += 1;
    } catch (error) {
      refused.push(error.message);
    }
    clearTimeout(timer);
    eager.disconnect();
  }
  return { started, lost, refused };
}

window.contract = {
  events,
  channels,
  received,
  calls,
  begin,
  connect,
  connection,
  connectError,
  statistics,
  createCredentials,
  connectWithCredentials,
  startStream: (options) => client.startStream(options),
  startFromImage,
  startFromPng,
  use,
  call: (name, ...values) => client[name](...values),
  refusal,
  simulateFromImage,
  load,
  playUntil,
  seek,
  interact: (prompt) => client.interact({ prompt }),
  endStream: () => client.endStream(),
  disconnect: () => client.disconnect(),
  broadcast: () => broadcast,
  watch,
  leave: () => spectator.disconnect(),
  nextFrame: (part) => nextFrame(video, part),
  playback,
  decoded,
  firstFrame,
  startAtOnce,
};
