// The film strip: thumbnails of the video at their times. FilmStrip({tracks, view, FrameImage, selected}).

import { useWidth } from "components/drawing.js";
import { classes, html, useRef } from "components/html.js";
import { lastAtOrBefore } from "components/trace_model.js";

const HEIGHTS = [0, 60, 44, 34, 28];
const MOST_TRACKS = 5;
const NARROWEST = 52;

/** Thumbnails of each stream, of five at most. `tracks` are those of trace_model.js, `FrameImage({name, ...attributes})` is the `<img>` of a frame. */
export function FilmStrip({ tracks: all, view, FrameImage, selected }) {
  const tracks = all.slice(0, MOST_TRACKS);
  const plot = useRef(null);
  const width = useWidth(plot, view);
  const height = HEIGHTS[Math.min(tracks.length, HEIGHTS.length - 1)];
  return html`
    <div class="track film" aria-hidden="true">
      <div class="gutter">
        ${tracks.map((track, place) => html`
          <div class="film-label" key=${place} style=${{ height: `${height}px` }}>${tracks.length > 1 ? track.label : "Video"}</div>
        `)}
        ${all.length > MOST_TRACKS && html`<div class="film-more" title="Filter by session to see them">${all.length - MOST_TRACKS} more</div>`}
      </div>
      <div class="plot" data-plot="film" ref=${plot} style=${{ height: `${height * tracks.length}px` }}>
        ${tracks.map((track, place) => thumbnailsOf(track, view, width, height).map((shown) => html`
          <${FrameImage}
            key=${`${place} ${shown.name}`}
            name=${shown.name}
            class=${classes("thumbnail", shown.index === selected && "selected")}
            alt=""
            draggable=${false}
            data-index=${shown.index}
            style=${{ left: `${shown.left}px`, top: `${place * height + 2}px`, width: `${shown.width}px`, height: `${height - 4}px` }}
          />
        `))}
      </div>
    </div>
  `;
}

/**
 * Return the thumbnails that have room: {name, index, left, width} in pixels.
 *
 * If there are too many frames, one of 2, 4, 8, ... is shown, counted from the first frame of the stream, so that
 * thumbnails stay when the view moves.
 */
function thumbnailsOf(track, view, width, height) {
  if (width === 0) return [];
  const scale = width / (view.to - view.from);
  const widest = (height - 4) * Math.max(...track.ratios.slice(0, 50));
  const narrowest = Math.min(NARROWEST, widest);
  const spacing = ((track.at.at(-1) - track.at[0]) / Math.max(track.at.length - 1, 1)) * scale;
  const stride = spacing > 0 ? 2 ** Math.max(Math.ceil(Math.log2(narrowest / spacing)), 0) : 1;
  const first = Math.max(lastAtOrBefore(track.at, view.from - widest / scale), 0);
  const found = [];
  for (let place = Math.ceil(first / stride) * stride; place < track.at.length && track.at[place] <= view.to; place += stride) {
    const left = (track.at[place] - view.from) * scale;
    const before = found.at(-1);
    if (before && left - before.left < narrowest / 2) continue;
    if (before) before.width = Math.min(before.width, left - before.left - 2);
    found.push({ name: track.names[place], index: track.indices[place], left, width: (height - 4) * track.ratios[place] });
  }
  return found;
}
