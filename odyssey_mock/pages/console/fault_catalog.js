// The catalog of faults (`GET /_mock/faults/catalog`) for forms: points and groups of points, and values of their fields.

/** Return the points by the first part of their names: [{label, options: [{at, means}]}]. Groups such as `rest.*` come first. */
export function pointGroups(catalog) {
  const names = Object.keys(catalog.points);
  const families = new Map();
  for (const at of names) {
    const family = at.split(".")[0];
    if (!families.has(family)) families.set(family, []);
    families.get(family).push({ at, means: catalog.points[at].means });
  }
  for (const [family, options] of families) {
    const prefixes = new Set(options.flatMap(({ at }) => prefixesOf(at)));
    const groups = [...prefixes].map((prefix) => `${prefix}.*`).filter((at) => membersOf(catalog, at).length > 1 && pointOf(catalog, at));
    families.set(family, [...groups.map((at) => ({ at, means: meansOf(catalog, at) })), ...options]);
  }
  return [...families].map(([label, options]) => ({ label, options }));
}

function prefixesOf(at) {
  const parts = at.split(".");
  return parts.slice(1).map((_, number) => parts.slice(0, number + 1).join("."));
}

function membersOf(catalog, at) {
  return Object.keys(catalog.points).filter((name) => name.startsWith(at.slice(0, -1)));
}

function meansOf(catalog, at) {
  return `any of the ${membersOf(catalog, at).length} points ${at}`;
}

/**
 * Return {means, actions, match} of a point, or of a group such as `rest.*`: what all of its points have in common. Return null
 * if there is no such point, or if the points of the group have no action in common.
 */
export function pointOf(catalog, at) {
  if (typeof at !== "string") return null;
  if (!at.endsWith(".*")) return Object.hasOwn(catalog.points, at) ? catalog.points[at] : null;
  const points = membersOf(catalog, at).map((name) => catalog.points[name]);
  if (points.length === 0) return null;
  const actions = Object.entries(points[0].actions).filter(([name]) => points.every((point) => name in point.actions));
  if (actions.length === 0) return null;
  const match = points[0].match.filter((name) => points.every((point) => point.match.includes(name)));
  return { means: meansOf(catalog, at), actions: Object.fromEntries(actions), match };
}

/** Return the kind of field of a JSON Schema, and its attributes: {kind, min, max, step}. `kind`: boolean, number, text or json. */
export function fieldOf(schema) {
  const own = schema.anyOf ? schema.anyOf.find(({ type }) => type !== "null") : schema;
  if (own.type === "boolean") return { kind: "boolean" };
  if (own.type === "string") return { kind: "text" };
  if (own.type === "integer" || own.type === "number") {
    return { kind: "number", min: own.minimum, max: own.maximum, step: own.type === "integer" ? (own.multipleOf ?? 1) : "any" };
  }
  return { kind: "json" };
}

/** What the user wrote is not the JSON that it begins to be. */
export class FieldError extends Error {}

/**
 * Return the value of a field for the server, from what the user wrote: undefined if nothing. The server judges it.
 *
 * Raises `FieldError` for text that begins as JSON and is none. Other text of a JSON field is a string.
 */
export function valueOf(schema, written) {
  const { kind } = fieldOf(schema);
  if (kind === "boolean") return written === true || written === "true" ? true : undefined;
  const text = String(written ?? "");
  if (text === "") return undefined;
  if (kind === "text") return text;
  if (kind === "number") return Number.isFinite(Number(text)) ? Number(text) : text;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (/^\s*[[{"]/.test(text)) throw new FieldError(`expected JSON: ${error.message}`);
    return text;
  }
}

/** Return what a field shows of a value: the opposite of `valueOf`. */
export function writtenOf(schema, value) {
  const { kind } = fieldOf(schema);
  if (kind === "boolean") return value === true;
  if (value === undefined || value === null) return "";
  if (kind !== "json") return String(value);
  return typeof value === "string" && !/^\s*[[{"]/.test(value) && !isJson(value) ? value : JSON.stringify(value);
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Return a fault of the mock as one that a user would write: without id, counts, and values that are the defaults. */
export function describedFault(fault, catalog) {
  const parameters = pointOf(catalog, fault.at)?.actions[fault.do]?.parameters ?? {};
  const kept = Object.entries({ ...parameters, ...catalog.parameters }).filter(
    ([name, { required, default: usual }]) => required || (fault[name] ?? null) !== null && JSON.stringify(fault[name]) !== JSON.stringify(usual),
  );
  return {
    at: fault.at,
    do: fault.do,
    ...Object.fromEntries(kept.map(([name]) => [name, fault[name]])),
    ...(Object.keys(fault.match ?? {}).length > 0 && { match: fault.match }),
  };
}
