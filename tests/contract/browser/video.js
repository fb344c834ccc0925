// What the browser shows of a video.

// Return the next frame that the browser presents, and the upper `part` of its picture: a whole one takes 20 ms to encode.
export async function nextFrame(video, part = 1) {
  const presented = await new Promise((resolve) => video.requestVideoFrameCallback((_, metadata) => resolve(metadata)));
  const canvas = document.createElement("canvas");
  canvas.width = presented.width;
  canvas.height = Math.ceil(presented.height * part);
  canvas.getContext("2d").drawImage(video, 0, 0);
  return { width: presented.width, height: presented.height, mediaTime: presented.mediaTime, png: canvas.toDataURL("image/png") };
}
