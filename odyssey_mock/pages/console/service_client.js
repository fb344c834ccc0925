// Calls of the service's REST API, with an API key, as any client makes them.

import { detailOf, linesOf } from "console/api.js";

/** Milliseconds until a response is expected. The service itself answers within seconds. */
const RESPONSE_LIMIT = 30_000;

/**
 * A refused call of the service, or a call without a response.
 *
 * `status` is that of the response, 0 if there was none. `code` is the reason in one word (`CONCURRENT_LIMIT_REACHED`,
 * `moderation_failed`), "" if there is none. `action` says what the service advises. `errors` has the places of invalid values: [{loc, msg}].
 */
export class ServiceError extends Error {
  constructor(message, { status = 0, code = "", action = "", errors = [] } = {}) {
    super(message);
    this.name = "ServiceError";
    this.status = status;
    this.code = code;
    this.action = action;
    this.errors = errors;
  }
}

/** Create the calls. `url` is the address of the service, without a slash at the end. */
export function createService({ url, apiKey }) {
  let token = "";

  const send = async (method, path, { body, text, signal }, bearer) => {
    const limit = AbortSignal.timeout(RESPONSE_LIMIT);
    const hasBody = body !== undefined || text !== undefined;
    let response;
    let content;
    try {
      response = await fetch(path.startsWith("http") ? path : url + path, {
        method,
        cache: "no-store",
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
        headers: { ...(bearer && { Authorization: `Bearer ${bearer}` }), ...(hasBody && { "Content-Type": "application/json" }) },
        body: text ?? (body === undefined ? undefined : JSON.stringify(body)),
      });
      content = await response.text();
    } catch (error) {
      signal?.throwIfAborted();
      const isLate = error.name === "TimeoutError";
      throw new ServiceError(
        isLate ? `${method} ${path}: expected a response within ${RESPONSE_LIMIT / 1000} s, got none` : `${method} ${path}: the connection was cut before the response was complete`,
      );
    }
    if (!response.ok) throw refused(response.status, content);
    try {
      return content === "" ? null : JSON.parse(content);
    } catch {
      throw new ServiceError(`${method} ${path}: expected JSON, got "${content.slice(0, 80)}"`, { status: response.status });
    }
  };

  const renew = async (signal) => {
    const answer = await send("POST", "/auth/token", { body: { api_key: apiKey }, signal }, "");
    if (typeof answer?.access_token !== "string") throw new ServiceError("POST /auth/token: expected an access_token, got none");
    token = answer.access_token;
  };

  return {
    /** Get an access token, if there is none yet. */
    async authorize(signal) {
      if (!token) await renew(signal);
    },
    /**
     * Call the service, and return the JSON of its response. `body` is a value, `text` its JSON as text.
     * An expired access token is renewed once.
     */
    async call(method, path, { body, text, signal } = {}) {
      if (!token) await renew(signal);
      try {
        return await send(method, path, { body, text, signal }, token);
      } catch (error) {
        if (error.status !== 401) throw error;
        token = "";
        await renew(signal);
        return send(method, path, { body, text, signal }, token);
      }
    },
    /** Call an address that needs no access token. */
    callOpenly: (method, path, { signal } = {}) => send(method, path, { signal }, ""),
  };
}

function refused(status, content) {
  const detail = detailOf(content);
  if (typeof detail === "string") return new ServiceError(detail, { status });
  if (Array.isArray(detail)) return new ServiceError(linesOf(detail), { status, errors: detail });
  if (typeof detail?.message === "string") {
    return new ServiceError(detail.message, { status, code: String(detail.error ?? ""), action: String(detail.action ?? "") });
  }
  return new ServiceError(`the response has the status ${status} and no reason`, { status });
}
