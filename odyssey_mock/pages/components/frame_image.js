// Images of frames: LoadedImage({src, ...attributes}), and the FrameImage of images that are in memory.

import { html, useState } from "components/html.js";

const MOST_URLS = 400;

/** An `<img>` that is invisible if it cannot be loaded: browsers draw a symbol in place of a broken image. `src` is null while it is unknown. */
export function LoadedImage({ src, style, ...attributes }) {
  const [broken, setBroken] = useState(null);
  const opacity = src && src !== broken ? undefined : 0; // Not `visibility`: the image can still be clicked.
  return html`<img ...${attributes} src=${src ?? undefined} style=${{ ...style, opacity }} onError=${() => setBroken(src)} />`;
}

/**
 * Create the component FrameImage({name, ...attributes}) of `TraceBrowser` for `images`, a Map of JPEG bytes by their names.
 *
 * The latest images have addresses in memory. Old addresses are released.
 */
export function createFrameImage(images) {
  const urls = new Map();
  const urlOf = (name) => {
    let url = urls.get(name);
    if (url === undefined) {
      url = URL.createObjectURL(new Blob([images.get(name)], { type: "image/jpeg" }));
    } else {
      urls.delete(name);
    }
    urls.set(name, url);
    if (urls.size > MOST_URLS) {
      const [oldest, oldUrl] = urls.entries().next().value;
      urls.delete(oldest);
      URL.revokeObjectURL(oldUrl);
    }
    return url;
  };
  return ({ name, ...attributes }) => html`<${LoadedImage} ...${attributes} src=${urlOf(name)} />`;
}
