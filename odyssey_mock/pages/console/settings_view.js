// The settings of the mock, below the accounts.

import { html } from "components/html.js";
import { Section } from "console/view_parts.js";

/** Every setting with its description and value. */
export function SettingsView() {
  return html`<${Section} title="Settings" />`;
}
