// The list of simulation jobs, with their progress. JobList({mock, chosen, own, onCancel}).

import { classes, html } from "components/html.js";
import { counted, point } from "components/time_format.js";
import { timeOf, useTicks } from "console/mock_time.js";
import { addressOf } from "console/navigation.js";
import { jobState } from "console/state_words.js";
import { Badge, EmptyState, Section } from "console/view_parts.js";

/** Jobs that are listed, the newest. */
const MOST_LISTED = 40;

/** Return the part of a job that is done, from 0 to 1. The mock states which scripts have ended, not how far one is. */
export function shareOf(job) {
  const { status, streams } = job;
  if (!jobState(job).isRunning) return 1;
  if (status !== "processing") return status === "dispatched" ? 0.1 : 0;
  const done = streams.filter((stream) => stream.status === "completed" || stream.status === "failed").length;
  return 0.15 + (0.85 * (done + 0.5)) / Math.max(streams.length, 1);
}

/** A bar of progress. */
export function Progress({ share, label }) {
  return html`
    <div class="progress" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}>
      <div style=${{ width: `${share * 100}%` }}></div>
    </div>
  `;
}

/** The jobs of all accounts, newest first; `chosen` is the id of one, `own` that of the mock's own account, whose jobs can be cancelled. */
export function JobList({ mock, chosen, own, onCancel }) {
  useTicks(500);
  const jobs = [...mock.state.jobs].reverse().slice(0, MOST_LISTED);
  return html`
    <${Section} title="Jobs" class="jobs" actions=${mock.state.jobs.length > 0 && html`<span class="muted number">${counted(mock.state.jobs.length, "job")}</span>`}>
      ${jobs.length === 0
        ? html`<${EmptyState} title="No job yet."><p>Run the script, or send <code>POST /simulation-jobs</code> with your client.</p><//>`
        : html`
            <ul class="card job-list">
              ${jobs.map((job) => html`
                <${Job}
                  key=${job.job_id} job=${job} now=${timeOf(mock)} isChosen=${job.job_id === chosen}
                  onCancel=${job.account === own && jobState(job).isRunning ? () => onCancel(job.job_id) : null}
                />
              `)}
            </ul>
          `}
    <//>
  `;
}

function Job({ job, now, isChosen, onCancel }) {
  const { streams, status } = job;
  const { tone, isRunning } = jobState(job);
  const share = shareOf(job);
  const ran = (job.completed_at ?? now) - job.created_at;
  return html`
    <li class=${classes("job", isChosen && "chosen")} aria-current=${isChosen ? "true" : undefined}>
      <div class="job-head">
        <${Badge} tone=${tone}>${status}<//>
        <span class="mono job-id">${job.job_id.slice(0, 8)}</span>
        <span class="muted number job-time">${status === "pending" ? "waiting " : ""}${point(Math.max(ran, 0), 1)}</span>
        ${onCancel && html`<button type="button" class="quiet" aria-label=${`Cancel job ${job.job_id.slice(0, 8)}`} onClick=${onCancel}>Cancel</button>`}
      </div>
      ${isRunning && html`
        <${Progress} share=${share} label=${`Job ${job.job_id.slice(0, 8)}`} />
      `}
      ${job.error_message && html`<p class="field-error">${job.error_message}</p>`}
      ${streams.length > 0 && html`
        <ul class="job-streams">
          ${streams.map((stream) => html`
            <li key=${stream.stream_id}>
              ${stream.status === "completed"
                ? html`<a href=${addressOf("simulations", { stream: stream.stream_id })}>Play ${streams.length > 1 ? `video ${stream.script_index + 1}` : "the video"}</a>`
                : html`<span class="muted">${streams.length > 1 ? `video ${stream.script_index + 1}: ` : ""}${stream.status}</span>`}
            </li>
          `)}
        </ul>
      `}
    </li>
  `;
}
