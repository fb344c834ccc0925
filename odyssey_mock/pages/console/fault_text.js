// Faults as YAML for `odyssey-mock serve --faults FILE`, and as a marker of pytest.

import { escaped } from "components/json_text.js";
import { pythonOf } from "console/python_text.js";

/** Return faults as a YAML file. Strings are in double quotes, whose escapes are those of JSON. */
export function yamlOf(faults) {
  if (faults.length === 0) return "[]\n";
  return faults.map((fault) => `${Object.entries(fault).map(([name, value], number) => `${number ? "  " : "- "}${name}: ${yamlValue(value)}\n`).join("")}`).join("");
}

function yamlValue(value) {
  if (Array.isArray(value)) return `[${value.map(yamlValue).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value).map(([name, each]) => `${yamlValue(name)}: ${yamlValue(each)}`).join(", ")}}`;
  }
  const text = JSON.stringify(value);
  // Parsers of YAML 1.1 read 1e-7 as a string, and refuse some characters unless they are escaped.
  if (typeof value === "number") return text.replace(/^(-?\d+)e/, "$1.0e");
  return text.replace(/[\u007f-\u00a0\u2028\u2029\ufeff\ufffe\uffff]/g, escaped);
}

/** Return faults as a marker for a test. */
export function markerOf(faults) {
  if (faults.length === 0) return "@pytest.mark.odyssey(faults=[])\n";
  return `@pytest.mark.odyssey(\n    faults=[\n${faults.map((fault) => `        ${pythonOf(fault)},\n`).join("")}    ]\n)\n`;
}
