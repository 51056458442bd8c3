# The client's image: `lince classify` and batch scoring, without TensorFlow.
#   docker build --file docker/client.Dockerfile --tag lince-client:0.1.0 .
#   docker run --rm --network host --volume "$PWD:/work" lince-client:0.1.0 \
#     score photos/ --out results.parquet
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
RUN --mount=type=secret,id=pip,target=/etc/pip.conf ./docker/install score

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="lince-client" \
      org.opencontainers.image.description="Client and batch scoring for the Lince gateway" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/lince /opt/lince
ENV PATH=/opt/lince/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/nonexistent \
    MALLOC_ARENA_MAX=2
# Pictures and results are mounted here.
WORKDIR /work
USER 10001:10001
# It ends with its task; whether that is done is its exit code.
HEALTHCHECK NONE
ENTRYPOINT ["lince"]
CMD ["score", "--help"]
