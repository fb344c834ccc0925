// Recordings of streams: FilmPanel({id, job, api, announce}) plays one, RecordingList({mock, api, chosen}) lists them.

import { classes, html, useEffect, useRef, useState } from "components/html.js";
import { counted, point } from "components/time_format.js";
import { FileImage, fileOf, openAddress, useFile } from "console/control_files.js";
import { FilmPlayer } from "console/film_player.js";
import { Progress, shareOf } from "console/job_list.js";
import { addressOf } from "console/navigation.js";
import { jobState } from "console/state_words.js";
import { EmptyState, ErrorText, saveFile, Section } from "console/view_parts.js";

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
  const [problem, setProblem] = useState(null);
  const top = useRef(null);
  // On a narrow page, the film is below the list in which it was chosen.
  useEffect(() => top.current?.scrollIntoView({ block: "nearest" }), [film]);
  useEffect(() => {
    if (!id) return undefined;
    let isCurrent = true;
    loadFilm(api, id).then(
      (loaded) => isCurrent && setFilm(loaded),
      (error) => isCurrent && setProblem(error),
    );
    return () => {
      isCurrent = false;
    };
  }, [id]);
  const src = useFile(api, film?.hasVideo ? pathOf(id, "video.mp4") : null);
  if (!id && !job) return null;
  return html`
    <${Section} title="Film" actions=${html`<a class="button" href=${addressOf("simulations")}>Close</a>`}>
      <div class="card card-body film-panel" ref=${top}>
        ${!id
          ? html`<${JobStatus} job=${job} />`
          : problem
            ? html`<${ErrorText} error=${problem} />`
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
  if (!jobState(job).isRunning) return html`<p class="film-wait">The job is ${job.status}. ${job.error_message ?? ""}</p>`;
  return html`
    <div class="film-wait" role="status">
      <p>${words[job.status]}</p>
      <${Progress} share=${shareOf(job)} label="The job of this film" />
    </div>
  `;
}

function Download({ api, id, file, label, announce }) {
  const name = `${id.slice(0, 8)}-${file}`;
  const path = pathOf(id, file);
  const open = openAddress(api, path);
  if (open) return html`<a href=${open} download=${name}>${label}</a>`;
  const save = async () => {
    try {
      saveFile(await fileOf(api, path), name);
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
  const length = seconds === null ? "no video" : point(seconds, 1);
  return html`
    <li>
      <a class=${classes("recording", isChosen && "chosen")} href=${addressOf("simulations", { stream: id })} aria-current=${isChosen ? "true" : undefined}>
        <span class="recording-picture">${files.includes("thumbnail.jpg") && html`
          <${FileImage} api=${api} path=${pathOf(id, "thumbnail.jpg")} alt="" loading="lazy" width=${width / 2} height=${height / 2} />
        `}</span>
        <span class="recording-prompt" dir="auto">${prompt || "No prompt"}</span>
        <span class="recording-about number">${session ? "Live" : "Simulated"} · ${length} · ${new Date(began * 1000).toLocaleTimeString()}</span>
      </a>
    </li>
  `;
}
