// Parts of a page of panels: a splitter above them, tabs in place of columns, and whether the page is narrow.

import { html, useEffect, useState } from "components/html.js";

const NARROW = matchMedia("(max-width: 859px)");

/** Return whether the page is so narrow that it shows one panel at a time. */
export function useNarrow() {
  const [isNarrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const update = () => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", update);
    return () => NARROW.removeEventListener("change", update);
  }, []);
  return isNarrow;
}

/** Tabs that choose one of the panels {name, label}. */
export function Tabs({ panels, chosen, onChoose }) {
  const onKeyDown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const place = panels.findIndex(({ name }) => name === chosen);
    const next = panels[(place + step + panels.length) % panels.length].name;
    onChoose(next);
    event.currentTarget.querySelector(`[data-tab="${next}"]`).focus();
  };
  return html`
    <div class="tabs" role="tablist" aria-label="Views" onKeyDown=${onKeyDown}>
      ${panels.map(({ name, label }) => html`
        <button key=${name} role="tab" data-tab=${name} aria-selected=${name === chosen} tabindex=${name === chosen ? 0 : -1} onClick=${() => onChoose(name)}>${label}</button>
      `)}
    </div>
  `;
}

/** The line between the time axis and the panels. It is moved with the pointer or the arrow keys. */
export function Splitter({ root }) {
  const [share, setShare] = useState(48);
  const set = (value) => {
    const next = Math.min(Math.max(Math.round(value), 20), 80);
    setShare(next);
    root.current.style.setProperty("--time-share", next);
  };
  const shareAt = (event) => {
    const top = root.current.querySelector(".time-panel").getBoundingClientRect().top;
    return ((event.clientY - top) / innerHeight) * 100;
  };
  const onKeyDown = (event) => {
    const step = { ArrowUp: -4, ArrowDown: 4 }[event.key];
    if (!step) return;
    event.preventDefault();
    set(share + step);
  };
  return html`
    <div
      class="splitter" role="separator" tabindex="0" aria-orientation="horizontal" aria-label="Height of the timeline"
      aria-valuenow=${share} aria-valuemin="20" aria-valuemax="80" onKeyDown=${onKeyDown}
      onPointerDown=${(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove=${(event) => event.currentTarget.hasPointerCapture(event.pointerId) && set(shareAt(event))}
    ></div>
  `;
}
