# The gateway's image: Lince with its `gateway` extra, so without TensorFlow.
#   docker build --file docker/gateway.Dockerfile --tag lince-gateway:0.1.0 .
# Any base with Python 3.11 to 3.13 as python3, and its venv module, will do.
# checkov:skip=CKV_DOCKER_7:the default of BASE_IMAGE has a version
ARG BASE_IMAGE=python:3.13.15-slim-trixie

FROM ${BASE_IMAGE} AS build
# For a package registry of your own; one with a password belongs into the secret `pip`.
ARG PIP_INDEX_URL
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY docker/install docker/sbom.txt ./docker/
COPY client ./client
COPY contract ./contract
COPY export ./export
COPY lince ./lince
COPY server ./server
COPY training ./training
RUN --mount=type=secret,id=pip,target=/etc/pip.conf ./docker/install gateway

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="lince-gateway" \
      org.opencontainers.image.description="HTTP gateway in front of TensorFlow Serving" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/lince /opt/lince
# LINCE_HOST: a container's own loopback can't be reached from outside.
# MALLOC_ARENA_MAX: every thread decodes pictures; an arena for each would never shrink again.
# HOME: some user ids have none, and the settings expand ~.
ENV PATH=/opt/lince/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/nonexistent \
    MALLOC_ARENA_MAX=2 \
    LINCE_HOST=0.0.0.0 \
    LINCE_PORT=8000
# A number, so that Kubernetes can check runAsNonRoot. The gateway writes to /tmp alone.
USER 10001:10001
EXPOSE 8000
# http.client, unlike urllib, never goes through a proxy that the environment names.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python3", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['LINCE_PORT']), timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["lince", "gateway"]
