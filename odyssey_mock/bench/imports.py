"""`bench import`: how long a process takes to import the client, compared with one that imports httpx.

Public names of `odyssey_client` are imported on first use. The process therefore imports `Odyssey`, the name that every
program uses.
"""

from odyssey_mock.bench.python_processes import compiled_modules, time_of_run
from odyssey_mock.bench.rows import Row

TARGET = 1.0
ROUNDS = 20
QUICK_ROUNDS = 4
CLIENT = ("-c", "from odyssey_client import Odyssey")
HTTPX = ("-c", "import httpx")


async def run(*, quick: bool = False) -> list[Row]:
    """Compare the times of processes in turns. The first round, which compiles the modules, is not counted."""
    client: list[float] = []
    httpx: list[float] = []
    with compiled_modules() as environment:
        for _ in range(1 + (QUICK_ROUNDS if quick else ROUNDS)):
            client.append(await time_of_run(CLIENT, environment))
            httpx.append(await time_of_run(HTTPX, environment))
    return [Row("import odyssey_client", client[1:], httpx[1:], "ms", TARGET)]
