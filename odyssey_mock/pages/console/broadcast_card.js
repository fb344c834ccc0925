// The links to a broadcast, with a QR code. BroadcastCard({broadcast, viewers, announce}).

import { html } from "components/html.js";
import { counted } from "components/time_format.js";
import { QrCode } from "console/qr_code.js";
import { CopyButton, Section } from "console/view_parts.js";

const LOCAL = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Return the address of the page that plays a broadcast. What it needs is in the fragment, which browsers do not send. */
function watchAddress({ webrtcUrl, token }) {
  const stream = webrtcUrl.slice(webrtcUrl.lastIndexOf("/") + 1);
  return `${new URL("../_mock/watch/", webrtcUrl).href}#${new URLSearchParams({ stream, token })}`;
}

/** A broadcast {webrtcUrl, token, hlsUrl}: its page, its addresses for players, and how many watch it. */
export function BroadcastCard({ broadcast, viewers, announce }) {
  const link = watchAddress(broadcast);
  const isLocal = LOCAL.has(new URL(link).hostname);
  return html`
    <${Section} title="Broadcast" class="broadcast" actions=${html`<span class="muted number" data-viewers=${viewers}>${counted(viewers, "spectator")}</span>`}>
      <div class="card card-body broadcast-card">
        <${QrCode} text=${link} label="QR code of the broadcast's page" />
        <div class="broadcast-links">
          <p>Everyone with this link can watch.</p>
          <div class="broadcast-actions">
            <a class="button primary" href=${link} target="_blank" rel="noopener">Watch</a>
            <${CopyButton} text=${link} what="The link" label="Copy link" announce=${announce} />
          </div>
          <dl class="facts">
            <div><dt>WHEP</dt><dd class="broadcast-url"><span class="mono">${broadcast.webrtcUrl}/whep</span><${CopyButton} text=${`${broadcast.webrtcUrl}/whep?token=${encodeURIComponent(broadcast.token)}`} what="The WHEP address with its token" label="" announce=${announce} /></dd></div>
            ${broadcast.hlsUrl && html`<div><dt>HLS</dt><dd class="broadcast-url"><span class="mono">${broadcast.hlsUrl.replace(/\?.*$/, "")}</span><${CopyButton} text=${broadcast.hlsUrl} what="The HLS address with its token" label="" announce=${announce} /></dd></div>`}
          </dl>
          ${isLocal && html`<p class="field-hint">Only this machine can open it. For a phone, start the mock with <code>--host 0.0.0.0</code>, and open the console at the address that it prints.</p>`}
        </div>
      </div>
    <//>
  `;
}
