// The choice of a start image: a file, or a picture of the camera. StartImage({image, onChange, announce}).

import { html, useEffect, useRef, useState } from "components/html.js";
import { bytes } from "components/time_format.js";
import { Icon } from "console/view_parts.js";

/** Pixels of the longer side of a picture of the camera. Streams have 1280. */
const MOST_PIXELS = 1280;
const QUALITY = 0.9;

/** The image {name, url, size} or null; `url` is a `data:` URL. `onChange` gets the next one. */
export function StartImage({ image, onChange, announce }) {
  const [isCameraOn, setCameraOn] = useState(false);
  const [problem, setProblem] = useState("");
  const input = useRef(null);
  const read = async (file) => {
    setProblem("");
    try {
      onChange({ name: file.name, url: await dataUrlOf(file), size: file.size });
      announce(`Start image: ${file.name}`);
    } catch {
      setProblem(`${file.name} cannot be read. Choose another file.`);
    }
  };
  const openCamera = () => {
    setProblem("");
    // Browsers have cameras only on pages of this machine, and of HTTPS.
    if (navigator.mediaDevices?.getUserMedia) setCameraOn(true);
    else setProblem("The browser permits the camera only at http://localhost, http://127.0.0.1 and https://. Open the console there, or choose a file.");
  };
  return html`
    <fieldset class="start-image">
      <legend>Start image <span class="field-hint">optional</span></legend>
      ${isCameraOn
        ? html`
            <${Camera}
              onPicture=${(picture) => { onChange(picture); setCameraOn(false); announce("Picture taken"); }}
              onProblem=${(text) => { setProblem(text); setCameraOn(false); }}
              onCancel=${() => setCameraOn(false)}
            />
          `
        : image
          ? html`
              <div class="image-chosen">
                <img src=${image.url} alt="Start image" />
                <div class="image-name"><span>${image.name}</span><span class="muted">${bytes(image.size)}</span></div>
                <button type="button" onClick=${() => { onChange(null); announce("Start image removed"); }}>Remove</button>
              </div>
            `
          : html`
              <div class="image-choices">
                <button type="button" onClick=${() => input.current.click()}>Choose a file</button>
                <button type="button" onClick=${openCamera}>Use the camera</button>
              </div>
            `}
      <input
        type="file" class="visually-hidden" tabindex="-1" aria-hidden="true" accept="image/*" ref=${input}
        onChange=${(event) => {
          if (event.target.files.length) read(event.target.files[0]);
          event.target.value = "";
        }}
      />
      ${problem && html`<p class="field-error" role="alert">${problem}</p>`}
    </fieldset>
  `;
}

function Camera({ onPicture, onProblem, onCancel }) {
  const video = useRef(null);
  const [isReady, setReady] = useState(false);
  useEffect(() => {
    let stream = null;
    let isOver = false;
    navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 1280 } } }).then(
      (given) => {
        stream = given;
        if (isOver) stop(stream);
        else video.current.srcObject = stream;
      },
      (error) => onProblem(cameraProblem(error)),
    );
    return () => {
      isOver = true;
      if (stream) stop(stream);
    };
  }, []);
  const take = () => {
    const { videoWidth, videoHeight } = video.current;
    const scale = Math.min(1, MOST_PIXELS / Math.max(videoWidth, videoHeight));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(videoWidth * scale);
    canvas.height = Math.round(videoHeight * scale);
    canvas.getContext("2d").drawImage(video.current, 0, 0, canvas.width, canvas.height);
    const url = canvas.toDataURL("image/jpeg", QUALITY);
    onPicture({ name: `Picture, ${canvas.width}×${canvas.height}`, url, size: Math.round(((url.length - url.indexOf(",")) * 3) / 4) });
  };
  return html`
    <div class="camera">
      <video ref=${video} autoplay muted playsinline aria-label="Picture of the camera" onPlaying=${() => setReady(true)}></video>
      <div class="image-choices">
        <button type="button" class="primary" disabled=${!isReady} onClick=${take}><${Icon} name="video" /> Take the picture</button>
        <button type="button" onClick=${onCancel}>Cancel</button>
      </div>
    </div>
  `;
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

function cameraProblem({ name, message }) {
  if (name === "NotAllowedError") return "The browser does not permit the camera. Permit it beside the address of this page, or choose a file.";
  if (name === "NotFoundError") return "This machine has no camera. Choose a file.";
  if (name === "NotReadableError") return "Another program uses the camera. Close it, or choose a file.";
  return `The camera cannot be used (${message}). Choose a file.`;
}

/** Return the content of a file as a `data:` URL. */
export function dataUrlOf(file) {
  return new Promise((accept, refuse) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => accept(reader.result));
    reader.addEventListener("error", () => refuse(reader.error));
    reader.readAsDataURL(file);
  });
}
