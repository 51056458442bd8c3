# The embedded model server's image: the stand-in for tensorflow/serving.
#   docker build --file docker/model-server.Dockerfile --tag lince-model-server:0.1.0 .
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
RUN --mount=type=secret,id=pip,target=/etc/pip.conf ./docker/install model-server

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="lince-model-server" \
      org.opencontainers.image.description="Embedded stand-in for TensorFlow Serving" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/lince /opt/lince
ENV PATH=/opt/lince/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/nonexistent \
    TF_CPP_MIN_LOG_LEVEL=1
# The models are mounted at /models, read-only; it writes to /tmp alone.
USER 10001:10001
EXPOSE 8500 8501
# The health service of gRPC, asked without its generated code; 08 01 is SERVING.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python3", "-c", "import grpc, sys; c = grpc.insecure_channel('127.0.0.1:8500', [('grpc.enable_http_proxy', 0)]); sys.exit(c.unary_unary('/grpc.health.v1.Health/Check')(b'', timeout=4) != bytes([8, 1]))"]
# A container's own loopback can't be reached from outside.
ENTRYPOINT ["lince", "model-server", "--listen_address=0.0.0.0", "--enable_grpc_healthcheck_service=true"]
