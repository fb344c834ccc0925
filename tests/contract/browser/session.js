// One session of the official client, without any error handling of its own. `step` is the call in progress.
import { Odyssey } from "@odysseyml/odyssey";

const video = document.querySelector("video");
const session = { step: "", play };

async function frames(count) {
  for (let i = 0; i < count; i++) await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
}

async function play(apiKey, framesPerStep) {
  const client = new Odyssey({ apiKey });
  session.step = "connect";
  await client.connect({
    onConnected: (stream) => {
      video.srcObject = stream;
    },
  });
  session.step = "startStream";
  await client.startStream({ prompt: "A harbor", portrait: true });
  session.step = "frames after startStream";
  await frames(framesPerStep);
  session.step = "interact";
  await client.interact({ prompt: "Snow falls" });
  session.step = "frames after interact";
  await frames(framesPerStep);
  session.step = "endStream";
  await client.endStream();
  session.step = "disconnect";
  await client.disconnect();
}

window.session = session;
