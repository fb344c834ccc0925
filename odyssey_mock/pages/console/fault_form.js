// The form that adds a fault. Its fields come from the catalog of faults.

import { classes, html, useEffect, useRef, useState } from "components/html.js";
import { FieldError, fieldOf, pointGroups, pointOf, valueOf, writtenOf } from "console/fault_catalog.js";
import { Coded } from "console/view_parts.js";

/** Return the draft of a form: what the user wrote in each field. `fault` has the first values. */
export function draftOf(catalog, fault) {
  const at = pointOf(catalog, fault?.at ?? "") ? fault.at : Object.keys(catalog.points)[0];
  const { actions, match } = pointOf(catalog, at);
  const action = fault && Object.hasOwn(actions, fault.do) ? fault.do : Object.keys(actions)[0];
  const schemas = Object.entries({ ...actions[action].parameters, ...catalog.parameters });
  return {
    at,
    do: action,
    values: Object.fromEntries(schemas.map(([name, { schema }]) => [name, writtenOf(schema, fault?.[name])])),
    match: Object.fromEntries(match.map((name) => [name, writtenOf(catalog.match[name].schema, fault?.match?.[name])])),
  };
}

/** Return the fault of a draft for the server, or the places of text that is no JSON: {fault, errors}. */
export function faultOf(catalog, draft) {
  const { actions, match } = pointOf(catalog, draft.at);
  const fault = { at: draft.at, do: draft.do };
  const conditions = {};
  const errors = {};
  const read = (place, target, name, { schema }, written) => {
    try {
      const value = valueOf(schema, written);
      if (value !== undefined) target[name] = value;
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      errors[place] = error.message;
    }
  };
  for (const [name, parameter] of Object.entries({ ...actions[draft.do].parameters, ...catalog.parameters })) {
    read(name, fault, name, parameter, draft.values[name]);
  }
  for (const name of match) read(`match.${name}`, conditions, name, catalog.match[name], draft.match[name]);
  return { fault: { ...fault, ...(Object.keys(conditions).length > 0 && { match: conditions }) }, errors };
}

/** The form. `onAdd(fault)` adds a fault, and returns a promise of an `ApiError`, or of null. `first` is the fault that is filled in. */
export function FaultForm({ catalog, first, onAdd }) {
  const [draft, setDraft] = useState(() => draftOf(catalog, first));
  const [errors, setErrors] = useState({});
  const form = useRef(null);
  useEffect(() => {
    if (!first) return undefined;
    setDraft(draftOf(catalog, first));
    setErrors({});
    // After the shell has moved to the beginning of a view that is new.
    const frame = requestAnimationFrame(() => {
      form.current.scrollIntoView({ block: "nearest" });
      form.current.querySelector("[name=do]").focus({ preventScroll: true });
    });
    return () => cancelAnimationFrame(frame);
  }, [first]);
  useEffect(() => {
    const invalid = form.current.querySelector('[aria-invalid="true"]');
    if (!invalid) return;
    const closed = invalid.closest("details");
    if (closed) closed.open = true;
    invalid.focus();
  }, [errors]);

  const point = pointOf(catalog, draft.at);
  const action = point.actions[draft.do];
  const choose = (at) => {
    const { actions } = pointOf(catalog, at);
    setDraft({ ...draft, at, do: Object.hasOwn(actions, draft.do) ? draft.do : Object.keys(actions)[0] });
    setErrors({});
  };
  const change = (part, name) => (value) => setDraft({ ...draft, [part]: { ...draft[part], [name]: value } });
  const submit = async (event) => {
    event.preventDefault();
    const { fault, errors: unreadable } = faultOf(catalog, draft);
    if (Object.keys(unreadable).length > 0) return setErrors(unreadable);
    const refused = await onAdd(fault);
    if (!refused) return setErrors({});
    const found = Object.fromEntries(refused.errors.map(({ loc, msg }) => [loc.slice(1).join("."), msg]));
    return setErrors(Object.keys(found).length > 0 ? found : { "": refused.message });
  };
  const fields = (part, parameters, prefix = "") =>
    ordered(parameters).map(([name, parameter]) => html`
      <${Field} key=${`${part} ${name} ${parameter.expected}`} name=${`${prefix}${name}`} label=${name} parameter=${parameter}
        written=${draft[part][name]} error=${errors[`${prefix}${name}`]} onWrite=${change(part, name)} />
    `);
  // An error of a field that the form does not have, such as the fault as a whole.
  const named = ["at", "do", ...Object.keys({ ...action.parameters, ...catalog.parameters }), ...point.match.map((name) => `match.${name}`)];
  const others = Object.entries(errors).filter(([place]) => !named.includes(place));
  const conditions = Object.fromEntries(point.match.map((name) => [name, catalog.match[name]]));
  const given = Object.values(draft.match).filter((written) => written !== "" && written !== undefined).length;
  return html`
    <form class="fault-form card card-body" ref=${form} noValidate onSubmit=${submit} aria-label="Add a fault">
      <${Choice} name="at" label="Where" hint=${point.means} value=${draft.at} error=${errors.at} onChoose=${choose}>
        ${pointGroups(catalog).map(({ label, options }) => html`
          <optgroup key=${label} label=${label}>${options.map(({ at }) => html`<option key=${at} value=${at}>${at}</option>`)}</optgroup>
        `)}
      <//>
      <${Choice} name="do" label="What" hint=${action.means} value=${draft.do} error=${errors.do}
        onChoose=${(name) => { setDraft({ ...draft, do: name }); setErrors({}); }}>
        ${Object.keys(point.actions).map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
      <//>
      ${fields("values", action.parameters)}
      <fieldset class="fault-often"><legend>How often</legend>${fields("values", catalog.parameters)}</fieldset>
      <details class="fault-match" open=${given > 0}>
        <summary>Only for ${given > 0 ? `(${given})` : "some requests and events"}</summary>
        <div class="fault-conditions">${fields("match", conditions, "match.")}</div>
      </details>
      ${others.map(([place, message]) => html`<p key=${place} class="field-error" role="alert"><${Coded} text=${message} /></p>`)}
      <div><button class="primary" type="submit">Add the fault</button></div>
    </form>
  `;
}

/** Return the parameters with those of JSON last: their fields are as wide as the form. */
function ordered(parameters) {
  const isWide = ([, { schema }]) => fieldOf(schema).kind === "json";
  const all = Object.entries(parameters);
  return [...all.filter((each) => !isWide(each)), ...all.filter(isWide)];
}

function Choice({ name, label, hint, value, error, onChoose, children }) {
  const id = `fault-${name}`;
  return html`
    <div class="field fault-wide">
      <label for=${id}>${label}</label>
      <select id=${id} name=${name} class="mono" value=${value} aria-invalid=${error ? "true" : undefined} aria-describedby=${`${id}-hint`} onChange=${(event) => onChoose(event.target.value)}>${children}</select>
      <span id=${`${id}-hint`} class=${error ? "field-error" : "field-hint"}><${Coded} text=${error ?? hint} /></span>
    </div>
  `;
}

/** One field of the form: its kind and range come from the JSON Schema of the parameter. */
function Field({ name, label, parameter, written, error, onWrite }) {
  const { kind, ...limits } = fieldOf(parameter.schema);
  const id = `fault-${name.replace(".", "-")}`;
  const common = { id, name, "aria-invalid": error ? "true" : undefined, "aria-describedby": `${id}-hint` };
  const usual = parameter.default === null || parameter.default === undefined ? "" : writtenOf(parameter.schema, parameter.default);
  // A number field has no value while it contains other text: the server is asked, and says what it expects.
  const onInput = ({ target }) => onWrite(target.validity.badInput ? "?" : target.value);
  const input =
    kind === "boolean" ? html`<input ...${common} type="checkbox" checked=${written === true} onChange=${({ target }) => onWrite(target.checked)} />`
    : kind === "json" ? html`<textarea ...${common} class="mono" rows="2" placeholder=${usual} value=${written ?? ""} onInput=${onInput} />`
    : kind === "number" ? html`<input ...${common} type="number" ...${limits} placeholder=${usual} value=${written ?? ""} onInput=${onInput} />`
    : html`<input ...${common} type="text" autocomplete="off" spellcheck=${false} placeholder=${usual} value=${written ?? ""} onInput=${onInput} />`;
  return html`
    <div class=${classes("field", `field-${kind}`)}>
      <label for=${id}>${label}${parameter.required && html`<span class="muted"> required</span>`}</label>
      ${input}
      <span id=${`${id}-hint`} class=${error ? "field-error" : "field-hint"}><${Coded} text=${error ?? parameter.expected} /></span>
    </div>
  `;
}
