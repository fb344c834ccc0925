// Recordings of streams: FilmPanel({id, job, api, announce}) plays one, RecordingList({mock, api, chosen}) lists them.

import { classes, html, useEffect, useRef, useState } from "components/html.js";
import { counted, point } from "components/time_format.js";
import { FilmPlayer } from "console/film_player.js";
import { ENDED, Progress, shareOf } from "console/job_list.js";
import { addressOf } from "console/navigation.js";
import { EmptyState, ErrorText, Section } from "console/view_parts.js";

/** Recordings that are listed, until the user asks for more; the mock lists at most 100 at once. */
const PAGE = 12;
const MOST = 100;

const FILES = [
  { name: "video.mp4", label: "Video" },
  { name: "preview.mp4", label: "Preview" },
  { name: "thumbnail.jpg", label: "Thumbnail" },
  { name: "events.jsonl", label: "Event log" },
];

function pathOf(id, file) {
  return `recordings/${encodeURIComponent(id)}/${file}`;
}

/** Return the content of a file of a recording. */
async function fileOf(api, id, file, signal) {
  const response = await api.request("GET", pathOf(id, file), { signal });
  if (response.ok) return response.blob();
  const { detail } = await response.json().catch(() => ({}));
  throw new Error(typeof detail === "string" ? detail : `${file}: status ${response.status}`);
}

/**
 * Return the address of a file for an element, null until it is there. With a control token, the page fetches the file itself:
 * an address with the token would show it in logs.
 */
function useFile(api, id, file) {
  const isOpen = !api.token;
  const [fetched, setFetched] = useState(null);
  useEffect(() => {
    if (isOpen || !id) return undefined;
    const abort = new AbortController();
    let url = null;
    fileOf(api, id, file, abort.signal).then(
      (content) => {
        if (abort.signal.aborted) return;
        url = URL.createObjectURL(content);
        setFetched(url);
      },
      () => {}, // The element stays empty; the panel shows why there is no film.
    );
    return () => {
      abort.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [id, file, isOpen]);
  return isOpen && id ? new URL(pathOf(id, file), api.controlUrl).href : fetched;
}

async function loadFilm(api, id) {
  const about = await api.get(`recordings/${encodeURIComponent(id)}`);
  return {
    id,
    title: about.prompt || "no prompt",
    width: about.width,
    height: about.height,
    seconds: about.duration_seconds,
    hasVideo: about.files.includes("video.mp4"),
    files: FILES.filter(({ name }) => about.files.includes(name)),
    events: about.events,
    waits: about.why_unavailable,
  };
}

/** The film of a stream, or the progress of the job that makes it. */
export function FilmPanel({ id, job, api, announce }) {
  const [film, setFilm] = useState(null);
  const [problem, setProblem] = useState("");
  const top = useRef(null);
  // On a narrow page, the film is below the list in which it was chosen.
  useEffect(() => top.current?.scrollIntoView({ block: "nearest" }), [film]);
  useEffect(() => {
    if (!id) return undefined;
    let isCurrent = true;
    loadFilm(api, id).then(
      (loaded) => isCurrent && setFilm(loaded),
      (error) => isCurrent && setProblem(error.message),
    );
    return () => {
      isCurrent = false;
    };
  }, [id]);
  const src = useFile(api, film?.hasVideo ? id : null, "video.mp4");
  if (!id && !job) return null;
  return html`
    <${Section} title="Film" actions=${html`<a class="button" href=${addressOf("simulations")}>Close</a>`}>
      <div class="card card-body film-panel" ref=${top}>
        ${!id
          ? html`<${JobStatus} job=${job} />`
          : problem
            ? html`<p class="error-text" role="alert">${problem}</p>`
            : !film
              ? html`<p class="film-wait muted" role="status">Loading the recording…</p>`
              : html`
                  ${film.hasVideo
                    ? html`<${FilmPlayer} film=${film} src=${src} />`
                    : html`<p class="film-wait muted">The stream failed, or ended before its first frame. Only its event log is left.</p>`}
                  ${film.waits && html`<p class="field-hint">Clients cannot get this recording yet: ${film.waits}.</p>`}
                  <div class="film-files" role="group" aria-label="Download">
                    <span class="muted">Download</span>
                    ${film.files.map(({ name, label }) => html`
                      <${Download} key=${name} api=${api} id=${id} file=${name} label=${label} announce=${announce} />
                    `)}
                  </div>
                `}
      </div>
    <//>
  `;
}

function JobStatus({ job }) {
  const words = { pending: "The job waits for a worker.", dispatched: "A worker has the job.", processing: "The mock runs the script." };
  if (ENDED.has(job.status)) return html`<p class="film-wait">The job is ${job.status}. ${job.error_message ?? ""}</p>`;
  return html`
    <div class="film-wait" role="status">
      <p>${words[job.status]}</p>
      <${Progress} share=${shareOf(job)} label="The job of this film" />
    </div>
  `;
}

function Download({ api, id, file, label, announce }) {
  const name = `${id.slice(0, 8)}-${file}`;
  if (!api.token) return html`<a href=${new URL(pathOf(id, file), api.controlUrl).href} download=${name}>${label}</a>`;
  const save = async () => {
    try {
      const url = URL.createObjectURL(await fileOf(api, id, file));
      Object.assign(document.createElement("a"), { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      announce(error.message);
    }
  };
  return html`<button type="button" class="link" onClick=${save}>${label}</button>`;
}

/** The recordings of all accounts, newest first. */
export function RecordingList({ mock, api, chosen }) {
  const [most, setMost] = useState(PAGE);
  const [page, setPage] = useState(null);
  const [error, setError] = useState(null);
  const ended = mock.state.streams.filter(({ ended_at: at }) => at !== null);
  const latest = ended.at(-1)?.stream_id;
  useEffect(() => {
    let isCurrent = true;
    api.get(`recordings?limit=${most}`).then(
      (answer) => isCurrent && (setPage(answer), setError(null)),
      (failed) => isCurrent && setError(failed),
    );
    return () => {
      isCurrent = false;
    };
  }, [most, ended.length, latest]);
  return html`
    <${Section} title="Recordings" actions=${page?.total > 0 && html`<span class="muted number">${counted(page.total, "recording")}</span>`}>
      <${ErrorText} error=${error} />
      ${page === null
        ? !error && html`<p class="muted" role="status">Loading the recordings…</p>`
        : page.total === 0
          ? html`<${EmptyState} title="No recording yet."><p>Each stream leaves one when it ends. Run the script, or try a session.</p><a class="button" href=${addressOf("try")}>Try it</a><//>`
          : html`
              <ul class="recording-grid">
                ${page.recordings.map((recording) => html`<${RecordingCard} key=${recording.stream_id} recording=${recording} api=${api} isChosen=${recording.stream_id === chosen} />`)}
              </ul>
              ${page.total > most && most < MOST && html`<button type="button" onClick=${() => setMost(Math.min(most + PAGE, MOST))}>Show more</button>`}
            `}
    <//>
  `;
}

function RecordingCard({ recording, api, isChosen }) {
  const { stream_id: id, prompt, session_id: session, started_at: began, width, height, duration_seconds: seconds, files } = recording;
  const src = useFile(api, files.includes("thumbnail.jpg") ? id : null, "thumbnail.jpg");
  const length = seconds === null ? "no video" : point(seconds, 1);
  return html`
    <li>
      <a class=${classes("recording", isChosen && "chosen")} href=${addressOf("simulations", { stream: id })} aria-current=${isChosen ? "true" : undefined}>
        <span class="recording-picture">${src && html`<img src=${src} alt="" loading="lazy" width=${width / 2} height=${height / 2} />`}</span>
        <span class="recording-prompt" dir="auto">${prompt || "No prompt"}</span>
        <span class="recording-about number">${session ? "Live" : "Simulated"} · ${length} · ${new Date(began * 1000).toLocaleTimeString()}</span>
      </a>
    </li>
  `;
}
