# Stage 1 installs exactly the locked packages, and compiles and builds the wheel. Stage 2 contains the result: no compiler, no pip, no root.
# Both base images have the same Python, as `python` under the same path; that of stage 1 also has a C compiler and the Python headers.
# Both are named by digest, because a tag can be moved. To update them, change these lines or use --build-arg.
ARG BUILD_BASE=python:3.11.16-bookworm@sha256:b99029c95d3d37fb1e4e76d287f7984373dca77c665885986e31b2c95260c13c
ARG BASE=python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY deploy/requirements/runtime.txt deploy/requirements/build.txt deploy/requirements/
# The build tools are locked too, and have an environment of their own, which only the wheel leaves. Locks are installed without a resolver,
# and nothing is built from source, because that would fetch tools that no lock names.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: --requirement deploy/requirements/build.txt
RUN python -m venv --without-pip /opt/authproxy \
    && /opt/build/bin/pip --python /opt/authproxy/bin/python install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
        --requirement deploy/requirements/runtime.txt \
    && /opt/build/bin/pip --python /opt/authproxy/bin/python check
COPY pyproject.toml README.md LICENSE ./
COPY deploy/compiled.py deploy/
COPY authproxy authproxy
# The compiler reads the types of the libraries from the other environment.
RUN HATCH_BUILD_HOOKS_ENABLE=true AUTHPROXY_RUNTIME_PYTHON=/opt/authproxy/bin/python /opt/build/bin/hatchling build --target wheel --directory /wheel \
    && /opt/build/bin/pip --python /opt/authproxy/bin/python install --no-cache-dir --no-deps --no-index --find-links /wheel authproxy

FROM ${BASE}
COPY --from=build /opt/authproxy /opt/authproxy
# The edge reaches the pages over a private socket in TMPDIR. Engines give each container a /dev/shm of its own, even a read-only container.
ENV PATH=/opt/authproxy/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TMPDIR=/dev/shm \
    AUTHPROXY_CONFIG=/etc/authproxy/authproxy.yaml
# A number, so that Kubernetes can see that the user is not root. Nothing writes to the image's file system.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=5s CMD ["authproxy", "healthcheck"]
ENTRYPOINT ["authproxy"]
CMD ["serve"]
