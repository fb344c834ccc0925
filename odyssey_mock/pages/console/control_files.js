// Files of the control API: their content, their addresses for elements, and images of them.

import { LoadedImage } from "components/frame_image.js";
import { html, useEffect, useRef, useState } from "components/html.js";
import { errorOf } from "console/api.js";

/** Return the content of a file, by its path below `/_mock/`. */
export async function fileOf(api, path, { signal, cache } = {}) {
  const response = await api.request("GET", path, { signal, cache });
  if (!response.ok) throw errorOf(response.status, await response.text());
  return response.blob();
}

/** Return the address of a file, if elements can load it without the control token; null otherwise. */
export function openAddress(api, path) {
  return api.token ? null : new URL(path, api.controlUrl).href;
}

/**
 * Return the address of a file for an element, null until there is one. `path` is null while no file is needed.
 *
 * With a control token, the page fetches the file itself: an address with the token would show it in logs. A component has one such
 * file in memory at a time. The previous one stays until the next one is there.
 */
export function useFile(api, path, { cache } = {}) {
  const open = path && openAddress(api, path);
  const isFetched = Boolean(path) && open === null;
  const [fetched, setFetched] = useState(null);
  // The component may end before it is drawn with a new address, so the release does not depend on the state.
  const held = useRef(null);
  const hold = (url) => {
    if (held.current) URL.revokeObjectURL(held.current);
    held.current = url;
  };
  useEffect(() => {
    const show = (url) => {
      hold(url);
      setFetched(url);
    };
    if (!isFetched) {
      show(null);
      return undefined;
    }
    const abort = new AbortController();
    const { signal } = abort;
    fileOf(api, path, { signal, cache }).then(
      (content) => signal.aborted || show(URL.createObjectURL(content)),
      () => signal.aborted || show(null), // The element stays empty.
    );
    return () => abort.abort();
  }, [path, isFetched]);
  useEffect(() => () => hold(null), []);
  return isFetched ? fetched : open;
}

/** An `<img>` of a file: FileImage({api, path, cache, ...attributes}). It is hidden until its file is there. */
export function FileImage({ api, path, cache, ...attributes }) {
  return html`<${LoadedImage} ...${attributes} src=${useFile(api, path, { cache })} />`;
}
