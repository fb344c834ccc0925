// The address of a view: `#/timeline?session=ID`. Links are plain `<a href=${addressOf("timeline", {session})}>`.

import { useEffect, useState } from "components/html.js";

/** Return the address of a view within the page. `query` has further values, which the view gets as `query`. */
export function addressOf(view, query = {}) {
  const text = new URLSearchParams(query).toString();
  return `#/${view}${text && `?${text}`}`;
}

/** Show a view. */
export function navigate(view, query = {}) {
  location.hash = addressOf(view, query);
}

/** Return {view, query} of the current address, and render the component again when it changes. `view` is one of `names`. */
export function useRoute(names) {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const update = () => setHash(location.hash);
    addEventListener("hashchange", update);
    return () => removeEventListener("hashchange", update);
  }, []);
  const [name, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return { view: names.includes(name) ? name : names[0], query: new URLSearchParams(query) };
}
