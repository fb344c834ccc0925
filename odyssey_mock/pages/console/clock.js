// The view Clock: time, speed and deadlines.

import { html } from "components/html.js";
import { EmptyState, ViewHeader } from "console/view_parts.js";

/** The time of the mock, and its deadlines. */
export function ClockView() {
  return html`
    <${ViewHeader} title="Clock" />
    <${EmptyState} title="This view is not there yet."><//>
  `;
}
