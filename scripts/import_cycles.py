"""Fail if modules of a package import each other in a cycle.

Imports under `if TYPE_CHECKING` and inside functions count as well. The layers in `.importlinter` do not detect cycles
between modules of one layer, or through the `__init__.py` of a package.

    python scripts/import_cycles.py odyssey_client odyssey_mock
"""

import sys
from graphlib import CycleError, TopologicalSorter

import grimp


def find_cycle(*packages: str) -> list[str]:
    """Return the modules of one import cycle, with the first module repeated at the end; an empty list without one."""
    imports = grimp.build_graph(*packages, cache_dir=None)
    sorter = TopologicalSorter({each: imports.find_modules_directly_imported_by(each) for each in imports.modules})
    try:
        sorter.prepare()
    except CycleError as error:
        # graphlib lists each module before the one that imports it.
        return list(reversed(error.args[1]))
    return []


def main() -> None:
    cycle = find_cycle(*sys.argv[1:])
    if cycle:
        sys.exit("import cycle: " + "\n    imports ".join(cycle))


if __name__ == "__main__":
    main()
