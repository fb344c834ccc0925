// The view Overview: what runs, and how to connect.

import { html } from "components/html.js";
import { EmptyState, ViewHeader } from "console/view_parts.js";

/** What runs, and how to connect. */
export function OverviewView() {
  return html`
    <${ViewHeader} title="Overview" />
    <${EmptyState} title="This view is not there yet."><//>
  `;
}
