// The view Accounts: keys, usage and limits, and the settings of the mock.

import { html } from "components/html.js";
import { EmptyState, ViewHeader } from "console/view_parts.js";

/** Keys, usage and limits. */
export function AccountsView() {
  return html`
    <${ViewHeader} title="Accounts" />
    <${EmptyState} title="This view is not there yet."><//>
  `;
}
