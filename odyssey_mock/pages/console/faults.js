// The view Faults: active faults, and a form that adds faults.

import { html } from "components/html.js";
import { EmptyState, ViewHeader } from "console/view_parts.js";

/** The active faults, and a form that adds faults. */
export function FaultsView() {
  return html`
    <${ViewHeader} title="Faults" />
    <${EmptyState} title="This view is not there yet."><//>
  `;
}
