"""`instructions_of`, for tests that compare amounts of work. Times would depend on the machine."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def instructions_of(work: Callable[[], object]) -> int:
    """Return how many bytecode instructions `work` executes in this thread, with the functions that it calls."""
    executed = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:  # Any: the type is recursive
        nonlocal executed
        frame.f_trace_opcodes = True
        executed += event == "opcode"
        return trace

    sys._getframe().f_trace_opcodes = True  # Python 3.12 reports instructions only if a frame has asked for them before
    former = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(former)
    return executed
