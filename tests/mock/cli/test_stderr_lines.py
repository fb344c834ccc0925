"""Tests of `StderrLines`, which prints lines to stderr without blocking the caller."""

import queue
import threading

from odyssey_mock.cli.stderr_lines import LINE_LIMIT, StderrLines

LIMIT = 20.0


def test_lines_are_printed_in_order_before_the_end() -> None:
    written: list[bytes] = []
    with StderrLines(written.append) as lines:
        for number in range(100):
            lines.print(f"line {number} é")
    assert written == [f"line {number} é\n".encode() for number in range(100)]


def test_lines_without_a_reader_are_counted() -> None:
    written: queue.Queue[bytes] = queue.Queue()
    may_write = threading.Event()

    def write(data: bytes) -> None:
        written.put(data)
        assert may_write.wait(LIMIT)

    with StderrLines(write) as lines:
        lines.print("first")
        assert written.get(timeout=LIMIT) == b"first\n"
        for number in range(LINE_LIMIT + 3):
            lines.print(f"{number}")
        may_write.set()
        assert [written.get(timeout=LIMIT) for _ in range(LINE_LIMIT)][-1] == f"{LINE_LIMIT - 1}\n".encode()
        assert written.get(timeout=LIMIT) == b"(3 lines left out, because stderr was not read in time)\n"
        lines.print("next")
        assert written.get(timeout=LIMIT) == b"next\n"


def test_nothing_is_printed_after_an_error() -> None:
    written: list[bytes] = []

    def write(data: bytes) -> None:
        written.append(data)
        raise BrokenPipeError(32, "Broken pipe")

    with StderrLines(write) as lines:
        lines.print("first")
        lines.print("second")
    lines.print("third")
    assert written == [b"first\n"]
