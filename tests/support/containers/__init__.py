"""Builds the image of the Dockerfile and runs containers of it without a Docker daemon, with the namespaces of Linux.

`dockerfile.py` reads the file, `building.py` executes its instructions, `containers.py` runs commands in the image,
`compose.py` and `workflows.py` read compose files and workflows. In place of the base image, containers have the `/usr`
of this machine and the Python of the tests. Everything else comes from the Dockerfile. This needs root.
"""
