// Requests of the console to the mock that serves it: the control API, and the API of the service.

const TOKEN_ITEM = "odyssey-mock-control-token";

/** An error response, or no response. `status` is 0 if there was none. `errors` has the places of invalid values: [{loc, msg}]. */
export class ApiError extends Error {
  constructor(message, { status = 0, errors = [] } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.errors = errors;
  }
}

/** Return the control token: of the address, from which it is removed, or of this tab; "" if there is none. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.replace(/^#\/?/, "")).get("token");
  if (given) {
    keepToken(given);
    history.replaceState(null, "", `${location.pathname}${location.search}#/overview`);
    return given;
  }
  return sessionStorage.getItem(TOKEN_ITEM) ?? "";
}

/** Keep the control token until the tab is closed. */
function keepToken(token) {
  sessionStorage.setItem(TOKEN_ITEM, token);
}

/**
 * Create the requests. `page` is the address of the page, PREFIX/_mock/console/.
 *
 * `get(path)`, `post(path, body)`, `put(path, body)`, `patch(path, body)` and `remove(path)` request the control API: the path is
 * relative to PREFIX/_mock/, without a slash at the start. They return the JSON of the response, and throw `ApiError`.
 * `request(method, path, {body, headers, signal})` returns the `Response` with any status.
 */
export function createApi({ page, token }) {
  const control = new URL("../", page);
  const service = new URL("../../", page);
  const listeners = new Set();
  let current = token;

  const request = (method, path, { body, headers = {}, signal, cache = "no-store" } = {}) => {
    const isText = typeof body === "string" || body === undefined;
    return fetch(new URL(path, control), {
      method,
      signal,
      cache,
      body: isText ? body : JSON.stringify(body),
      headers: {
        ...(current && { Authorization: `Bearer ${current}` }),
        ...(!isText && { "Content-Type": "application/json" }),
        ...headers,
      },
    });
  };

  const json = async (method, path, body) => {
    let response;
    try {
      response = await request(method, path, { body });
    } catch {
      throw new ApiError("The mock does not respond. Is it still running?");
    }
    const text = await response.text();
    if (!response.ok) throw errorOf(response.status, text);
    const value = text === "" ? null : parsed(text, response.status);
    listeners.forEach((listener) => listener({ method, path }));
    return value;
  };

  return {
    /** The address of the service, without a slash at the end. */
    serviceUrl: service.href.replace(/\/$/, ""),
    controlUrl: control.href,
    request,
    get: (path) => json("GET", path),
    post: (path, body = {}) => json("POST", path, body),
    put: (path, body) => json("PUT", path, body),
    patch: (path, body) => json("PATCH", path, body),
    remove: (path) => json("DELETE", path),
    /** Use this token from now on, and keep it until the tab is closed. */
    setToken(value) {
      current = value;
      keepToken(value);
    },
    /** The headers that a request of the control API needs, for code that sends its own. */
    authorization: () => (current ? { Authorization: `Bearer ${current}` } : {}),
    /** The control token; "" if there is none. */
    get token() {
      return current;
    },
    /** Call `listener({method, path})` after each successful request of JSON; return a function that ends this. */
    onSuccess(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function parsed(text, status) {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError("The response is not JSON. Does a proxy answer in place of the mock?", { status });
  }
}

/**
 * Return the `detail` of the body of an error response: a text, the places of invalid values [{loc, msg}], or an object. Return null if
 * the body is not one of the mock's, which a fault or a proxy can cause.
 */
export function detailOf(text) {
  try {
    return JSON.parse(text)?.detail ?? null;
  } catch {
    return null;
  }
}

/** Return the places of invalid values [{loc, msg}] as text, one line each. */
export function linesOf(errors) {
  return errors.map(({ loc = [], msg }) => `${loc.slice(1).join(".")}: ${msg}`.replace(/^: /, "")).join("\n");
}

/** Return the error of a response of the control API. */
export function errorOf(status, text) {
  const detail = detailOf(text);
  if (typeof detail === "string") return new ApiError(detail, { status });
  if (Array.isArray(detail)) return new ApiError(linesOf(detail), { status, errors: detail });
  return new ApiError(`The mock responded with status ${status}.`, { status });
}
