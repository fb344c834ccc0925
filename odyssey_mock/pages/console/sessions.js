// The view Sessions: one card for each session.

import { html } from "components/html.js";
import { EmptyState, ViewHeader } from "console/view_parts.js";

/** One card for each session. */
export function SessionsView() {
  return html`
    <${ViewHeader} title="Sessions" />
    <${EmptyState} title="This view is not there yet."><//>
  `;
}
