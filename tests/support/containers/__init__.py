"""Builds the image of the Dockerfile and runs containers of it without a Docker daemon, with the namespaces of Linux.

`dockerfile.py` reads the file, `building.py` executes its instructions, `engine.py` runs containers of the image, and
`compose.py` and `workflows.py` read compose files and workflows. `machine.py` starts commands in the layers of an
image, `scenarios.py` has what the tests do with containers, and `on_docker_host.py` runs it in namespaces.

In place of the base image, containers have the `/usr` of this machine and the Python of the tests. Everything else
comes from the Dockerfile. This needs root.
"""
