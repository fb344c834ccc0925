// The view Simulations: a script editor, jobs, and recordings of all streams with their player.

import { html, useEffect, useMemo, useRef, useState } from "components/html.js";
import { counted, point } from "components/time_format.js";
import { errorOf } from "console/api.js";
import { JobList } from "console/job_list.js";
import { navigate } from "console/navigation.js";
import { FilmPanel, RecordingList } from "console/recordings.js";
import { explain, nextEntry } from "console/refusal.js";
import { RefusalNotice } from "console/refusal_notice.js";
import { ScriptEditor } from "console/script_editor.js";
import { EXAMPLE, exampleWithImage, inOrder, readScript, referenceTo, secondsOf } from "console/script_text.js";
import { createService } from "console/service_client.js";
import { dataUrlOf } from "console/start_image.js";
import { jobState } from "console/state_words.js";
import { Section, ViewHeader } from "console/view_parts.js";

/** Milliseconds without a change of the text after which the mock checks it. */
const CHECK_PAUSE = 250;

/** What the user has written: kept while other views are shown. */
let draft = { text: EXAMPLE, portrait: false, images: new Map() };
const services = new Map();

function serviceOf(api, apiKey) {
  if (!services.has(apiKey)) services.set(apiKey, createService({ url: api.serviceUrl, apiKey }));
  return services.get(apiKey);
}

/** Script, jobs, recordings, and the film of the chosen job or stream. */
export function SimulationsView({ mock, api, announce, query }) {
  const job = mock.state.jobs.find(({ job_id: id }) => id === query.get("job"));
  const made = job && !jobState(job).isRunning ? job.streams.find(({ status }) => status === "completed") : null;
  const chosen = query.get("stream") ?? made?.stream_id ?? null;
  const account = useOwnAccount(mock, api);
  const cancel = async (id) => {
    try {
      await serviceOf(api, mock.overview.api_key).call("DELETE", `/simulation-jobs/${encodeURIComponent(id)}`);
      announce("The job is cancelled");
    } catch (error) {
      announce(`The job was not cancelled: ${error.message}`);
    }
  };
  return html`
    <${ViewHeader} title="Simulations" lead="Write a script, run it as a job of the mock's own account, and play what any stream of the mock has recorded." />
    <div class="simulations">
      <div class="column">
        <${ScriptPanel} mock=${mock} api=${api} announce=${announce} />
        <${JobList} mock=${mock} chosen=${job?.job_id} own=${account} onCancel=${cancel} />
      </div>
      <div class="column">
        <${FilmPanel} key=${chosen} id=${chosen} job=${job} api=${api} announce=${announce} />
        <${RecordingList} mock=${mock} api=${api} chosen=${chosen} />
      </div>
    </div>
  `;
}

/** Return the id of the mock's own account; null until there are jobs. */
function useOwnAccount(mock, api) {
  const [id, setId] = useState(null);
  const apiKey = mock.overview?.api_key;
  const hasJobs = mock.state.jobs.length > 0;
  useEffect(() => {
    if (!hasJobs || !apiKey) return;
    api.get("accounts").then(
      ({ accounts }) => setId(accounts.find(({ key }) => key === apiKey)?.id ?? null),
      () => {}, // Without it, no job has a button to cancel it.
    );
  }, [apiKey, hasJobs]);
  return id;
}

function ScriptPanel({ mock, api, announce }) {
  const [form, setForm] = useState(draft);
  const [found, setFound] = useState({ problems: [], status: "", isValid: false });
  const [isSending, setSending] = useState(false);
  const [refusal, setRefusal] = useState(null);
  const input = useRef(null);
  const apiKey = mock.overview?.api_key;
  const change = (values) => {
    draft = { ...form, ...values };
    setForm(draft);
    setRefusal(null);
  };
  const read = useMemo(() => readScript(form.text, form), [form]);

  useEffect(() => {
    if (read.problems.length) {
      setFound({ problems: read.problems, status: "", isValid: false });
      return undefined;
    }
    let isCurrent = true;
    const timer = setTimeout(async () => {
      try {
        const { valid, errors } = await api.request("POST", "scripts/validate", { body: read.check, headers: { "Content-Type": "application/json" } }).then(verdictOf);
        if (isCurrent) setFound({ problems: inOrder(errors.map(read.problemOf)), status: valid ? statusOf(read.check) : "", isValid: valid });
      } catch (error) {
        if (isCurrent) setFound({ problems: [], status: `The script could not be checked: ${error.message}`, isValid: true });
      }
    }, CHECK_PAUSE);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [read]);

  const run = async () => {
    if (isSending || !apiKey || read.problems.length) return;
    setSending(true);
    setRefusal(null);
    const since = await nextEntry(api);
    try {
      const { job_id: id } = await serviceOf(api, apiKey).call("POST", "/simulation-jobs", { text: read.body });
      announce("The job is in the queue");
      navigate("simulations", { job: id });
    } catch (error) {
      if (error.errors?.length) setFound({ problems: inOrder(error.errors.map(read.problemOf)), status: "", isValid: false });
      else setRefusal(await explain(error, { api, since }));
      announce("The job was refused");
    }
    setSending(false);
  };
  const attach = async (file) => {
    const url = await dataUrlOf(file).catch(() => null);
    if (!url) return announce(`${file.name} cannot be read`);
    const images = new Map(form.images).set(file.name, url);
    change({ images, ...(form.text === EXAMPLE && { text: exampleWithImage(file.name) }) });
    return announce(`${file.name} attached`);
  };
  const detach = (name) => {
    const images = new Map(form.images);
    images.delete(name);
    change({ images });
  };
  return html`
    <${Section} title="Script" class="script" actions=${html`
      <button type="button" onClick=${() => change({ text: EXAMPLE })}>Example</button>
      <button type="button" onClick=${() => input.current.click()}>Attach an image</button>
    `}>
      <div class="card">
        <${ScriptEditor}
          text=${form.text} problems=${found.problems} status=${found.status} label="Script (JSON)"
          onChange=${(text) => change({ text })} onRun=${run}
        />
        ${form.images.size > 0 && html`
          <ul class="attachments" aria-label="Attached images">
            ${[...form.images].map(([name, url]) => html`
              <li key=${name}><img src=${url} alt="" /><code>"image": "${referenceTo(name)}"</code><button type="button" class="quiet" aria-label=${`Remove ${name}`} onClick=${() => detach(name)}>Remove</button></li>
            `)}
          </ul>
        `}
        <div class="script-run">
          <fieldset class="choices">
            <legend class="visually-hidden">Shape</legend>
            ${[[false, "Landscape"], [true, "Portrait"]].map(([portrait, label]) => html`
              <label key=${label} class="choice"><input type="radio" name="film-shape" checked=${form.portrait === portrait} onChange=${() => change({ portrait })} /><span>${label}</span></label>
            `)}
          </fieldset>
          <button type="button" class="primary" disabled=${!found.isValid || isSending || !apiKey} onClick=${run}>Run</button>
        </div>
        ${refusal && html`<${RefusalNotice} refusal=${refusal} />`}
      </div>
      <input
        type="file" class="visually-hidden" tabindex="-1" aria-hidden="true" accept="image/*" ref=${input}
        onChange=${(event) => {
          if (event.target.files.length) attach(event.target.files[0]);
          event.target.value = "";
        }}
      />
    <//>
  `;
}

/** Return {valid, errors} of the response to a check. A body that cannot be read is an error of the script too. */
async function verdictOf(response) {
  const text = await response.text();
  if (response.ok) return JSON.parse(text);
  const error = errorOf(response.status, text);
  if (error.errors.length) return { valid: false, errors: error.errors };
  throw error;
}

function statusOf(request) {
  const seconds = secondsOf(request);
  if (seconds.length === 0) return "Valid.";
  const total = seconds.reduce((sum, each) => sum + each, 0);
  return seconds.length === 1 ? `Valid: a video of ${point(total, 1)}.` : `Valid: ${counted(seconds.length, "video")} of ${point(total, 1)} in all.`;
}
