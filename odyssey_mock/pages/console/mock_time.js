// The time of the mock's clock between two states that it sends.

import { useEffect, useState } from "components/html.js";

/** Return the seconds of the mock's clock that have passed since `mock.state` arrived; 0 for a clock that stands still. */
function sinceState(mock) {
  const { clock } = mock.state;
  if (clock.kind === "manual" || clock.paused || mock.connection !== "open") return 0;
  return ((performance.now() - mock.stateAt) / 1000) * (clock.speed ?? 1);
}

/** Return the time of the mock's clock now, in seconds since 1970. */
export function timeOf(mock) {
  return mock.state.clock.time + sinceState(mock);
}

/** Return how many seconds are left of a deadline of `mock.state`; 0 if it is due. */
export function secondsLeft(mock, deadline) {
  return Math.max(deadline.in_seconds - sinceState(mock), 0);
}

/** Return how the clock moves, such as `real time` or `60× real time`. */
export function paceOf({ kind, speed, paused }) {
  if (paused || speed === 0) return "paused";
  if (kind === "manual") return "manual";
  return speed === null || speed === 1 ? "real time" : `${speed}× real time`;
}

/** Render the component each second, or after `milliseconds`, so that what it shows of the clock moves. */
export function useTicks(milliseconds = 1000) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((number) => number + 1), milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds]);
}

/** Return a time of the mock's clock as the day and time of UTC, such as `2026-05-01 12:00:00`. */
export function dayTime(seconds) {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "–" : date.toISOString().slice(0, 19).replace("T", " ");
}
