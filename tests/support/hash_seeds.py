"""The seed of Python's hashes in another process, for tests that compare it with this process."""

import os


def other_hash_seed() -> str:
    """Return the value of `PYTHONHASHSEED` for another process: always the same, unless this process has it too.

    Without the variable, the hash seed of this process is random. With `PYTHONHASHSEED=2 pytest`, both are fixed.
    """
    return "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
