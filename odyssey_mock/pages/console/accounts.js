// The view Accounts: the API keys that the mock knows, their usage and limits, and below them the settings of the mock.

import { html } from "components/html.js";
import { SettingsView } from "console/settings_view.js";
import { ViewHeader } from "console/view_parts.js";

/** Keys, usage, limits, settings. */
export function AccountsView({ mock, api, announce, query }) {
  return html`
    <${ViewHeader} title="Accounts and settings" lead="Each API key has an account of its own, with its own limits. Settings that can change while the mock runs are editable here." />
    <${SettingsView} mock=${mock} api=${api} announce=${announce} focused=${query.get("setting")} />
  `;
}
