"""Rules for the server and for its messages to and from clients. They are checked with the server's journal."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from odyssey_client import OdysseyAuthError, OdysseyError
from odyssey_mock.core.journal import Entry
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.core.timestamps import month_begin
from odyssey_mock.explore.callback_rules import ReportViolation, SentMessage
from odyssey_mock.sim.run_log import RunLog
from odyssey_mock.sim.world import SERVER, World

JOB_STATES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "pending": frozenset({"dispatched", "cancelled", "failed"}),
        "dispatched": frozenset({"processing", "pending", "cancelled", "failed"}),
        "processing": frozenset({"completed", "failed", "cancelled", "pending"}),
        "completed": frozenset(),
        "failed": frozenset(),
        "cancelled": frozenset(),
    }
)
"""The states that may follow each state of a simulation job (protocol.md section 8)."""

STORM = 40
"""Maximum number of requests of one account within a second."""
BURST = 25
"""Maximum number of connections that one host opens within a second."""

CLIENTS = "clients"
"""Name in the log for a client that the explorer cannot identify, because several clients share its account."""

SLACK = 0.5
"""Allowed difference in seconds between the usage of an account and the total length of its streams."""

_HEARD: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"stream_started": ("stream_started", "stream_id"), "update_acknowledged": ("interact_acknowledged", "prompt")}
)
"""For each type of server message that handlers receive: `SentMessage.kind`, and the field with `SentMessage.text`."""

READ_SEEDS = 20
"""The journal entries of all requests are read in the runs of one of this many seeds.

The journal encodes and masks a request when its entry is read, which takes longer than the rules. A bug in this code
must be found nevertheless.
"""

_REFUSING = frozenset({401, 403, 422})
"""Statuses of faults that may make the client raise an `OdysseyAuthError`; 422 rejects the form of an API key."""
_MAY_REFUSE = frozenset({"refuse", "close", "error"})
"""Actions of faults that may make the client raise an `OdysseyAuthError`."""


@dataclass(slots=True)
class _StreamRun:
    """A live stream, as the journal shows it.

    Attributes:
        account: id of the account.
        started_at: the server's time when the stream started, in seconds since the epoch.
        began: virtual time when the stream started.
        seconds: how long the stream ran in virtual time; 0 while it is running.
    """

    account: str
    started_at: float
    began: float
    seconds: float = 0.0

    @property
    def months(self) -> set[float]:
        """The starts of the months in which the stream started and ended."""
        return {month_begin(self.started_at), month_begin(self.started_at + self.seconds)}


class ServerRules:
    """Checks the rules with each new entry in the journal of a simulated mock, and adds the entry to the log."""

    def __init__(
        self, world: World, run_log: RunLog, report_violation: ReportViolation, host_of: Callable[[Entry], str | None]
    ) -> None:
        """Start to observe the journal.

        `host_of(entry)` returns the host of the client that caused an entry; None if it cannot be identified.
        """
        self._host_of = host_of
        self._world = world
        self._run_log = run_log
        self._reads_requests = run_log.keeps_lines or world.seed % READ_SEEDS == 0
        self._report_violation = report_violation
        self._said: defaultdict[str, list[SentMessage]] = defaultdict(list)
        self._lines: defaultdict[str, int] = defaultdict(int)
        """By session: how often the session has lost its connection to the client."""
        self._updates: dict[str, int] = {}
        """By prompt: the number of `update` messages that the server has received."""
        self._jobs: dict[str, str] = {}
        self._months_of_jobs: dict[str, float] = {}
        """By job: the start of the month in which the job last changed its state."""
        self._streams: dict[str, _StreamRun] = {}
        self._requests: defaultdict[str, deque[float]] = defaultdict(deque)
        self._may_refuse = False
        """Whether a fault may have made a client raise an `OdysseyAuthError`."""
        self._offsets_of_tokens: dict[str | None, float] = {}
        """By host: by how much the server's clock had jumped when it issued the last access token."""
        self._has_stalled = False
        """Whether a fault has stalled a job."""
        self._requests_taken: list[Entry] = []
        """The entries of all requests. One of them may have a prompt marker that has stalled a job."""
        self._has_refused = False
        """Whether a fault or a prompt marker has made the server reply with an error.

        Error messages contain no id and no prompt (protocol.md section 4), so the client may match one to another call.
        """
        world.mock.journal.observe(self._take)

    def said(self, session_id: str) -> Sequence[SentMessage]:
        """Return the messages that the server has sent to a session, in order."""
        return self._said[session_id]

    def line(self, session_id: str) -> int:
        """Return how often the session has lost its connection to the client; see `SentMessage.line`."""
        return self._lines[session_id]

    def check(self) -> None:
        """Check the limits of sessions and connections, which must hold at every moment."""
        mock = self._world.mock
        settings = mock.settings
        held: defaultdict[str, int] = defaultdict(int)
        for session in mock.sessions.values():
            held[session.account_id] += 1
        for account, number in held.items():
            limit = mock.backend.accounts.limits_of(account).concurrent_sessions
            if limit is not None and number > limit:
                self._report_violation(
                    "slots_add_up", f"expected at most {limit} sessions of one account, got {number}"
                )
        if sum(held.values()) > settings.streamers:
            self._report_violation(
                "slots_add_up", f"expected at most {settings.streamers} sessions, got {sum(held.values())}"
            )
        for host, number in self._world.wire.dialled_lately().items():
            if number > BURST:
                self._report_violation(
                    "tries_back_off", f"expected at most {BURST} connections per second from {host}, got {number}"
                )

    def final(self) -> None:
        """Check that all sessions, streams and jobs have ended, and that the usage of all accounts is correct.

        Call this after all clients have disconnected and all time limits have passed.
        """
        mock = self._world.mock
        if mock.sessions:
            states = sorted(str(session.state) for session in mock.sessions.values())
            self._report_violation(
                "slots_are_freed", f"expected no session after all clients left, got {len(states)}: {states}"
            )
        on = [each for each in mock.streams.values() if each.ended_at is None and each.session_id is not None]
        if on:
            self._report_violation("streams_end", f"expected no running stream after all clients left, got {len(on)}")
        unfinished = sorted(record.status for record in mock.jobs.values() if JOB_STATES[record.status])
        if unfinished and not self._may_have_stalled():
            self._report_violation("jobs_end", f"expected all jobs to have ended, got jobs that are {unfinished}")
        self._check_hours()

    def _may_have_stalled(self) -> bool:
        """Return whether a fault or a prompt marker may have stalled a job. A stalled job never ends."""
        return self._has_stalled or any("[stall]" in request.encoded for request in self._requests_taken)

    def interaction_returned(self, host: str, prompt: str, applied: str) -> None:
        """Check that the server received and acknowledged the prompt of an `interact` call that returned.

        `applied`: the text that the call returned.
        """
        if not self._updates.get(prompt):
            self._report_violation(
                "interactions_are_applied",
                f"expected the server to receive an update for interact({prompt!r}) of {host}, which returned; "
                "got none",
            )
        elif not any(SentMessage("interact_acknowledged", applied) in said for said in self._said.values()):
            self._report_violation(
                "interactions_are_applied",
                f"expected the server to acknowledge interact({prompt!r}) of {host}, which returned; "
                "got no acknowledgement",
            )
        elif not applied.startswith(prompt) and not self._has_refused:
            self._report_violation(
                "answers_belong", f"expected interact({prompt!r}) to return a text with this prompt, got {applied!r}"
            )

    def interaction_timed_out(self, host: str, prompt: str, *, was_acknowledged: bool) -> None:
        """Check that the prompt of an `interact` call that timed out was not acknowledged.

        `was_acknowledged`: whether `on_interact_acknowledged` was called for the prompt.
        """
        if was_acknowledged and not self._has_refused:
            self._report_violation(
                "answers_belong",
                f"expected interact({prompt!r}) of {host} to return after its acknowledgement, got a timeout",
            )

    def refused(self, host: str, name: str, error: OdysseyError) -> None:
        """Check the error of the failed step `name`.

        An `OdysseyAuthError` violates a rule, unless a fault can have caused it, or a jump of the server's clock made
        the access token of the client expire.
        """
        if isinstance(error, OdysseyAuthError) and not (self._may_refuse or self._token_has_expired(host)):
            self._report_violation(
                "no_false_refusal",
                f"expected {name} of {host} to be authorized, because its API key is valid, got {error.code}: {error}",
            )

    def _token_has_expired(self, host: str) -> bool:
        """Return whether the clock of the server has jumped past the lifetime of the host's last access token."""
        offsets = self._offsets_of_tokens
        if (offset := offsets.get(host, offsets.get(None))) is None:
            return False
        jumped = self._world.wall_clock(SERVER).offset - offset
        return jumped >= self._world.mock.settings.access_token_lifetime

    def _take(self, entry: Entry) -> None:
        match entry.kind, entry.name:
            case "rest", _:
                self._take_request(entry)
            case "channel" | "signaling", _:
                data, host = entry.data, self._host_of(entry)
                message: Any = data.get("message")
                shown = {"prompt": message["prompt"]} if isinstance(message, dict) and "prompt" in message else {}
                is_ours = data.get("from") == "server"
                self._run_log.add(
                    SERVER if is_ours else host or CLIENTS, entry.name, shown, to=host if is_ours else SERVER
                )
                self._take_message(entry, data, message)
            case "state", "simulation":
                data = entry.data
                self._run_log.add(SERVER, f"simulation {data['from']} -> {data['to']}")
                self._take_job(data)
            case "state", _:
                data = entry.data
                why: dict[str, JSON] = {key: data[key] for key in ("event", "code", "by", "why") if key in data}
                self._run_log.add(SERVER, f"{entry.name} {data.get('from')} -> {data['to']}", why)
                if entry.name == "session" and entry.session is not None:
                    self._lines[entry.session] += (data.get("from"), data["to"]) == ("connected", "held")
                elif entry.name == "stream" and entry.stream is not None and entry.account is not None:
                    self._take_stream(entry.stream, entry.account, data)
            case "fault", _:
                data = entry.data
                self._run_log.add(SERVER, f"fault at {entry.name}: {data['do']}", data["parameters"])
                self._has_stalled |= data["do"] == "stall"
                self._has_refused |= entry.name.startswith("stream.") and data["do"] == "error"
                self._may_refuse |= data["do"] in _MAY_REFUSE or data["parameters"].get("status") in _REFUSING
            case "deadline", _:
                self._run_log.add(SERVER, f"deadline: {entry.name}")

    def _take_request(self, entry: Entry) -> None:
        self._requests_taken.append(entry)
        takes_token = entry.name == "POST /auth/token"
        if takes_token or self._reads_requests:
            status, host = entry.data.get("status"), self._host_of(entry)
            if takes_token and status == 200:
                self._offsets_of_tokens[host] = self._world.wall_clock(SERVER).offset
            if host is None:
                self._run_log.add(SERVER, f"{entry.name} answered", {"status": status})
            else:
                self._run_log.add(host, entry.name, {"status": status}, to=SERVER)
        if entry.account is not None:
            self._count(entry.account)

    def _take_message(self, entry: Entry, data: Mapping[str, Any], message: Any) -> None:
        if not isinstance(message, dict):
            return
        self._has_refused |= "[error" in str(message.get("prompt"))
        if data.get("from") == "client" and entry.name == "update":
            prompt = str(message.get("prompt"))
            self._updates[prompt] = self._updates.get(prompt, 0) + 1
        elif data.get("from") == "server" and entry.name in _HEARD and entry.session is not None:
            kind, field = _HEARD[entry.name]
            if field in message:
                sent = SentMessage(kind, str(message[field]), self._lines[entry.session], self._world.now())
                self._said[entry.session].append(sent)

    def _take_job(self, data: Mapping[str, Any]) -> None:
        job, before, after = data["job"], data["from"], data["to"]
        known = self._jobs.get(job, "pending")
        if before != known or after not in JOB_STATES[before]:
            self._report_violation(
                "jobs_follow_their_machine",
                f"expected a {known} job to become one of {sorted(JOB_STATES[known])}, got {before} -> {after}",
            )
        self._jobs[job] = after
        self._months_of_jobs[job] = month_begin(self._server_time())

    def _take_stream(self, stream: str, account: str, data: Mapping[str, Any]) -> None:
        if data["from"] == "idle":
            self._streams[stream] = _StreamRun(account, self._server_time(), self._world.now())
        elif data["to"] in {"idle", "closed"}:
            self._streams[stream].seconds = self._world.now() - self._streams[stream].began

    def _server_time(self) -> float:
        return self._world.wall_clock(SERVER).time()

    def _count(self, account: str) -> None:
        now, lately = self._world.now(), self._requests[account]
        lately.append(now)
        while lately[0] < now - 1.0:
            lately.popleft()
        if len(lately) == STORM + 1:
            self._report_violation(
                "tries_back_off", f"expected at most {STORM} requests per second of one account, got more"
            )

    def _check_hours(self) -> None:
        """Check that the usage of each account equals the length of its streams in this month of the server's clock.

        Jumps of the server's clock do not change the length of a stream.
        """
        mock, month = self._world.mock, month_begin(self._server_time())
        least: defaultdict[str, float] = defaultdict(float)
        most: defaultdict[str, float] = defaultdict(float)
        for stream in self._streams.values():
            most[stream.account] += stream.seconds if month in stream.months else 0.0
            least[stream.account] += stream.seconds if stream.months == {month} else 0.0
        for job_id, job in mock.jobs.items():
            if self._months_of_jobs.get(job_id) == month:
                made = sum(each.record.duration_seconds or 0.0 for each in job.streams if each.record)
                most[job.account_id] += made
                least[job.account_id] += made if job.status == "completed" else 0.0
        for account in most:
            counted = mock.backend.usage.hours(account) * 3600
            if not least[account] - SLACK <= counted <= most[account] + SLACK:
                self._report_violation(
                    "hours_add_up",
                    f"expected {least[account]:.1f} s to {most[account]:.1f} s as the usage of an account, "
                    f"got {counted:.1f} s",
                )
