# The trainer's image: `lince train`, `evaluate`, `export`, `verify`.
#   docker build --file docker/trainer.Dockerfile --tag lince-trainer:0.1.0 .
# With CUDA's libraries (the machine brings the driver and NVIDIA's container toolkit):
#   docker build --file docker/trainer.Dockerfile --build-arg EXTRAS=train,gpu \
#     --tag lince-trainer:0.1.0-gpu .
# Any base with Python 3.11 to 3.13 as python3, and its venv module, will do.
# checkov:skip=CKV_DOCKER_7:the default of BASE_IMAGE has a version
ARG BASE_IMAGE=python:3.13.15-slim-trixie

FROM ${BASE_IMAGE} AS build
# For a package registry of your own; one with a password belongs into the secret `pip`.
ARG PIP_INDEX_URL
ARG EXTRAS=train
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY docker/install docker/sbom.txt ./docker/
COPY client ./client
COPY contract ./contract
COPY export ./export
COPY lince ./lince
COPY server ./server
COPY training ./training
RUN --mount=type=secret,id=pip,target=/etc/pip.conf ./docker/install "$EXTRAS"

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="lince-trainer" \
      org.opencontainers.image.description="Trains and exports the image classifiers of Lince" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/lince /opt/lince
COPY docker/trainer/first-models.sh /opt/lince/bin/first-models
# /models is not empty: a volume takes over a folder's owner from the first container that mounts
# it, and again from each further one while the volume is empty.
RUN mkdir /models /runs /cache \
    && touch /models/.volume \
    && chown -R 10001:10001 /models /runs /cache
# Keras and matplotlib keep what they make and fetch in folders of their own.
# NVIDIA_*: what NVIDIA's container toolkit brings in; without it they mean nothing.
ENV PATH=/opt/lince/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/nonexistent \
    TF_CPP_MIN_LOG_LEVEL=1 \
    KERAS_HOME=/cache/keras \
    MPLCONFIGDIR=/cache/matplotlib \
    LINCE_MODELS_DIR=/models \
    LINCE_RUNS_DIR=/runs \
    LINCE_CACHE_DIR=/cache/lince \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
# It ends with its task; whether that is done is its exit code.
HEALTHCHECK NONE
ENTRYPOINT ["lince"]
CMD ["train", "--help"]
