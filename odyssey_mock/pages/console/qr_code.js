// QR codes. QrCode({text, label}).

import { encode } from "uqr";
import { html, useMemo } from "components/html.js";

/** The quiet zone around the code, in modules (ISO/IEC 18004). */
const QUIET = 4;

/** The QR code of a text. It is dark on white in both themes, because not every reader knows inverted codes. */
export function QrCode({ text, label }) {
  const { size, path } = useMemo(() => {
    const { data } = encode(text, { ecc: "M", border: QUIET });
    const rows = data.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : "")));
    return { size: data.length, path: rows.join("") };
  }, [text]);
  return html`
    <svg class="qr-code" viewBox=${`0 0 ${size} ${size}`} role="img" aria-label=${label} shape-rendering="crispEdges">
      <rect width=${size} height=${size} fill="#fff" /><path d=${path} fill="#000" />
    </svg>
  `;
}
