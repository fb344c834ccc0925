// The visible part of the time axis, and the moment under the pointer. Timeline, film strip and plot share one view.

const MIN_SPAN = 0.0002;
const MARGIN = 0.015;
/** The part of the visible time that stays empty behind the latest moment while the view follows it. */
const AHEAD = 0.04;

/**
 * Create the view of an axis from `first` to `last` seconds, which shows all of it.
 *
 * The axis of a recording that continues is made longer with `extend`. While the view follows it, the latest moment stays visible.
 */
export function createView(first, last) {
  const ofRange = new Set();
  const ofHover = new Set();
  const ofFollowing = new Set();

  function move(from, to) {
    const span = Math.min(Math.max(to - from, MIN_SPAN), view.most - view.least);
    const start = Math.min(Math.max((from + to - span) / 2, view.least), view.most - span);
    if (start === view.from && start + span === view.to) return;
    view.from = start;
    view.to = start + span;
    ofRange.forEach((listener) => listener());
  }

  const view = {
    ...limitsOf(first, last),
    from: limitsOf(first, last).least,
    to: limitsOf(first, last).most,
    /** Whether the latest moment stays visible when the axis becomes longer. */
    isFollowing: false,
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
      view.follow(false);
      move(from, to);
    },

    /** Make the axis reach from `first` to `last` seconds. The visible part stays, unless the view follows the latest moment. */
    extend(first, last) {
      const { least, most } = limitsOf(first, last);
      if (least === view.least && most === view.most && last === view.last) return;
      const isWhole = view.from <= view.least && view.to >= view.most;
      Object.assign(view, { least, most, last });
      const span = view.to - view.from;
      if (view.isFollowing) move(last - span * (1 - AHEAD), last + span * AHEAD);
      else if (isWhole) move(least, most);
      else move(view.from, view.to);
      ofRange.forEach((listener) => listener());
    },

    /** Begin or end to keep the latest moment visible. */
    follow(isFollowing) {
      if (isFollowing === view.isFollowing) return;
      view.isFollowing = isFollowing;
      const span = view.to - view.from;
      if (isFollowing) move(view.last - span * (1 - AHEAD), view.last + span * AHEAD);
      ofFollowing.forEach((listener) => listener());
    },

    /** Call `listener` after each change of `isFollowing`; return a function that ends this. */
    subscribeToFollowing(listener) {
      ofFollowing.add(listener);
      return () => ofFollowing.delete(listener);
    },

    /** Move by a fraction of the visible time. */
    pan(fraction) {
      const by = (view.to - view.from) * fraction;
      view.show(view.from + by, view.to + by);
    },

    /** Zoom by `factor` around the moment `at`, which stays in its place; if the view follows the latest moment, around that. More than 1 shows more time. */
    zoom(factor, at = (view.from + view.to) / 2) {
      if (view.isFollowing) {
        move(view.to - (view.to - view.from) * factor, view.to);
        return;
      }
      const span = Math.min(Math.max((view.to - view.from) * factor, MIN_SPAN), view.most - view.least);
      const share = (at - view.from) / (view.to - view.from);
      view.show(at - span * share, at + span * (1 - share));
    },

    fit() {
      view.show(view.least, view.most);
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

/** Return the ends of an axis on which the first and the last moment have room. */
function limitsOf(first, last) {
  const margin = Math.max((last - first) * MARGIN, 0.001);
  return { first, last, least: first - margin, most: last + margin };
}
