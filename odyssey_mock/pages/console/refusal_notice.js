// Why the mock refused something, as the user sees it. RefusalNotice({refusal}); see refusal.js.

import { html } from "components/html.js";
import { addressOf } from "console/navigation.js";
import { Coded } from "console/view_parts.js";

/** Why something was refused, and what to do. */
export function RefusalNotice({ refusal }) {
  const { what, code, why, faults, advice, links } = refusal;
  return html`
    <div class="refusal" role="alert">
      <p class="refusal-what"><${Coded} text=${what} />${code && html` <code>${code}</code>`}</p>
      ${faults.map((fault) => html`<p key=${fault.id}>Fault <code>${fault.at}</code> fired: <code>${fault.do}</code>${fault.times > 1 ? `, ${fault.times} times` : ""}</p>`)}
      ${why && html`<p class="refusal-why"><span class="muted">The mock's reason:</span> <${Coded} text=${why} /></p>`}
      <p>${advice.text} ${links.map(({ view, query, label }, place) => html`<span key=${label}>${place > 0 && " · "}<a href=${addressOf(view, query)}>${label}</a></span>`)}</p>
    </div>
  `;
}
