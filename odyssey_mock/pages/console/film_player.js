// A player of a film, with the interactions on its time bar. FilmPlayer({film, src}).

import { classes, html, useEffect, useRef, useState } from "components/html.js";
import { point } from "components/time_format.js";

const RATES = [0.5, 1, 2, 4];
/** Seconds that the keys of the time bar move. */
const STEP = 0.05;

/**
 * A film {id, title, width, height, seconds, events}: `events` are the lines of its event log, {timestamp_ms, type, prompt, message}.
 * `src` is the address of its video; null until it is known.
 */
export function FilmPlayer({ film, src }) {
  const video = useRef(null);
  const [at, setAt] = useState(0);
  const [isPlaying, setPlaying] = useState(false);
  const [rate, setRate] = useState(1);
  const [problem, setProblem] = useState("");
  const [isLoaded, setLoaded] = useState(false);
  const seconds = film.seconds || 0;
  useEffect(() => {
    setAt(0);
    setPlaying(false);
    setProblem("");
    setLoaded(false);
  }, [src]);
  useEffect(() => {
    if (!isPlaying) return undefined;
    // `timeupdate` comes four times a second only.
    let frame = requestAnimationFrame(function follow() {
      if (video.current) setAt(video.current.currentTime);
      frame = requestAnimationFrame(follow);
    });
    return () => cancelAnimationFrame(frame);
  }, [isPlaying]);
  const seek = (to) => {
    const next = Math.min(Math.max(to, 0), seconds);
    setAt(next);
    if (video.current) video.current.currentTime = next;
  };
  const toggle = () => {
    const { current } = video;
    if (!current.paused) return current.pause();
    if (current.ended) seek(0);
    return current.play().catch((error) => setProblem(`The film cannot be played: ${error.message}`));
  };
  const choose = (next) => {
    setRate(next);
    video.current.playbackRate = next;
  };
  const current = film.events.findLastIndex(({ timestamp_ms: time }) => time / 1000 <= at + STEP / 2);
  return html`
    <div class="film-player">
      <div class="film-picture">
        <video
          ref=${video} src=${src ?? undefined} playsinline muted preload="auto" aria-label=${`Film: ${film.title}`}
          width=${film.width} height=${film.height} onClick=${toggle}
          onLoadedData=${() => setLoaded(true)} onPlay=${() => setPlaying(true)} onPause=${() => setPlaying(false)} onSeeked=${({ target }) => setAt(target.currentTime)}
          onEnded=${() => { setPlaying(false); setAt(seconds); }}
          onError=${() => setProblem("The film cannot be loaded. A fault can cut the transfer; the timeline shows it.")}
        ></video>
        ${!isLoaded && !problem && html`<p class="film-loading" role="status">The mock makes the film. This takes about a tenth of its length.</p>`}
      </div>
      <div class="film-controls">
        <button type="button" class="film-play" aria-label=${isPlaying ? "Pause" : "Play"} disabled=${!src} onClick=${toggle}>${isPlaying ? "❚❚" : "▶"}</button>
        <div class="film-bar">
          <input
            type="range" min="0" max=${seconds} step=${STEP} value=${at} aria-label="Time" aria-valuetext=${`${point(at, 2)} of ${point(seconds, 2)}`}
            onInput=${(event) => seek(Number(event.target.value))}
          />
          <div class="film-markers">
            ${film.events.map((event, place) => html`
              <button
                key=${place} type="button" class=${classes("film-marker", `film-marker-${event.type}`, place === current && "current")}
                style=${{ left: `${seconds ? Math.min(event.timestamp_ms / 10 / seconds, 100) : 0}%` }}
                aria-label=${`${event.type} at ${point(event.timestamp_ms / 1000, 2)}${event.prompt ? `: ${event.prompt}` : ""}`}
                title=${event.prompt ?? event.type} onClick=${() => seek(event.timestamp_ms / 1000)}
              ></button>
            `)}
          </div>
        </div>
        <span class="film-time number">${point(at, 1)} / ${point(seconds, 1)}</span>
        <select aria-label="Speed" value=${rate} onChange=${(event) => choose(Number(event.target.value))}>
          ${RATES.map((each) => html`<option key=${each} value=${each}>${each}×</option>`)}
        </select>
      </div>
      ${problem && html`<p class="field-error" role="alert">${problem}</p>`}
      <ol class="film-events" aria-label="Event log">
        ${film.events.map((event, place) => html`
          <li key=${place}>
            <button type="button" class=${classes("film-event", place === current && "current")} aria-current=${place === current ? "step" : undefined} onClick=${() => seek(event.timestamp_ms / 1000)}>
              <span class="film-event-time number">${point(event.timestamp_ms / 1000, 2)}</span>
              <span class="film-event-type">${event.type}</span>
              <span class="film-event-text" dir="auto">${event.prompt ?? event.message ?? ""}</span>
            </button>
          </li>
        `)}
      </ol>
    </div>
  `;
}
