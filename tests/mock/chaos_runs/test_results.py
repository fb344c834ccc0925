"""Tests of the summary of chaos runs as text, and of their JSON report."""

import json

from odyssey_mock.chaos_runs.results import ChaosReport, Run, Verdict, headline, last_lines, summary


def run(verdict: Verdict, action: str, *, test: str = "test_a", reason: str = "") -> Run:
    fault = f"rest.telemetry: {action}"
    return Run(
        test=test, fault=fault, point="rest.telemetry", action=action, verdict=verdict, seconds=0.5, reason=reason
    )


def test_summary_lists_failures_before_passed_runs() -> None:
    runs = [
        run("passed", "delay"),
        run("failed", "status", reason="exit status 1"),
        run("hung", "no_answer", reason="did not end within 10 s"),
        run("passed", "reset"),
        run("not reached", "truncate", reason="(the fault did not act)"),
        run("passed", "delay", test="test_b"),
    ]
    assert list(summary(ChaosReport(runs=runs, planned=6))) == [
        "2 tests, 6 runs: 3 passed, 1 failed, 1 hung, 1 not reached",
        "",
        "test_a",
        "  failed       rest.telemetry: status     exit status 1",
        "  hung         rest.telemetry: no_answer  did not end within 10 s",
        "  not reached  rest.telemetry: truncate   (the fault did not act)",
        "  passed       rest.telemetry: delay | reset",
        "",
        "test_b",
        "  passed       rest.telemetry: delay",
    ]


def test_headline_counts_runs_not_completed() -> None:
    report = ChaosReport(runs=[run("passed", "delay")], planned=4)
    assert headline(report) == "1 test, 1 run: 1 passed; 3 of 4 runs not completed"
    assert headline(ChaosReport(runs=[], planned=0)) == "0 tests, 0 runs: no results"


def test_report_survives_only_if_complete() -> None:
    passed, unreached, hung = run("passed", "delay"), run("not reached", "reset"), run("hung", "status")
    assert ChaosReport(runs=[passed, unreached], planned=2).survived
    assert not ChaosReport(runs=[passed, hung], planned=2).survived
    assert not ChaosReport(runs=[passed], planned=2).survived


def test_json_report_has_runs_by_test() -> None:
    report = ChaosReport(runs=[run("failed", "status", reason="exit status 1")], planned=1)
    assert json.loads(report.to_text()) == {
        "version": 1,
        "planned": 1,
        "survived": False,
        "counts": {"passed": 0, "failed": 1, "hung": 0, "not reached": 0},
        "tests": [
            {
                "test": "test_a",
                "runs": [
                    {
                        "fault": "rest.telemetry: status",
                        "point": "rest.telemetry",
                        "action": "status",
                        "verdict": "failed",
                        "seconds": 0.5,
                        "reason": "exit status 1",
                        "output": "",
                    }
                ],
            }
        ],
    }


def test_result_survives_conversion_to_json() -> None:
    result = run("hung", "status", reason="did not end")
    assert Run.of(result.to_json()) == result


def test_only_last_lines_of_output_are_kept() -> None:
    lines = last_lines("".join(f"{number}\n" for number in range(100))).splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("60", "99", 40)
    assert len(last_lines("x" * 10_000)) == 6000
