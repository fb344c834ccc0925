// The view Accounts: the API keys that the mock knows, their usage and limits, and below them the settings of the mock.

import { html, useEffect, useState } from "components/html.js";
import { counted } from "components/time_format.js";
import { SettingsView } from "console/settings_view.js";
import { Badge, CopyButton, EmptyState, ErrorText, Section, ViewHeader } from "console/view_parts.js";

/** Keys, usage, limits, settings. */
export function AccountsView({ mock, api, announce, query }) {
  return html`
    <${ViewHeader} title="Accounts and settings" lead="Each API key has an account of its own, with its own limits. Settings that can change while the mock runs are editable here." />
    <${Accounts} mock=${mock} api=${api} announce=${announce} />
    <${SettingsView} mock=${mock} api=${api} announce=${announce} focused=${query.get("setting")} />
  `;
}

function Accounts({ mock, api, announce }) {
  const [accounts, setAccounts] = useState(null);
  const [error, setError] = useState(null);
  const { sessions, jobs, streams } = mock.state;
  // What can change the usage: sessions, streams and jobs that begin and end, and settings.
  const version = `${sessions.length} ${jobs.map(({ status }) => status).join()} ${streams.filter(({ ended_at: at }) => at === null).length} ${streams.length}`;
  useEffect(() => {
    let isCurrent = true;
    api.get("accounts").then(
      (answer) => isCurrent && (setAccounts(answer.accounts), setError(null)),
      (failed) => isCurrent && setError(failed),
    );
    return () => {
      isCurrent = false;
    };
  }, [version, mock.settings]);
  return html`
    <${Section} title="Accounts" actions=${accounts?.length > 0 && html`<span class="muted number">${counted(accounts.length, "account")}</span>`}>
      <${ErrorText} error=${error} />
      ${accounts === null
        ? !error && html`<p class="muted" role="status">Loading the accounts…</p>`
        : accounts.length === 0
          ? html`<${EmptyState} title="No key has been used yet."><p>The mock accepts every key of the form <code>ody_…</code>. Connect a client, and its key appears here.</p><//>`
          : html`<ul class="account-list">${accounts.map((account) => html`<${Account} key=${account.id} account=${account} announce=${announce} />`)}</ul>`}
    <//>
  `;
}

const METERS = [
  { label: "Sessions", used: "sessions", limit: "concurrent_sessions" },
  { label: "Hours this month", used: "hours", limit: "monthly_hours", digits: 3 },
  { label: "Queued jobs", used: "queued_simulations", limit: "queued_simulations" },
];

function Account({ account, announce }) {
  const { id, key, own, plan, usage, limits } = account;
  return html`
    <li class="card account">
      <div class="account-head">
        <span class="mono account-key">${key}</span>
        ${own && html`<${CopyButton} text=${key} what="The API key" label="" announce=${announce} />`}
        ${own && html`<${Badge} tone="busy">The mock's own<//>`}
        <span class="muted mono account-id">${id}${plan ? ` · ${plan}` : ""}</span>
      </div>
      <dl class="meters">
        ${METERS.map(({ label, used, limit, digits = 0 }) => html`<${Meter} key=${label} label=${label} used=${usage[used] ?? 0} limit=${limits[limit] ?? null} digits=${digits} />`)}
      </dl>
    </li>
  `;
}

function Meter({ label, used, limit, digits }) {
  const text = Number(used.toFixed(digits)).toString();
  return html`
    <div class="meter">
      <dt>${label}</dt>
      <dd>
        <span class="number">${text} <span class="muted">${limit === null ? "no limit" : `of ${limit}`}</span></span>
        <div class="meter-bar" aria-hidden="true"><div class=${used >= limit && limit !== null ? "full" : ""} style=${{ width: `${limit === null ? 0 : Math.min((used / Math.max(limit, 1e-9)) * 100, 100)}%` }}></div></div>
      </dd>
    </div>
  `;
}
