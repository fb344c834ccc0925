// The view Timeline: journal entries in lanes, as they happen.

import { html } from "components/html.js";
import { EmptyState, ViewHeader } from "console/view_parts.js";

/** The journal of the mock, as it grows. */
export function TimelineView() {
  return html`
    <${ViewHeader} title="Timeline" />
    <${EmptyState} title="This view is not there yet."><//>
  `;
}
