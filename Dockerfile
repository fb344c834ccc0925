# An image for `odyssey-mock serve`: docs/how-to/run-in-docker.md. tests/e2e/test_container.py executes the instructions.

FROM python:3.13-slim AS packages
# --without-pip: the pip of the base image installs into this environment.
RUN python -m venv --without-pip /opt/odyssey
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=bind,source=requirements-image.lock,target=/image.lock \
    python -m pip --python /opt/odyssey/bin/python install --require-hashes --requirement /image.lock

FROM python:3.13-slim AS build
# Before the sources, so that a change of them needs no download.
RUN --mount=type=cache,target=/root/.cache/pip python -m venv /opt/build && /opt/build/bin/pip install hatchling
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY odyssey_client odyssey_client
COPY odyssey_mock odyssey_mock
RUN /opt/build/bin/pip wheel --no-build-isolation --no-deps --wheel-dir /dist .

FROM packages
# --no-index: a package that the lock lacks is an error.
RUN --mount=type=bind,from=build,source=/dist,target=/dist \
    python -m pip --python /opt/odyssey/bin/python install --no-index --find-links /dist 'odyssey-testkit[mock,fonts]'
# A new volume at /data gets the owner of the directory.
RUN useradd --uid 10001 --create-home odyssey && install --directory --mode=700 --owner=odyssey --group=odyssey /data
ENV PATH=/opt/odyssey/bin:$PATH
# Not an option in CMD, because a command with other options would lose it.
ENV ODYSSEY_MOCK_SET_HOST=0.0.0.0
# A number, as `runAsNonRoot` of Kubernetes expects.
USER 10001
WORKDIR /home/odyssey
EXPOSE 8400/tcp
# Without the variables of proxies, which Docker passes to containers if its client has them.
HEALTHCHECK --interval=3s --timeout=3s --start-period=15s CMD ["python", "-c", \
    "from urllib.request import *; build_opener(ProxyHandler({})).open('http://127.0.0.1:8400/_mock/health', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["odyssey-mock"]
CMD ["serve"]
