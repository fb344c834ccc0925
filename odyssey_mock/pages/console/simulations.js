// The view Simulations: jobs and recordings.

import { html } from "components/html.js";
import { EmptyState, ViewHeader } from "console/view_parts.js";

/** Simulation jobs, and recordings of streams. */
export function SimulationsView() {
  return html`
    <${ViewHeader} title="Simulations" />
    <${EmptyState} title="This view is not there yet."><//>
  `;
}
