"""Measurements of the cost of decoding images: memory, and the number of images at the same time."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

from tests.support.image_files import large_png

_PEAK = """
import resource, sys
{imports}
content = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{call}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""

only_on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is kilobytes only on Linux")


def memory_per_pixel(imports: str, call: str) -> float:
    """Return the bytes of memory per pixel that `call` takes in a new process, after `imports`.

    The code `call` can use the variable `content`, a transparent PNG file of 12 megapixels.
    """
    content = large_png(4000, 3000, is_transparent=True)
    code = _PEAK.format(imports=imports, call=call)
    run = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)
    return int(run.stdout) / (4000 * 3000)


def check_at_once(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, call: Callable[[], object], most: int
) -> None:
    """Run `call` in six threads; assert that `most` of them enter the function `name` of `module` at the same time.

    The function is replaced by one that returns only after this check.
    """
    entered, may_return = threading.Semaphore(0), threading.Event()

    def held(*_: object) -> str:
        entered.release()
        assert may_return.wait(timeout=30)
        return ""

    monkeypatch.setattr(module, name, held)
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(call) for _ in range(6)]
        try:
            for number in range(most):
                assert entered.acquire(timeout=10), f"expected {most} threads in {name}, got {number}"
            assert not entered.acquire(timeout=0.2), f"expected {most} threads in {name}, got more"
        finally:
            may_return.set()
    for each in calls:
        each.result()
