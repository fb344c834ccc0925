// The states of sessions, streams and jobs in words, with a tone for badges.

const SESSION = {
  waiting: { label: "Waiting", tone: "", means: "The client has a session, and has not opened its socket yet." },
  signaling: { label: "Signaling", tone: "busy", means: "The socket is open; the mock sends its offer." },
  connecting: { label: "Connecting", tone: "busy", means: "The client has answered; ICE and DTLS are in progress." },
  connected: { label: "Connected", tone: "good", means: "The peer is connected; video is sent." },
  held: { label: "Held", tone: "warn", means: "The connection is lost. The stream continues, and the client may return." },
  returning: { label: "Returning", tone: "busy", means: "The client has opened another socket; the mock sends another offer." },
  rejoining: { label: "Rejoining", tone: "busy", means: "The returning client has answered; ICE and DTLS are in progress." },
  stale: { label: "Stale", tone: "warn", means: "The client has left without a goodbye. The session still takes its place." },
  closed: { label: "Closed", tone: "", means: "The session is over." },
};
const JOB = {
  pending: { label: "Pending", tone: "", isRunning: true },
  dispatched: { label: "Dispatched", tone: "busy", isRunning: true },
  processing: { label: "Processing", tone: "busy", isRunning: true },
  completed: { label: "Completed", tone: "good", isRunning: false },
  failed: { label: "Failed", tone: "bad", isRunning: false },
  cancelled: { label: "Cancelled", tone: "", isRunning: false },
};

/** Return {label, tone, means} of a session's state. */
export function sessionState({ state }) {
  return SESSION[state] ?? { label: state, tone: "", means: "" };
}

/** Return {label, tone, isRunning} of a job's state. */
export function jobState({ status }) {
  return JOB[status] ?? { label: String(status), tone: "", isRunning: false };
}
