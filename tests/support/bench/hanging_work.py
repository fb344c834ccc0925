"""Work for the process pools of benchmarks and scripts that never ends.

Worker processes unpickle the function, so this module has few imports.
"""

import sys
import threading


def hang(*_: object) -> None:
    """Print a line, then block forever."""
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    threading.Event().wait()
