// The keys of the viewer.

import { TRACE_KEYS } from "components/keyboard.js";

export const KEYS = [
  ...TRACE_KEYS,
  { keys: ["t"], does: "Light or dark", command: "theme" },
  { keys: ["o"], does: "Open another file", command: "open" },
  { keys: ["?"], does: "Show this help", command: "help" },
];
