// Live video of a stream of the mock, over WHEP. Only what is visible is played, and only some streams at once.

import { html, useEffect, useMemo, useRef, useState } from "components/html.js";
import { connectWhep } from "components/whep.js";
import { FileImage } from "console/control_files.js";
import { Icon } from "console/view_parts.js";

/** Streams that one page plays at once. Each takes about a tenth of a processor core without hardware decoding. */
export const MOST_PLAYING = 6;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
const MEASURE_MS = 1000;
/** The longer side of a picture of a stream that does not play, in pixels. */
const STILL_SIDE = 320;
/** Milliseconds that a player may be out of sight before it gives its place to another: scrolling back is common. */
const LINGER_MS = 1500;

/**
 * Create the places of players: `take(onChange, isFirst)` asks for one; `onChange(true)` grants it, `onChange(false)` takes it away.
 * It returns a function that gives the place back. Those that are `isFirst` take the place of one that is not.
 */
export function createPlaces(most = MOST_PLAYING) {
  const taken = new Set();
  const waiting = new Set();
  const grant = () => {
    const first = [...waiting].sort((one, other) => other.isFirst - one.isFirst);
    for (const player of first) {
      const evicted = taken.size < most ? null : player.isFirst && [...taken].findLast(({ isFirst }) => !isFirst);
      if (taken.size >= most && !evicted) return;
      if (evicted) {
        taken.delete(evicted);
        waiting.add(evicted);
        evicted.onChange(false);
      }
      waiting.delete(player);
      taken.add(player);
      player.onChange(true);
    }
  };
  return {
    take(onChange, isFirst = false) {
      const player = { onChange, isFirst };
      waiting.add(player);
      grant();
      return () => {
        waiting.delete(player);
        if (taken.delete(player)) onChange(false);
        grant();
      };
    },
  };
}

/** Return whether the element is in sight, in a tab that is shown. */
function useIsVisible(ref) {
  const [isVisible, setVisible] = useState(false);
  useEffect(() => {
    let isIntersecting = false;
    let timer = 0;
    const update = () => {
      clearTimeout(timer);
      if (isIntersecting && !document.hidden) setVisible(true);
      else timer = setTimeout(() => setVisible(false), LINGER_MS);
    };
    const observer = new IntersectionObserver((entries) => {
      isIntersecting = entries.at(-1).isIntersecting;
      update();
    });
    observer.observe(ref.current);
    document.addEventListener("visibilitychange", update);
    return () => {
      clearTimeout(timer);
      observer.disconnect();
      document.removeEventListener("visibilitychange", update);
    };
  }, []);
  return isVisible;
}

/**
 * The video of a stream. `places` limits how many play at once (`createPlaces`); `isFirst` plays before others. `onMeasure({fps, age})` gets the frames per
 * second and the seconds from the capture of a frame, or from its arrival, to its display, each second; null if unknown.
 */
export function WhepPlayer({ stream, label, api, places, isFirst = false, onMeasure }) {
  const box = useRef(null);
  const video = useRef(null);
  const isVisible = useIsVisible(box);
  const [hasPlace, setHasPlace] = useState(false);
  const [status, setStatus] = useState("waiting");
  const [problem, setProblem] = useState("");
  const isLive = stream.ended_at === null;

  useEffect(() => (isVisible && isLive ? places.take(setHasPlace, isFirst) : undefined), [isVisible, isLive, isFirst, places]);
  useEffect(() => {
    if (!hasPlace) return undefined;
    return play({
      url: `${api.controlUrl}streams/${encodeURIComponent(stream.stream_id)}/whep`,
      headers: api.authorization(),
      video: video.current,
      onStatus: (next, text = "") => {
        setStatus(next);
        setProblem(text);
      },
    });
  }, [hasPlace, stream.stream_id]);
  useMeasure(video, hasPlace, onMeasure);

  const shape = useMemo(() => ({ aspectRatio: `${stream.width} / ${stream.height}` }), [stream.width, stream.height]);
  // A picture of the first frame, so that streams that do not play can be told apart.
  const still = isVisible && isLive && !hasPlace && `streams/${encodeURIComponent(stream.stream_id)}/frames/0.jpg?side=${STILL_SIDE}`;
  const text = playerText({ isLive, isVisible, hasPlace, status, problem });
  return html`
    <div class="player" data-shape=${stream.width > stream.height ? "landscape" : "portrait"} style=${shape} ref=${box} data-status=${hasPlace ? status : "waiting"}>
      <video ref=${video} muted playsinline autoplay aria-label=${label}></video>
      ${still && html`<${FileImage} class="still" api=${api} path=${still} cache="default" alt="" />`}
      ${text && html`<p class="player-text">${text}</p>`}
    </div>
  `;
}

/** A place for the video of a session that shows no stream. */
export function NoVideo({ text }) {
  return html`<div class="player" data-shape="portrait"><p class="player-text"><${Icon} name="video" />${text}</p></div>`;
}

function playerText({ isLive, isVisible, hasPlace, status, problem }) {
  if (!isLive) return "The stream has ended";
  if (isVisible && !hasPlace) return "Paused";
  if (status === "failed") return problem;
  return status === "playing" ? "" : "Connecting…";
}

/** Play the stream until the returned function is called. Lost connections are made again. */
function play({ url, headers, video, onStatus }) {
  const abort = new AbortController();
  let connection = null;
  let timer = 0;
  let pause = FIRST_PAUSE_MS;

  const again = (text) => {
    connection?.close();
    connection = null;
    if (abort.signal.aborted) return;
    onStatus("failed", text);
    clearTimeout(timer);
    timer = setTimeout(connect, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  };
  const onState = (state) => {
    if (state === "failed" || state === "closed") again("The video is lost. Connecting again…");
  };
  const connect = async () => {
    onStatus("connecting");
    try {
      connection = await connectWhep(url, { headers, onState, signal: abort.signal });
      video.srcObject = connection.stream;
    } catch (error) {
      if (!abort.signal.aborted) again(`No video: ${error.detail || error.message}`);
    }
  };
  const onPlaying = () => {
    pause = FIRST_PAUSE_MS;
    onStatus("playing");
  };
  video.addEventListener("playing", onPlaying);
  connect();
  return () => {
    abort.abort();
    clearTimeout(timer);
    connection?.close();
    video.removeEventListener("playing", onPlaying);
    video.srcObject = null;
    onStatus("waiting");
  };
}

/** Call `onMeasure` each second while the video plays. */
function useMeasure(video, isActive, onMeasure) {
  const latest = useRef(onMeasure);
  latest.current = onMeasure;
  useEffect(() => {
    const element = video.current;
    if (!isActive || !element.requestVideoFrameCallback) return undefined;
    let request = 0;
    let age = null;
    let before = null;
    // Not `getVideoPlaybackQuality`: Firefox counts no frames of a stream there.
    let frames = 0;
    const onFrame = (now, { captureTime, receiveTime, presentedFrames }) => {
      frames = presentedFrames;
      // The browser knows the time of the capture from the sender reports of RTCP, which the first frames do not have.
      const since = captureTime ?? receiveTime;
      age = since === undefined ? null : Math.max(now - since, 0) / 1000;
      request = element.requestVideoFrameCallback(onFrame);
    };
    request = element.requestVideoFrameCallback(onFrame);
    const timer = setInterval(() => {
      const now = { at: performance.now(), frames };
      const fps = before && now.frames >= before.frames ? ((now.frames - before.frames) * 1000) / (now.at - before.at) : null;
      before = now;
      latest.current?.({ fps, age });
    }, MEASURE_MS);
    return () => {
      clearInterval(timer);
      element.cancelVideoFrameCallback(request);
    };
  }, [isActive]);
}
