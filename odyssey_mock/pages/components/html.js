// Preact's functions and the template tag `html` for components.

import { h } from "preact";
import htm from "htm";

export { render } from "preact";
export { useCallback, useEffect, useErrorBoundary, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

export const html = htm.bind(h);

/** Return the names that are not false, joined: the value of the attribute `class`. */
export function classes(...names) {
  return names.filter(Boolean).join(" ");
}
