# One image for every program of ours; compose says which verb. Built from the lock file, run as nobody special.

FROM python:3.13.7-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/tallygate
# The lock first: as long as it stays, this layer does.
COPY requirements.lock ./
RUN /opt/tallygate/bin/pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE tallygate.py ./
COPY cloud cloud
COPY edge edge
COPY firmware_bridges firmware_bridges
COPY protocols protocols
COPY standalone standalone
RUN /opt/tallygate/bin/pip install --no-deps --no-build-isolation .

FROM python:3.13.7-slim-trixie
COPY --from=build /opt/tallygate /opt/tallygate
# Compiled kernels and other leftovers go to /tmp: the image itself is run read-only. The outbox's folder can be
# written by whomever compose runs us as.
ENV PATH=/opt/tallygate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/tmp/numba HOME=/tmp
RUN install -d -m 1777 /var/lib/tallygate
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["tallygate"]
CMD ["--help"]
