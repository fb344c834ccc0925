// The visible part of the time axis, and the moment under the pointer. Timeline, film strip and plot share one view.

const MIN_SPAN = 0.0002;
const MARGIN = 0.015;

/** Create the view of an axis from `first` to `last` seconds, which shows all of it. */
export function createView(first, last) {
  const margin = Math.max((last - first) * MARGIN, 0.001);
  const least = first - margin;
  const most = last + margin;
  const ofRange = new Set();
  const ofHover = new Set();

  const view = {
    from: least,
    to: most,
    least,
    most,
    /** What is under the pointer: {at, index, x, y}, the moment in seconds and the index of an event or -1; or null. */
    hovered: null,

    /** Call `listener` after each change of the visible part; return a function that ends this. */
    subscribe(listener) {
      ofRange.add(listener);
      return () => ofRange.delete(listener);
    },

    /** Call `listener` after each change of `hovered`; return a function that ends this. */
    subscribeToHover(listener) {
      ofHover.add(listener);
      return () => ofHover.delete(listener);
    },

    /** Show the axis from `from` to `to`, moved and limited to the recorded time. */
    show(from, to) {
      const span = Math.min(Math.max(to - from, MIN_SPAN), most - least);
      const start = Math.min(Math.max((from + to - span) / 2, least), most - span);
      if (start === view.from && start + span === view.to) return;
      view.from = start;
      view.to = start + span;
      ofRange.forEach((listener) => listener());
    },

    /** Move by a fraction of the visible time. */
    pan(fraction) {
      const by = (view.to - view.from) * fraction;
      view.show(view.from + by, view.to + by);
    },

    /** Zoom by `factor` around the moment `at`, which stays in its place. More than 1 shows more time. */
    zoom(factor, at = (view.from + view.to) / 2) {
      const span = Math.min(Math.max((view.to - view.from) * factor, MIN_SPAN), most - least);
      const share = (at - view.from) / (view.to - view.from);
      view.show(at - span * share, at + span * (1 - share));
    },

    fit() {
      view.show(least, most);
    },

    /** Move the visible part, if necessary, so that the moment is in it. */
    reveal(at) {
      const span = view.to - view.from;
      if (at < view.from + span * 0.05 || at > view.to - span * 0.05) view.show(at - span / 2, at + span / 2);
    },

    hover(hovered) {
      if (hovered === view.hovered) return;
      view.hovered = hovered;
      ofHover.forEach((listener) => listener());
    },
  };
  return view;
}
