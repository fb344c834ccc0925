"""The trace file of a run, which `odyssey-mock trace diff` compares with another one."""

from pathlib import Path

from odyssey_client.trace.archive import write_trace
from odyssey_client.trace.client_trace import recorded_by
from odyssey_client.trace.events import Manifest
from odyssey_mock.verification.masking import masked, masked_recording, masked_text
from odyssey_mock.verification.program import Run


def write_run(run: Run, path: Path) -> None:
    """Write everything that a run has sent and received, redacted.

    Raises:
        OSError: the file cannot be written.
    """
    recording = masked_recording(run.recording)
    manifest = Manifest(
        title=f"odyssey-mock verify {masked_text(run.observations.api_url)}",
        began_at=recording.began_at,
        duration=recording.duration,
        recorded_by=recorded_by(),
    )
    write_trace(path, recording, manifest, redact=masked)
