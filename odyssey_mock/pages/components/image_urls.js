// Addresses of images that are in memory.

const MOST_URLS = 400;

/** Create a function that returns an address for the image of a name. Old addresses are released. */
export function createImageUrls(images) {
  const urls = new Map();
  return (name) => {
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
}
