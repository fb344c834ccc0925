"""Tests of the log of a simulated run: its lines and its diagram."""

from odyssey_mock.sim.run_log import SERVER, WORLD, RunLog, RunLogLine, run_diagram


def test_line_has_time_hosts_and_sorted_details() -> None:
    lines = [
        RunLogLine(0.5, "client", "GET /", SERVER, {"b": "é", "a": 1}),
        RunLogLine(1234.25, WORLD, "cut"),
    ]
    assert [str(line) for line in lines] == [
        '    0.500000 client -> odyssey: GET / {"a": 1, "b": "é"}',
        " 1234.250000 world: cut",
    ]


def test_hash_depends_on_every_line() -> None:
    logs = [RunLog(lambda: 1.0) for _ in range(3)]
    for log, names in zip(logs, ["ab", "ab", "ba"], strict=True):
        for name in names:
            log.add("client", name)
    first, second, other = (log.hash() for log in logs)
    assert first == second != other


def test_server_always_has_a_lifeline() -> None:
    assert run_diagram([RunLogLine(1.0, "client", "connect()")]).splitlines()[0].split() == [
        "seconds",
        "client",
        SERVER,
    ]


def test_clients_are_in_natural_order_before_the_server() -> None:
    lines = [RunLogLine(0.0, who, "x") for who in ("client-10", SERVER, WORLD, "client-2", "client-1")]
    heads = run_diagram(lines).splitlines()[0].split()
    assert heads == ["seconds", "client-1", "client-2", "client-10", SERVER]
