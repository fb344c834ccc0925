// The color theme: that of the system, light or dark.

const NEXT = { system: "dark", dark: "light", light: "system" };
const listeners = new Set();
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let chosen = "system";

prefersDark.addEventListener("change", () => listeners.forEach((listener) => listener()));

/** Return the chosen theme: `system`, `dark` or `light`. */
export function theme() {
  return chosen;
}

/** Choose the next theme, and return it. The first change is always visible. */
export function nextTheme() {
  if (chosen === "system") chosen = prefersDark.matches ? "light" : "dark";
  else chosen = (chosen === "dark") === prefersDark.matches ? NEXT[chosen] : "system";
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  listeners.forEach((listener) => listener());
  return chosen;
}

/** Call `listener` after each change of colors; return a function that ends this. */
export function onThemeChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Return the values of CSS variables by name, for drawing on a canvas. */
export function colors(...names) {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}
