// Source files with marked lines: SourceView({sources, failure, selected}), CodeLines({file, from, to, marks, label}).

import { classes, html, useEffect, useRef, useState } from "components/html.js";

const MOST_LINES = 400;

/** The lines `from` to `to` of a file {first, lines}. `marks` has the class of marked lines by number, `focus` is the line to scroll to. */
export function CodeLines({ file, from, to, marks, label, focus }) {
  const code = useRef(null);
  const first = Math.max(from, file.first);
  const lines = file.lines.slice(first - file.first, Math.max(to - file.first + 1, 0));
  useEffect(() => {
    if (focus === undefined) return undefined;
    const show = () => {
      const line = code.current?.querySelector(`[data-line="${focus}"]`);
      if (line) code.current.scrollTop = line.offsetTop - code.current.clientHeight / 2;
    };
    const sizes = new ResizeObserver(show); // also called now, and when the panel appears
    sizes.observe(code.current);
    return () => sizes.disconnect();
  }, [file, focus]);
  return html`
    <div class="code" tabindex="0" role="region" aria-label=${`Code: ${label}`} ref=${code} data-scrolls>
      <div class="code-lines">
        ${lines.map((text, number) => html`
          <div key=${first + number} class=${classes("code-line", marks[first + number])} data-line=${first + number}>
            <span class="line-number">${first + number}</span><code>${text || " "}</code>
          </div>
        `)}
      </div>
    </div>
  `;
}

/** The source files of a trace. The line that failed is marked, and the line of the selected event, if it has one. */
export function SourceView({ sources, failed, selected }) {
  const [chosen, setChosen] = useState(null);
  useEffect(() => setChosen(null), [selected?.file, selected?.line]);
  const wanted = [chosen && { file: chosen }, selected, failed].find((source) => source && sources.has(source.file));
  const name = wanted?.file ?? sources.keys().next().value;
  const file = sources.get(name);
  const marks = {};
  if (selected?.file === name) marks[selected.line] = "selected";
  if (failed?.file === name) marks[failed.line] = classes("failing", marks[failed.line]);
  const focus = wanted?.line ?? (failed?.file === name ? failed.line : file.first);
  return html`
    <div class="source">
      ${sources.size > 1
        ? html`
            <select class="source-file" aria-label="Source file" value=${name} onChange=${(event) => setChosen(event.target.value)}>
              ${[...sources.keys()].map((each) => html`<option key=${each} value=${each}>${each}</option>`)}
            </select>
          `
        : html`<p class="source-name">${name}</p>`}
      <${CodeLines} file=${file} from=${focus - MOST_LINES} to=${focus + MOST_LINES} marks=${marks} focus=${focus} label=${name} />
    </div>
  `;
}
