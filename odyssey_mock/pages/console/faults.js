// The view Faults: active faults with their counts, presets, and a form that adds faults.

import { html, useCallback, useEffect, useMemo, useRef, useState } from "components/html.js";
import { counted } from "components/time_format.js";
import { describedFault } from "console/fault_catalog.js";
import { FaultForm } from "console/fault_form.js";
import { markerOf, yamlOf } from "console/fault_text.js";
import { Badge, CopyButton, EmptyState, ErrorText, Icon, Section, ViewHeader } from "console/view_parts.js";

/** The shortest time between two requests for the counts, which change with the journal. */
const REFRESH_MS = 500;
/** The time after which the list is read again if the journal does not change: faults can be added elsewhere. */
const IDLE_MS = 3000;

/** The active faults, and what adds faults. */
export function FaultsView({ mock, api, announce, query }) {
  const { faults, error, run } = useFaults(mock, api);
  const given = query?.get("fault") ?? "";
  const first = useMemo(() => parsed(given), [given]);
  const { catalog } = mock;
  const described = useMemo(() => (faults && catalog ? faults.map((fault) => describedFault(fault, catalog)) : []), [faults, catalog]);

  const add = async (added, what) => {
    const refused = await run(() => api.post("faults", added));
    if (!refused) announce(what);
    return refused;
  };
  const remove = async (fault) => {
    if (!(await run(() => api.remove(`faults/${fault.id}`)))) announce(`${fault.id} removed`);
  };
  const clear = async () => {
    if (!(await run(() => api.remove("faults")))) announce("All faults removed");
  };
  return html`
    <${ViewHeader} title="Faults" lead="A fault makes the mock fail at one step: where, how and how often you choose.">
      <${CopyButton} text=${yamlOf(described)} what="The faults as YAML, for serve --faults" label="Copy YAML" announce=${announce} />
      <${CopyButton} text=${markerOf(described)} what="The pytest marker" label="Copy pytest marker" announce=${announce} />
      <button class="danger" disabled=${described.length === 0} onClick=${clear}>Remove all</button>
    <//>
    <${ErrorText} error=${error} />
    <${Section} title="Active faults">
      <${ActiveFaults} faults=${faults} hasFailed=${error !== null} catalog=${catalog} onRemove=${remove} />
    <//>
    ${catalog && html`
      <div class="faults-add">
        <${Section} title="Presets">
          <ul class="presets card">
            ${catalog.presets.map(({ name, means, faults: preset }) => html`
              <li key=${name}>
                <div><h3>${name}</h3><p>${means}</p></div>
                <button aria-label=${`Add ${name}`} onClick=${() => add(preset, `${name}: ${counted(preset.length, "fault")} added`)}>Add</button>
              </li>
            `)}
          </ul>
        <//>
        <${Section} title="Add a fault">
          <${FaultForm} catalog=${catalog} first=${first} onAdd=${(fault) => add(fault, `Fault added: ${fault.at} ${fault.do}`)} />
        <//>
      </div>
    `}
  `;
}

/**
 * Return the faults of the mock and what changes them: {faults, error, run}. `faults` is null until they are there.
 * `run(request)` sends a request and reads the faults again; it returns a promise of the error, or of null.
 */
function useFaults(mock, api) {
  const [faults, setFaults] = useState(null);
  const [error, setError] = useState(null);
  const wait = useRef({ timer: 0, isReading: false });

  const read = useCallback(async () => {
    if (wait.current.isReading) return;
    wait.current.isReading = true;
    try {
      setFaults((await api.get("faults")).faults);
      setError(null);
    } catch (failed) {
      setError(failed);
    } finally {
      wait.current.isReading = false;
    }
  }, [api]);
  // Entries come in bursts: the first one of a burst begins to wait, and the others wait with it.
  useEffect(() => {
    if (wait.current.timer) return;
    wait.current.timer = setTimeout(() => {
      wait.current.timer = 0;
      read();
    }, REFRESH_MS);
  }, [mock.events]);
  useEffect(() => {
    read();
    const idle = setInterval(() => document.hidden || read(), IDLE_MS);
    return () => {
      clearInterval(idle);
      clearTimeout(wait.current.timer);
      wait.current.timer = 0;
    };
  }, [read]);

  const run = async (request) => {
    try {
      await request();
      return null;
    } catch (failed) {
      return failed;
    } finally {
      await read();
    }
  };
  return { faults, error, run };
}

function parsed(text) {
  try {
    const fault = JSON.parse(text);
    return typeof fault === "object" ? fault : null;
  } catch {
    return null;
  }
}

function ActiveFaults({ faults, hasFailed, catalog, onRemove }) {
  if (faults === null && hasFailed) return null;
  if (faults === null) return html`<div class="card card-body muted">Reading the faults…</div>`;
  if (faults.length === 0) {
    return html`<${EmptyState} title="No active faults"><p>The mock behaves like a healthy service. Add a preset or a fault below, then use your app.</p><//>`;
  }
  return html`
    <ul class="fault-list card">
      ${faults.map((fault) => html`<${ActiveFault} key=${fault.id} fault=${fault} catalog=${catalog} onRemove=${onRemove} />`)}
    </ul>
  `;
}

function ActiveFault({ fault, catalog, onRemove }) {
  const { at, do: action, ...values } = catalog ? describedFault(fault, catalog) : fault;
  const label = `${fault.id}, ${at} ${action}`;
  return html`
    <li>
      <div class="fault-what">
        <p class="fault-title"><span class="mono">${at}</span> <strong>${action}</strong> <span class="fault-values">${valuesText(values)}</span></p>
        <p class="fault-why">${fault.why_not ?? `matched ${timesText(fault.passed)} of ${fault.reached}`}</p>
      </div>
      <${FiredBadge} fault=${fault} />
      <button class="quiet icon" aria-label=${`Remove ${label}`} title="Remove" onClick=${() => onRemove(fault)}><${Icon} name="close" /></button>
    </li>
  `;
}

function FiredBadge({ fault }) {
  if (fault.spent) return html`<${Badge}>Fired ${timesText(fault.fired)}, spent<//>`;
  if (fault.fired > 0) return html`<${Badge} tone="warn">Fired ${timesText(fault.fired)}<//>`;
  return html`<${Badge} tone="busy">Waiting<//>`;
}

function timesText(count) {
  return count === 1 ? "once" : `${count} times`;
}

/** Return the values of a fault as text, such as `status=503, times=3`. */
function valuesText({ match, ...values }) {
  const parts = Object.entries({ ...values, ...match }).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return parts.join(", ");
}
