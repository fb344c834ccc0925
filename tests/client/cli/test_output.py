"""Columns, sizes, escaped text, and errors as text and JSON."""

import io

import pytest

from odyssey_client.cli.errors import error_document, error_text
from odyssey_client.cli.output import columns, encodable, fields, print_text, printable, size
from odyssey_client.errors import DownloadError, OdysseyApiError, OdysseyConfigError, RateLimitError


def test_columns_are_aligned_and_cells_single_line() -> None:
    assert columns(("JOB", "ERROR"), [("a", None), ("longer", "two\nlines")]).splitlines() == [
        "JOB     ERROR",
        "a       -",
        "longer  two lines",
    ]


def test_fields_leave_out_missing_values() -> None:
    assert fields([("job", "a"), ("error", None), ("retry count", 0)]).splitlines() == [
        "job          a",
        "retry count  0",
    ]


@pytest.mark.parametrize(
    ("text", "shown"), [("a\x1b[2J", r"a\x1b[2J"), ("é\n漢", "é\n漢"), ("a\r\tb", r"a\r\tb"), ("\u202e", r"\u202e")]
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_characters_outside_encoding_are_escaped() -> None:
    assert encodable("é漢", io.TextIOWrapper(io.BytesIO(), encoding="latin-1")) == "é\\u6f22"


def test_closed_stderr_is_not_replaced_by_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    print_text("Error: no", to_stderr=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (342_905, "342.9 kB"), (2 * 10**9, "2000.0 MB")],
)
def test_sizes_have_units(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            OdysseyConfigError("No key. Pass Odyssey(api_key=...) or set the environment variable X."),
            "Set the environment",
        ),
        (
            DownloadError("cat.mp4 already exists: choose another path, or pass overwrite=True to replace it."),
            "--overwrite",
        ),
        (
            OdysseyApiError("Check the id with list_stream_recordings()."),
            "Check the id with `odyssey recordings list`.",
        ),
        (OdysseyApiError("Check the id with list_simulations()."), "Check the id with `odyssey simulations list`."),
    ],
)
def test_advice_names_commands_instead_of_methods(theirs: Exception, ours: str) -> None:
    assert isinstance(theirs, OdysseyConfigError | DownloadError | OdysseyApiError)
    for told in (error_text(theirs), str(error_document(theirs)["message"])):
        assert ours in told
        assert "()" not in told
        assert "=" not in told


def test_notes_are_printed_below_error() -> None:
    error = OdysseyApiError("down")
    error.add_note("Tried 4 times.")
    assert error_text(error) == "Error: down\n  Tried 4 times."


def test_json_error_has_fields_of_service_response() -> None:
    error = RateLimitError("slow", action="Wait", details={"retry_after_seconds": 3}, detail={"error": "RATE_LIMITED"})
    assert error_document(error) == {
        "code": "RATE_LIMITED",
        "message": "slow",
        "retryable": True,
        "status": 429,
        "detail": {"error": "RATE_LIMITED"},
        "action": "Wait",
        "action_url": None,
        "details": {"retry_after_seconds": 3},
    }
