// Times as text, and the ticks of a time axis.

const STEPS = [1, 2, 5];

/** Return the duration in seconds as text, such as `3.2 ms`, `1.234 s` or `2:05.100`. */
export function duration(seconds) {
  if (seconds < 0) return `−${duration(-seconds)}`;
  if (seconds < 0.9995) return `${Number((seconds * 1000).toPrecision(3))} ms`;
  if (seconds < 60) return `${seconds.toFixed(2)} s`;
  return clock(seconds, 1);
}

/** Return a duration that moves each second as text, such as `42 s` or `12:05 min`. */
export function longDuration(seconds) {
  const total = Math.max(Math.floor(seconds), 0);
  if (total < 60) return `${total} s`;
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)} h` : `${minutes}:${two(rest)} min`;
}

/** Return a point of the axis as text with milliseconds, such as `1.234 s` or `2:05.100`. */
export function point(seconds, digits = 3) {
  if (seconds < 0) return `−${point(-seconds, digits)}`;
  if (seconds < 60) return `${seconds.toFixed(digits)} s`;
  return clock(seconds, digits);
}

/** Return seconds as minutes and seconds, such as `2:05.100`. */
function clock(seconds, digits) {
  const unit = 10 ** digits;
  const whole = Math.round(seconds * unit);
  const minutes = Math.floor(whole / (60 * unit));
  const rest = (whole - minutes * 60 * unit) / unit;
  return `${minutes}:${rest.toFixed(digits).padStart(digits ? digits + 3 : 2, "0")}`;
}

/** Return the ticks of an axis from `from` to `to`, at most `most` of them, as {at, label}. */
export function ticks(from, to, most) {
  const span = to - from;
  if (!(span > 0) || most < 1) return [];
  const step = tickStep(span / most);
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  const found = [];
  for (let number = Math.ceil(from / step - 1e-9); number * step <= to + step * 1e-9; number++) {
    const at = number * step;
    found.push({ at, label: tickLabel(at, step, digits) });
  }
  return found;
}

/** Return the smallest round step that is at least `least` seconds: 1, 2 or 5 times a power of ten, or minutes. */
function tickStep(least) {
  for (const step of [15, 30, 60, 120, 300, 600, 1200, 1800, 3600]) {
    if (least > 10 && least <= step) return step;
  }
  const power = 10 ** Math.floor(Math.log10(least));
  for (const factor of STEPS) {
    if (least <= factor * power * (1 + 1e-9)) return factor * power;
  }
  return 10 * power;
}

function tickLabel(at, step, digits) {
  if (at >= 60 || step >= 60) return clock(at, Math.min(digits, 3));
  if (step < 1 && at < 1) return `${Math.round(at * 1e6) / 1e3} ms`;
  return `${at.toFixed(digits)} s`;
}

/** Return the number of bytes as text, such as `1.5 MB`. */
export function bytes(count) {
  if (count < 1000) return `${count} bytes`;
  if (count < 1e6) return `${(count / 1e3).toFixed(1)} kB`;
  return `${(count / 1e6).toFixed(1)} MB`;
}

/** Return the whole number as text with separators of thousands, such as `100,000`. */
export function whole(count) {
  return count.toLocaleString("en-US");
}

/** Return "1 event", "2 events". */
export function counted(count, noun) {
  return `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
}
