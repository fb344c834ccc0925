// The upper half of the page: overview, film strip, ruler, lanes and statistics on one time axis.

import { FilmStrip } from "components/film_strip.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "components/html.js";
import { nearestInRow } from "components/lane_rows.js";
import { usePanZoom } from "components/pan_zoom.js";
import { StatsPlot } from "components/stats_plot.js";
import { counted, point } from "components/time_format.js";
import { Lanes, Overview, Ruler } from "components/timeline.js";
import { framesAt, LANE_LABELS, lastAtOrBefore, summaryOf, tracksOf } from "components/trace_model.js";

const REACH_PIXELS = 7;

/** The time axis of a trace. `rows`, `shown`, `tracks` and `peers` are what passes the filter; `onSelect(index)` is called for a click. */
export function TimePanel({ model, rows, shown, errors, tracks, peers, view, selected, FrameImage, onSelect }) {
  const panel = useRef(null);
  const scroller = useRef(null);
  const [chosen, setChosen] = useState(0);
  const peer = peers[Math.min(chosen, peers.length - 1)];
  useEffect(() => {
    const measure = () => {
      if (!scroller.current) return;
      const { offsetWidth, clientWidth } = scroller.current;
      panel.current.style.setProperty("--scrollbar", `${offsetWidth - clientWidth}px`);
    };
    const sizes = new ResizeObserver(measure);
    sizes.observe(scroller.current);
    sizes.observe(scroller.current.firstElementChild);
    return () => sizes.disconnect();
  }, []);
  usePanZoom(panel, scroller, view, {
    onHover: (place) => view.hover({ ...place, index: eventAt(place, rows, peer) }),
    onLeave: () => view.hover(null),
    onTap: (place) => {
      const index = eventAt(place, rows, peer);
      if (index >= 0) onSelect(index);
    },
  });
  return html`
    <section class="time-panel" aria-label="Timeline" ref=${panel}>
      <p class="visually-hidden">
        ${counted(shown.length, "event")} on a time axis. The list of events below has the same events as text. Press ? for the keys.
      </p>
      <${Overview} events=${model.events} shown=${shown} view=${view} errors=${errors} />
      ${tracks.length > 0 && html`<${FilmStrip} tracks=${tracks} view=${view} FrameImage=${FrameImage} selected=${selected} />`}
      <${Ruler} view=${view} />
      <div class="lanes-scroller" ref=${scroller} tabindex="0" role="group" aria-label="Lanes">
        <${Lanes} rows=${rows} events=${model.events} view=${view} selected=${selected} />
        ${peer && html`<${StatsPlot} peers=${peers} peer=${peer} onChoose=${setChosen} view=${view} />`}
      </div>
      <${Hovered} panel=${panel} model=${model} tracks=${tracks} view=${view} FrameImage=${FrameImage} />
    </section>
  `;
}

/** Return the index of the event under the pointer; -1 if there is none. `peer` is the one whose statistics are plotted. */
function eventAt(place, rows, peer) {
  if (place.plot === "film") return Number(place.target.dataset.index ?? -1);
  if (place.plot === "stats" && peer) {
    const nearest = lastAtOrBefore(peer.at, place.at);
    return nearest < 0 ? -1 : peer.indices[nearest];
  }
  if (place.plot !== "lanes") return -1;
  const row = rows.find(({ top, height }) => place.offset >= top && place.offset < top + height);
  if (!row) return -1;
  const level = Math.min(Math.max(Math.floor((place.offset - row.top - row.padding) / row.levelHeight), 0), row.levels - 1);
  const nearest = nearestInRow(row, level, place.at, place.secondsPerPixel * REACH_PIXELS);
  return nearest < 0 ? -1 : row.indices[nearest];
}

/** The line under the pointer, and a card with the time, the video and the event of that moment. */
function Hovered({ panel, model, tracks, view, FrameImage }) {
  const [hovered, setHovered] = useState(null);
  const card = useRef(null);
  useEffect(() => {
    let frame = 0;
    const end = view.subscribeToHover(() => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setHovered(view.hovered);
      });
    });
    return () => {
      cancelAnimationFrame(frame);
      end();
    };
  }, [view]);
  useLayoutEffect(() => {
    if (!hovered || !card.current) return;
    const { offsetWidth: width, offsetHeight: height } = card.current;
    const below = hovered.y + 18;
    const left = Math.min(Math.max(hovered.x + 14, 8), innerWidth - width - 8);
    const top = below + height < innerHeight - 8 ? below : Math.max(hovered.y - height - 14, 8);
    card.current.style.transform = `translate(${left}px, ${top}px)`;
  }, [hovered]);
  if (!hovered || hovered.plot === "overview") return null;
  const box = panel.current.getBoundingClientRect();
  const event = hovered.index >= 0 ? model.events[hovered.index] : null;
  const frames = framesAt(event ? tracksOf(tracks, event) : tracks, hovered.at).slice(0, 3);
  return html`
    <div class="hover-line" aria-hidden="true" style=${{ left: `${hovered.x - box.left}px` }}></div>
    <div class="hover-card" aria-hidden="true" ref=${card}>
      ${frames.length > 0 && html`
        <div class="hover-frames">${frames.map((frame) => html`<${FrameImage} key=${frame.label} name=${frame.name} alt="" />`)}</div>
      `}
      <div class="hover-text">
        <span class="time">${point(hovered.at)}</span>
        ${event && html`<span class="hover-lane">${LANE_LABELS[event.lane]}</span> <span class="hover-name">${event.name}</span>`}
        ${event && !event.error && summaryOf(event) && html`<div class="hover-summary">${summaryOf(event)}</div>`}
        ${event?.error && html`<div class="hover-error">${event.error}</div>`}
      </div>
    </div>
  `;
}
