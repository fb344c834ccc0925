// Pan and zoom of the time axis with the mouse, the wheel and touch.

import { useEffect, useRef } from "components/html.js";

const CLICK_PIXELS = 4;
const WHEEL_ZOOM = 0.0016;

/**
 * Let the pointer move and zoom `view` in the elements with `data-plot` below `ref`, which may scroll vertically in `scroller`.
 *
 * A drag moves the view, the wheel zooms around the pointer, a horizontal wheel or one with Shift moves, two fingers zoom.
 * `onHover({plot, at, x, y, offset})` is called when the pointer moves, `onTap` for a click; `onLeave()` when the pointer leaves.
 */
export function usePanZoom(ref, scroller, view, { onHover, onLeave, onTap }) {
  const handlers = useRef({});
  handlers.current = { onHover, onLeave, onTap };
  useEffect(() => {
    const element = ref.current;
    const pointers = new Map();
    let drag = null;

    /** Return where an event of the pointer is on the time axis; null outside of the plots. */
    const placeOf = (event) => {
      const target = document.elementFromPoint(event.clientX, event.clientY);
      const plot = target?.closest("[data-plot]");
      if (!plot || !element.contains(plot)) return null;
      const box = plot.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      const isOverview = plot.dataset.plot === "overview";
      const [from, to] = isOverview ? [view.least, view.most] : [view.from, view.to];
      return {
        plot: plot.dataset.plot,
        at: from + share * (to - from),
        secondsPerPixel: (to - from) / box.width,
        x: event.clientX,
        y: event.clientY,
        offset: event.clientY - box.top,
        target,
      };
    };

    const down = (event) => {
      const place = placeOf(event);
      if (!place || event.button !== 0) return;
      pointers.set(event.pointerId, event);
      element.setPointerCapture(event.pointerId);
      drag = { place, from: view.from, to: view.to, top: scroller.current?.scrollTop ?? 0, moved: false, ...startOf(pointers) };
      if (place.plot === "overview") centerOn(view, place.at);
    };
    const move = (event) => {
      if (!drag) {
        const place = placeOf(event);
        if (place && event.pointerType !== "touch") handlers.current.onHover(place);
        else handlers.current.onLeave();
        return;
      }
      pointers.set(event.pointerId, event);
      const now = startOf(pointers);
      if (Math.hypot(now.x - drag.x, now.y - drag.y) > CLICK_PIXELS || pointers.size > 1) drag.moved = true;
      if (!drag.moved) return;
      handlers.current.onLeave();
      if (drag.place.plot === "overview") {
        centerOn(view, drag.place.at + (now.x - drag.x) * drag.place.secondsPerPixel);
        return;
      }
      const factor = pointers.size > 1 ? drag.distance / Math.max(now.distance, 1) : 1;
      const perPixel = drag.place.secondsPerPixel * factor;
      const left = drag.place.at - (drag.place.at - drag.from) * factor - (now.x - drag.x) * perPixel;
      view.show(left, left + (drag.to - drag.from) * factor);
      if (scroller.current) scroller.current.scrollTop = drag.top - (now.y - drag.y);
    };
    const up = (event) => {
      pointers.delete(event.pointerId);
      if (!drag) return;
      if (pointers.size > 0) {
        drag = { ...drag, from: view.from, to: view.to, ...startOf(pointers) };
        return;
      }
      const { moved, place } = drag;
      drag = null;
      if (!moved && event.type === "pointerup") handlers.current.onTap(place);
    };
    const wheel = (event) => {
      const place = placeOf(event);
      if (!place) return;
      event.preventDefault();
      const unit = event.deltaMode === 1 ? 18 : 1;
      const horizontal = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        view.pan((horizontal * unit) / element.clientWidth);
      } else {
        view.zoom(Math.exp(event.deltaY * unit * WHEEL_ZOOM * (event.ctrlKey ? 5 : 1)), place.at);
      }
      // The pointer has not moved, but another moment may be under it.
      const now = placeOf(event);
      if (now && !drag) handlers.current.onHover(now);
    };
    const leave = () => handlers.current.onLeave();

    const listeners = [["pointerdown", down], ["pointermove", move], ["pointerup", up], ["pointercancel", up], ["pointerleave", leave]];
    for (const [name, listener] of listeners) element.addEventListener(name, listener);
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      for (const [name, listener] of listeners) element.removeEventListener(name, listener);
      element.removeEventListener("wheel", wheel);
    };
  }, [view]);
}

/** Return the middle of the pointers, and the distance between the first two. */
function startOf(pointers) {
  const [one, other = one] = [...pointers.values()];
  return {
    x: (one.clientX + other.clientX) / 2,
    y: (one.clientY + other.clientY) / 2,
    distance: Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY),
  };
}

function centerOn(view, at) {
  const half = (view.to - view.from) / 2;
  view.show(at - half, at + half);
}
