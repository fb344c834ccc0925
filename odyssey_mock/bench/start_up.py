"""`bench start-up`: how long the commands take to start.

`odyssey-mock serve` is compared with uvicorn and a Starlette application with one route, from the start of the process
to the first response. The help of both commands is compared with a process that only imports click.
"""

from odyssey_mock.bench.python_processes import compiled_modules, free_port, time_of_first_response, time_of_run
from odyssey_mock.bench.rows import Row

SERVE_TARGET = 1.5
HELP_TARGET = 2.0
ROUNDS = 20
QUICK_ROUNDS = 3

PATH = "/_mock/health"
SERVE = ("-c", "from odyssey_mock.cli import main; main()", "serve", "--port")
BARE_SERVER = (
    "-c",
    f"""
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def health(request):
    return JSONResponse({{"status": "ok"}})


uvicorn.run(Starlette(routes=[Route("{PATH}", health)]), port=int(sys.argv[1]))
""",
)
HELP = {
    "odyssey --help": ("-c", "from odyssey_client.cli import main; main()", "--help"),
    "odyssey-mock --help": ("-c", "from odyssey_mock.cli import main; main()", "--help"),
}
IMPORT_CLICK = ("-c", "import click")


async def run(*, quick: bool = False) -> list[Row]:
    """Compare the times of processes in turns. The first round, which compiles the modules, is not counted."""
    served: list[float] = []
    bare: list[float] = []
    helped: dict[str, list[float]] = {name: [] for name in HELP}
    click: list[float] = []
    with compiled_modules() as environment:
        for _ in range(1 + (QUICK_ROUNDS if quick else ROUNDS)):
            for server, times in ((SERVE, served), (BARE_SERVER, bare)):
                port = free_port()
                command = (*server, str(port))
                times.append(await time_of_first_response(command, environment, port=port, path=PATH))
            for name, arguments in HELP.items():
                helped[name].append(await time_of_run(arguments, environment))
            click.append(await time_of_run(IMPORT_CLICK, environment))
    return [
        Row("start-up of odyssey-mock serve", served[1:], bare[1:], "ms", SERVE_TARGET),
        *(Row(name, times[1:], click[1:], "ms", HELP_TARGET) for name, times in helped.items()),
    ]
