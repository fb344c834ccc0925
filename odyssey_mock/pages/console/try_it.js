// The view Try it: a session without code.

import { html } from "components/html.js";
import { EmptyState, ViewHeader } from "console/view_parts.js";

/** A session without code. */
export function TryItView() {
  return html`
    <${ViewHeader} title="Try it" />
    <${EmptyState} title="This view is not there yet."><//>
  `;
}
