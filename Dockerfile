# Two images from one file:
#
#   docker build --target light  -t f5-pipeline-light  .     web server, daemon, download service; no torch
#   docker build --target worker -t f5-pipeline-worker .     runs the assets; torch and F5-TTS, for a GPU
#
# Every Python package is pinned with its hash by deploy/requirements/ (made by deploy/lock). No weights are in an image:
# a worker brings them from the store into its cache. deploy/README.md shows both at work.
#
# For a base that never changes give it by digest: --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
# Of the optional target worker-flash-attn alone.
ARG CUDA_IMAGE=docker.io/nvidia/cuda:13.0.2-devel-ubuntu22.04

# -- what both images have: the user, the folders, the packages of the light one ---------------------------------------
FROM ${PYTHON_IMAGE} AS packages
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HOME=/data \
    DAGSTER_HOME=/data/dagster \
    DAGSTER_DISABLE_TELEMETRY=1 \
    F5_STORE=file:/data/studio \
    F5_CACHE=/data/cache/weights \
    XDG_CACHE_HOME=/data/cache \
    NUMBA_CACHE_DIR=/data/cache/numba \
    MPLCONFIGDIR=/data/cache/matplotlib
# tini: the first process of a container must pass signals on and take up what killed runs leave behind.
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 f5 \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin f5 \
 && install -d -o f5 -g f5 /data /data/dagster /data/dagster/storage /data/cache /data/studio
# The locks are complete: pip resolves nothing. Few packages come as source; what builds them is locked too.
COPY deploy/requirements/build.lock deploy/requirements/light.lock /opt/requirements/
RUN python3 -m venv /opt/venv \
 && pip install --require-hashes --no-deps -r /opt/requirements/build.lock \
 && pip install --require-hashes --no-deps --no-build-isolation -r /opt/requirements/light.lock \
 && pip check
WORKDIR /data
ENTRYPOINT ["tini", "--"]

# -- this package, which changes most often ----------------------------------------------------------------------------
FROM packages AS wheel
COPY . /src
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels /src

# -- worker: what torch and F5-TTS add ---------------------------------------------------------------------------------
# torch's wheels bring CUDA's libraries (13.0), so no CUDA base is needed: the host gives the driver (580 or newer) through
# the NVIDIA container toolkit. Triton, which torch.compile uses, calls a C compiler at run time.
FROM packages AS worker-packages
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
COPY deploy/requirements/worker.lock /opt/requirements/
RUN pip install --require-hashes --no-deps --no-build-isolation -r /opt/requirements/worker.lock \
 && pip check

FROM worker-packages AS worker
COPY --from=wheel /wheels /opt/wheels
RUN pip install --no-deps --no-index /opt/wheels/*.whl \
 && f5-pipeline --version
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="f5-pipeline worker" \
      org.opencontainers.image.description="The code server of f5_pipeline with torch and F5-TTS; runs the assets on a GPU" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
EXPOSE 4000
# A stop signal lets the runs under way end first, for as long as the container is given (stop_grace_period).
CMD ["dagster", "api", "grpc", "--module-name", "f5_pipeline.definitions", "--location-name", "f5_pipeline", "--host", "0.0.0.0", "--port", "4000"]
HEALTHCHECK --interval=60s --timeout=30s --start-period=120s --retries=3 \
  CMD ["dagster", "api", "grpc-health-check", "--port", "4000"]

# -- worker-flash-attn: the same with flash-attn, which has no wheel for torch 2.11 and is compiled, for an hour and more ---
# Without it attention is torch's own; a self-test at load chooses the fastest that is right.
FROM ${CUDA_IMAGE} AS cuda

FROM worker-packages AS flash-attn
COPY --from=cuda /usr/local/cuda-13.0 /usr/local/cuda-13.0
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ ninja-build \
 && rm -rf /var/lib/apt/lists/*
# Compute capabilities: 80 is A100, 90 is H100 and H200.
ARG FLASH_ATTN_ARCHS="80;90"
ARG MAX_JOBS=4
COPY deploy/requirements/flash-attn.lock /opt/requirements/
RUN CUDA_HOME=/usr/local/cuda-13.0 FLASH_ATTENTION_FORCE_BUILD=TRUE FLASH_ATTN_CUDA_ARCHS="${FLASH_ATTN_ARCHS}" \
    MAX_JOBS="${MAX_JOBS}" \
    pip wheel --require-hashes --no-deps --no-build-isolation --wheel-dir /wheels -r /opt/requirements/flash-attn.lock

FROM worker AS worker-flash-attn
USER root
COPY --from=flash-attn /wheels /opt/wheels
RUN pip install --no-deps --no-index /opt/wheels/flash_attn-*.whl
USER 10001:10001

# -- light -------------------------------------------------------------------------------------------------------------
FROM packages AS light
COPY --from=wheel /wheels /opt/wheels
RUN pip install --no-deps --no-index /opt/wheels/*.whl \
 && f5-pipeline --version
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="f5-pipeline light" \
      org.opencontainers.image.description="Dagster web server and daemon and the download service of f5_pipeline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
EXPOSE 3080 3000
# The image's own command; those of web server and daemon, with their checks, are in deploy/.
CMD ["f5-pipeline", "serve", "--host", "0.0.0.0"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:3080/healthz', timeout=8)"]
