// A small React application with the official hook `useOdyssey`, in StrictMode, and functions that the tests call.
import { StrictMode, createElement, useEffect, useRef } from "react";
import { useOdyssey } from "@odysseyml/odyssey/react";
import { nextFrame } from "./video.js";

const events = [];

function record(name, ...values) {
  events.push([name, ...values]);
}

// The first prompt starts a stream, and each later one is an interaction. Another key is another connection.
function Stream({ apiKey, prompt }) {
  const video = useRef(null);
  const streaming = useRef(false);
  const odyssey = useOdyssey({
    apiKey,
    handlers: {
      onConnected: (stream) => {
        video.current.srcObject = stream;
        record("connected");
      },
      onDisconnected: () => record("disconnected"),
      onStreamStarted: (streamId) => record("stream_started", streamId),
      onInteractAcknowledged: (applied) => record("interact_acknowledged", applied),
      onError: (error, fatal) => record("error", error.message, fatal),
    },
  });

  useEffect(() => {
    odyssey.connect().catch((error) => record("connect_rejected", error.message));
    return () => odyssey.disconnect();
  }, [apiKey]);

  useEffect(() => {
    if (!odyssey.isConnected) {
      streaming.current = false;
      return;
    }
    const call = streaming.current ? odyssey.interact({ prompt }) : odyssey.startStream({ prompt });
    streaming.current = true;
    call.catch((error) => record("call_rejected", error.message));
  }, [odyssey.isConnected, prompt]);

  return createElement(
    "main",
    null,
    createElement("video", { ref: video, muted: true, autoPlay: true, playsInline: true }),
    createElement("output", null, `${odyssey.status}: ${odyssey.error ?? "no error"}`),
  );
}

let root = null;

function render(properties) {
  root ??= ReactDOM.createRoot(document.querySelector("#root"));
  root.render(createElement(StrictMode, null, createElement(Stream, properties)));
}

function unmount() {
  root.unmount();
  root = null;
}

window.contract = {
  events,
  render,
  unmount,
  text: () => document.querySelector("output").textContent,
  nextFrame: (part) => nextFrame(document.querySelector("video"), part),
};
