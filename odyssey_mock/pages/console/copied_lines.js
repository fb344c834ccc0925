// An entry of the journal as a line for other tools: a request for curl, an assertion for pytest, a fault at this point.

import { argumentsOf } from "console/python_text.js";

const MASK = "***";
/** Paths of requests that need no access token. */
const OPEN_PATHS = /^\/(auth\/token|ping\/|signaling\/|broadcast\/|config$|artifacts\/|openapi\.json$)/;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
/** Characters of a message above which the assertion has only its name: it would not be readable. */
const LONGEST_MESSAGE = 300;
/** The parameters of `mock.expect` itself. */
const PARAMETERS = ["name", "kind", "count", "since"];

/**
 * Return a command that repeats the request of an event; null if it is no request, or if the journal does not have all of it.
 * The journal masks secrets, so the command has the key of the mock, and gets an access token of its own.
 */
export function curlOf({ lane, data }, { serviceUrl, apiKey }) {
  if (lane !== "http" || !METHODS.has(data.method) || typeof data.url !== "string" || !apiKey) return null;
  const body = data.request?.body ?? null;
  const isToken = data.url === "/auth/token" && body !== null && typeof body === "object";
  const sent = isToken ? { ...body, api_key: apiKey } : body;
  const query = queryOf(data.query);
  const json = sent === null ? "" : JSON.stringify(sent);
  const isComplete = (typeof sent === "object" || sent === null) && !/"omitted":"\d+ characters of JSON"/.test(json);
  if (!isComplete || [data.url, query, json].some((part) => part.includes(MASK))) return null;
  const parts = ["curl"];
  if (data.method === "HEAD") parts.push("--head");
  else if (data.method !== (sent === null ? "GET" : "POST")) parts.push(`-X ${data.method}`);
  parts.push(quoted(`${serviceUrl}${data.url}${query}`));
  if (!OPEN_PATHS.test(data.url)) parts.push(`-H "Authorization: Bearer $(${tokenCommand(serviceUrl, apiKey)})"`);
  if (sent !== null) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(json)}`);
  return parts.join(" ");
}

function tokenCommand(serviceUrl, apiKey) {
  const body = quoted(JSON.stringify({ api_key: apiKey }));
  return `curl -s ${quoted(`${serviceUrl}/auth/token`)} -H 'Content-Type: application/json' -d ${body} | sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/'`;
}

function queryOf(query) {
  const pairs = Object.entries(query ?? {}).flatMap(([name, values]) => [].concat(values).map((value) => [name, String(value)]));
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}

/** Return text as one word of a shell. */
export function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Return an assertion that this entry is in the journal, with the values that matter and that are equal in each run. */
export function pytestOf({ lane, name, from, data }) {
  const expected = (given, keywords = {}) => `mock.expect(${argumentsOf([given], keywords, PARAMETERS.filter((each) => each !== "kind"))})`;
  switch (lane) {
    case "http":
      return expected(name, { status: data.status ?? null });
    case "state":
      return expected(data.machine ?? name, { kind: "state", to: data.to, ...(data.from !== undefined && { from: data.from }) });
    case "fault":
      return expected(name, { kind: "fault", do: data.do });
    case "signaling":
    case "sdp":
      return expected(name, { kind: "signaling", ...messageOf(name, from, data), ...(from !== undefined && { from }) });
    case "channel":
      return expected(name, { ...messageOf(name, from, data), ...(from !== undefined && { from }) });
    case "deadline":
      return expected(name, { kind: "deadline" });
    case "peer":
      return expected(name, { kind: "peer", ...(typeof data.state === "string" && { state: data.state }) });
    default:
      return expected(name);
  }
}

/** Return the message if it is what matters: what the client sent, or why the server refused it. Other messages have ids of the run. */
function messageOf(name, from, { message }) {
  const matters = from === "client" || name === "error" || name === "interactive_stream_error";
  if (!matters || message === undefined || message === null) return {};
  return JSON.stringify(message).length > LONGEST_MESSAGE ? {} : { message };
}

/** Return the fault {at, do, ...} that fires when this event happens again; null if there is no fault point. */
export function faultAt({ lane, name, data }, catalog) {
  if (!catalog) return null;
  if (lane === "fault" && catalog.points[name]) return { at: name, do: data.do, ...data.parameters, times: 1 };
  const points = Object.keys(catalog.points).filter((point) => catalog.points[point].events.includes(name));
  // Playlists and segments of HLS have the same path.
  const at = points.find((point) => String(data.url).includes(point.split(".").at(-1))) ?? points[0];
  return at === undefined ? null : { at, do: Object.keys(catalog.points[at].actions)[0], times: 1 };
}
