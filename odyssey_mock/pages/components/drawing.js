// Hooks for components that draw the visible part of the time axis again when it changes.

import { useEffect, useLayoutEffect, useRef, useState } from "components/html.js";
import { onThemeChange } from "components/theme.js";

/** Call `draw` once per animation frame at most: after changes of the view, the size of the element, the theme, or `inputs`. */
export function useRedraw(ref, view, draw, inputs) {
  const latest = useRef(draw);
  latest.current = draw;
  const request = useRef(() => {});
  useLayoutEffect(() => {
    let frame = 0;
    const run = () => {
      frame = 0;
      if (ref.current) latest.current();
    };
    request.current = () => {
      frame ||= requestAnimationFrame(run);
    };
    const sizes = new ResizeObserver(request.current);
    sizes.observe(ref.current);
    const ends = [view.subscribe(request.current), onThemeChange(request.current), () => sizes.disconnect()];
    run();
    return () => {
      cancelAnimationFrame(frame);
      ends.forEach((end) => end());
    };
  }, [view]);
  useEffect(() => request.current(), inputs);
}

/** Draw on a canvas with `draw(context, width, height)` in CSS pixels; see `useRedraw`. */
export function useCanvas(ref, view, draw, inputs) {
  useRedraw(
    ref,
    view,
    () => {
      const canvas = ref.current;
      const { clientWidth: width, clientHeight: height } = canvas;
      const ratio = window.devicePixelRatio || 1;
      if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
      if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      if (width > 0) draw(context, width, height);
    },
    inputs,
  );
}

/** Render the component again after changes of the view or of the element's width, and return the width in pixels. */
export function useWidth(ref, view) {
  const [state, setState] = useState({ width: 0 });
  useRedraw(ref, view, () => setState({ width: ref.current.clientWidth }), []);
  return state.width;
}
