"""Property tests: any content of the files of `--config` and `--faults`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from odyssey_mock.cli.serve import serve
from odyssey_mock.core.data_files import DataFileError, read_data_file
from odyssey_mock.faults.files import FaultFileError, read_faults
from odyssey_mock.settings import SETTING_NAMES
from tests.support.hostile import examples, json_values, mutated

REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

YAML = b"""plan: unlimited
fps: 10
portrait_size: 176x320
regions: [us, {id: eu, latency: 0.5}]
keys: &keys {ody_anna: {concurrent_sessions: 1}, ody_berta: {<<: {plan: free}}}
faults:
  - {at: rest.sessions.request, do: status, status: 503, times: 3, match: {account: ody_anna}}
"""
TOML = b"""fps = 10
hls = false
portrait_size = [176, 320]
[keys.ody_anna]
concurrent_sessions = 1
[[faults]]
at = "rest.*"
do = "delay"
seconds = 0.5
"""
FORMATS = {
    ".yaml": YAML,
    ".toml": TOML,
    ".json": b'{"fps": 10, "faults": [{"at": "rest.*", "do": "delay", "seconds": 1}]}',
}


def contents() -> st.SearchStrategy[tuple[str, bytes]]:
    """Draw the ending of a file name, and the content of the file."""
    any_settings = st.dictionaries(
        st.sampled_from([*SETTING_NAMES, "plan"]) | st.text(max_size=4), json_values, max_size=3
    )
    return st.sampled_from(sorted(FORMATS)).flatmap(
        lambda ending: st.tuples(
            st.just(ending),
            mutated(FORMATS[ending])
            | st.binary(max_size=60)
            | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
            | any_settings.map(lambda value: json.dumps(value).encode()),
        )
    )


@given(contents())
@settings(REUSED, max_examples=examples(60))
@example((".yaml", b"fps: !!bool x"))
@example((".yaml", b'fps: !!int ""'))
@example((".yaml", b"fps: !!timestamp x"))
@example((".yaml", b"[" * 1000))
@example((".toml", b"a=" + b"[" * 1000))
@example((".json", b"[" * 1000))
def test_any_file_is_read_or_rejected(tmp_path: Path, content: tuple[str, bytes]) -> None:
    ending, data = content
    path = tmp_path / f"file{ending}"
    path.write_bytes(data)
    reason = str(path)
    try:
        read = read_data_file(path)
        assert json.loads(json.dumps(read)) == read
        read_faults(path)
    except (DataFileError, FaultFileError) as error:
        reason = str(error)
    assert str(path) in reason


@given(contents())
@settings(REUSED, max_examples=examples(20))
def test_serve_rejects_any_invalid_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: tuple[str, bytes]
) -> None:
    monkeypatch.setattr("odyssey_mock.cli.serve._serve", started := Started())
    ending, data = content
    path = tmp_path / f"config{ending}"
    path.write_bytes(data)
    result = CliRunner().invoke(serve, ["--config", str(path)])
    if not started.count:
        assert (result.exit_code, "\nError: " in result.output) == (2, True), result.output
    else:
        assert (result.exit_code, result.exception) == (0, None)


class Started:
    """Replaces the function that runs the server; counts its calls."""

    count = 0

    async def __call__(self, *_: object, **__: object) -> None:
        self.count += 1
