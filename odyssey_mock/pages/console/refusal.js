// Why the mock refused something, in words: what was refused, the mock's own reason, and what to do about it.

/** What to do about a refusal, by its code, or by its status. `setting` leads to a setting, `view` to a view of the console. */
const ADVICE = {
  CONCURRENT_LIMIT_REACHED: { text: "End a session, or raise the limit.", view: "sessions", setting: "concurrent_sessions" },
  MONTHLY_LIMIT_REACHED: { text: "Raise the limit, or remove it.", setting: "monthly_hours" },
  RATE_LIMITED: { text: "Wait until jobs have ended, or raise the limit.", setting: "queued_simulations" },
  ACCOUNT_SUSPENDED: { text: "Use another API key: this one is a test key of a suspended account." },
  moderation_failed: { text: "Change the prompt. The marker [moderated] in a prompt causes this refusal." },
  image_to_video_not_supported: { text: "Start without an image, or permit images.", setting: "image_to_video" },
  invalid_image: { text: "Choose a JPEG, PNG, WebP, GIF, BMP, HEIC or AVIF image, or raise the limit of its size.", setting: "max_image_bytes" },
  bypass_not_allowed: { text: "Start with prompt expansion, or grant the privilege.", setting: "bypass_privilege" },
  session_ended: { text: "Start again." },
  stream_ended: { text: "Start another stream." },
  session_timeout: { text: "Start another stream, or let streams last longer.", setting: "stream_duration" },
  duration_limit_reached: { text: "Start again, or let connections last longer.", setting: "connection_duration" },
  stream_already_active: { text: "End the running stream first." },
  no_active_stream: { text: "Start a stream first." },
  streamer_not_available: { text: "Start again." },
  streamer_disconnected: { text: "The mock was stopped or reset. Start again." },
  message_too_long: { text: "Shorten the prompt: the data channel refuses larger messages." },
  no_reply: { text: "A fault or the marker [stall] in a prompt can withhold a reply. End the session, and start again.", view: "faults" },
  connect_timeout: { text: "Look at the last messages of the session on the timeline.", view: "timeline" },
  peer_failed: { text: "Look at the last messages of the session on the timeline. A firewall or VPN can block UDP.", view: "timeline" },
  401: { text: "Use the mock's own API key. With the setting keys, the mock accepts only the listed keys.", setting: "keys" },
  403: { text: "Use another API key, or grant the account the privilege.", setting: "bypass_privilege" },
  422: { text: "Correct the values that are named above." },
  503: { text: "No streamer is free. End a session, or add streamers.", view: "sessions", setting: "streamers" },
  0: { text: "See whether the mock is running, and whether a fault cuts connections.", view: "faults" },
};
const OTHER = { text: "The timeline shows the messages that led to this.", view: "timeline" };

/** The mock's reasons name the setting that decides: `(setting inactivity)`. */
const NAMED_SETTING = /\bsettings? `?([a-z][a-z_]+)/;

const VIEW_LABELS = { sessions: "Sessions", faults: "Faults", timeline: "Timeline" };

/** Journal entries that are searched for the reason, the latest. */
const SEARCHED = 1000;

/** Return the index of the next journal entry: what follows belongs to what is done next. Return null if the mock does not tell it. */
export async function nextEntry(api) {
  try {
    return (await api.get("journal?limit=0")).next;
  } catch {
    return null;
  }
}

/**
 * Return {what, code, why, faults, advice, links} of an error, a `ServiceError`.
 *
 * `since` is the index of the first journal entry that can have to do with it, null if that is unknown; `session` is the id of the
 * session, if there is one.
 */
export async function explain(error, { api, since, session = null }) {
  const what = sentence(error.message);
  let entries = [];
  try {
    // With an unknown beginning, faults of earlier actions would be taken for the cause.
    if (since !== null) ({ entries } = await api.get(`journal?since=${since}&limit=${SEARCHED}`));
  } catch {
    // Without the journal, the words of the error are all there is.
  }
  const own = entries.filter((entry) => !session || !entry.session || entry.session === session);
  const faults = faultsOf(own);
  const reasons = own.filter(({ kind, data }) => kind !== "fault" && typeof data.why === "string").map(({ data }) => data.why);
  const last = reasons.at(-1) ?? "";
  const why = isSame(last, what) || faults.some(({ id }) => last.includes(id)) ? "" : last;
  const advice = faults.length ? { text: "A fault caused this. Remove it to continue without it.", view: "faults" } : adviceFor(error);
  return {
    what,
    code: error.code === error.message ? "" : error.code || (error.status ? `status ${error.status}` : ""),
    why,
    faults: faults.slice(-3),
    advice,
    links: linksOf({ setting: last.match(NAMED_SETTING)?.[1], ...advice }),
  };
}

/** Return the faults that fired, [{id, at, do, times}]. */
function faultsOf(entries) {
  const found = new Map();
  for (const { kind, name, data } of entries) {
    if (kind !== "fault") continue;
    const id = String(data.id);
    found.set(id, { id, at: name, do: String(data.do), times: (found.get(id)?.times ?? 0) + 1 });
  }
  return [...found.values()];
}

function adviceFor(error) {
  const action = error.action ? { text: `${error.action}.`.replace(/\.\.$/, ".") } : null;
  return ADVICE[error.code] ?? action ?? (error.code ? OTHER : ADVICE[error.status] ?? OTHER);
}

function linksOf({ view, setting }) {
  return [
    ...(view ? [{ view, query: {}, label: VIEW_LABELS[view] }] : []),
    ...(setting ? [{ view: "accounts", query: { setting }, label: `Setting ${setting}` }] : []),
  ];
}

function sentence(text) {
  // Names of fields and calls stay as they are.
  if (!/^[a-z]+[ ,]/.test(text)) return text;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function isSame(why, what) {
  const plain = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, " ").trim();
  return plain(what).includes(plain(why)) || plain(why) === plain(what);
}
