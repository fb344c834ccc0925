// Functions that the tests call in the page: play HLS with hls.js, and read what the browser shows.
import Hls from "hls.js";

const video = document.querySelector("video");
const log = document.querySelector("pre");
const errors = [];
let codecs = null;

function play(url) {
  const hls = new Hls({ liveDurationInfinity: true });
  hls.on(Hls.Events.ERROR, (_, { type, details, fatal, error }) => {
    errors.push({ type, details, fatal, message: error?.message ?? null });
    log.textContent += `${type} ${details}\n`;
  });
  hls.on(Hls.Events.BUFFER_CODECS, (_, { video: track }) => {
    codecs = track.codec;
  });
  hls.loadSource(url);
  hls.attachMedia(video);
}

function state() {
  return {
    currentTime: video.currentTime,
    ended: video.ended,
    width: video.videoWidth,
    height: video.videoHeight,
    duration: Number.isFinite(video.duration) ? video.duration : null,
    codecs,
    errors,
  };
}

async function nextFrame() {
  await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  return canvas.toDataURL("image/png");
}

window.player = { play, state, nextFrame };
