// The settings of the mock: all with description and default; those that can change while it runs are editable.

import { classes, html, useEffect, useMemo, useRef, useState } from "components/html.js";
import { counted } from "components/time_format.js";
import { Coded, EmptyState, Section } from "console/view_parts.js";

const BOOLEAN = "True or False";
/** A setting with named values: `'real' or 'manual'`. */
const CHOICES = /^'[\w.-]+'(?:(?:, | or )'[\w.-]+')*$/;
const PERMITS_NONE = /\bNone\b/;

/** Return the value of a setting as text to edit. */
function textOf(value) {
  if (value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Return the value that a text stands for: nothing is null if the setting permits it, JSON is its value, all else is text. */
function valueOf(text, { expected }) {
  const trimmed = text.trim();
  if ((trimmed === "" || /^(none|null)$/i.test(trimmed)) && PERMITS_NONE.test(expected)) return null;
  try {
    return JSON.parse(trimmed);
  } catch {
    return trimmed;
  }
}

function isSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Every setting. `focused` is the name of one that is shown and marked. */
export function SettingsView({ mock, api, announce, focused }) {
  const [text, setText] = useState("");
  const [isOnlyChanged, setOnlyChanged] = useState(false);
  const { settings } = mock;
  const groups = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    const found = new Map();
    for (const [name, setting] of Object.entries(settings ?? {})) {
      const isFound = !wanted || `${name} ${setting.description} ${setting.group}`.toLowerCase().includes(wanted);
      if (!isFound || (isOnlyChanged && isSame(setting.value, setting.default))) continue;
      found.set(setting.group, [...(found.get(setting.group) ?? []), name]);
    }
    // First what can be changed here: the groups, and the settings of a group.
    const isFixed = (name) => (settings[name].changeable ? 0 : 1);
    for (const names of found.values()) names.sort((one, other) => isFixed(one) - isFixed(other));
    return [...found].sort(([, [one]], [, [other]]) => isFixed(one) - isFixed(other));
  }, [settings, text, isOnlyChanged]);
  if (!settings) return html`<${Section} title="Settings"><p class="muted" role="status">Loading the settings…</p><//>`;
  const count = groups.reduce((sum, [, names]) => sum + names.length, 0);
  return html`
    <${Section} title="Settings" class="settings" actions=${html`
      <label class="check"><input type="checkbox" checked=${isOnlyChanged} onChange=${(event) => setOnlyChanged(event.target.checked)} /> Changed</label>
      <input type="search" class="search" placeholder="Find a setting" aria-label="Find a setting" value=${text} onInput=${(event) => setText(event.target.value)} />
    `}>
      <p class="visually-hidden" aria-live="polite">${text ? counted(count, "setting") : ""}</p>
      ${groups.length === 0 && html`<${EmptyState} title=${isOnlyChanged && !text ? "Every setting has its default." : "No setting has this text."}><button type="button" onClick=${() => { setText(""); setOnlyChanged(false); }}>Show all</button><//>`}
      ${groups.map(([group, names]) => html`
        <section key=${group} class="setting-group" aria-label=${group}>
          <h3>${group}</h3>
          <div class="card">
            ${names.map((name) => html`<${Setting} key=${name} name=${name} setting=${settings[name]} api=${api} announce=${announce} isFocused=${name === focused} />`)}
          </div>
        </section>
      `)}
    <//>
  `;
}

function Setting({ name, setting, api, announce, isFocused }) {
  const { value, default: usual, expected, changeable, applies, description } = setting;
  const [edited, setEdited] = useState(null);
  const [problem, setProblem] = useState("");
  const row = useRef(null);
  useEffect(() => {
    if (!isFocused) return undefined;
    // After the shell, which begins a view at its heading.
    const frame = requestAnimationFrame(() => {
      row.current.scrollIntoView({ block: "center" });
      row.current.querySelector("input, select")?.focus({ preventScroll: true });
    });
    return () => cancelAnimationFrame(frame);
  }, [isFocused]);
  const save = async (next) => {
    setProblem("");
    try {
      await api.post("settings", { [name]: next });
      setEdited(null);
      announce(`${name} is changed`);
    } catch (error) {
      setProblem(error.message);
    }
  };
  const isChanged = !isSame(value, usual);
  const id = `setting-${name}`;
  const described = `${id}-about ${id}-problem`;
  return html`
    <div class=${classes("setting", isFocused && "focused", isChanged && "changed")} ref=${row} data-setting=${name}>
      <div class="setting-about" id=${`${id}-about`}>
        <label class="mono setting-name" for=${changeable ? id : undefined}>${name}</label>
        <p class="setting-text"><${Coded} text=${description} /></p>
        <p class="field-hint">
          Default: <span class="mono">${shownOf(usual)}</span>
          ${changeable && applies !== "at once" ? ` · applies to ${applies}` : ""}${changeable ? "" : " · set when the mock starts"}
        </p>
      </div>
      <div class="setting-value">
        ${!changeable
          ? html`<span class="mono setting-fixed">${shownOf(value)}</span>`
          : expected === BOOLEAN
            ? html`<input type="checkbox" role="switch" id=${id} class="switch" checked=${value} aria-describedby=${described} onChange=${(event) => save(event.target.checked)} />`
            : CHOICES.test(expected)
              ? html`
                  <select id=${id} value=${value} aria-describedby=${described} onChange=${(event) => save(event.target.value)}>
                    ${expected.match(/[\w.-]+(?=')/g).map((choice) => html`<option key=${choice} value=${choice}>${choice}</option>`)}
                  </select>
                `
              : html`
                  <form class="setting-form" onSubmit=${(event) => { event.preventDefault(); save(valueOf(edited ?? textOf(value), setting)); }}>
                    <input
                      type="text" id=${id} class="mono" value=${edited ?? textOf(value)} placeholder=${PERMITS_NONE.test(expected) ? "none" : ""} autocomplete="off" spellcheck=${false}
                      aria-invalid=${problem !== ""} aria-describedby=${described}
                      onInput=${(event) => { setEdited(event.target.value); setProblem(""); }}
                      onKeyDown=${(event) => { if (event.key === "Escape") { setEdited(null); setProblem(""); } }}
                    />
                    <button type="submit" disabled=${edited === null || edited === textOf(value)}>Save</button>
                  </form>
                `}
        ${changeable && isChanged && html`<button type="button" class="link" onClick=${() => save(usual)}>Back to the default</button>`}
        <p class="field-error" id=${`${id}-problem`} role=${problem ? "alert" : undefined}><${Coded} text=${problem} /></p>
      </div>
    </div>
  `;
}

function shownOf(value) {
  if (value === null) return "none";
  if (value === true || value === false) return value ? "on" : "off";
  return textOf(value) || "empty";
}
