# Stage 1 installs exactly what is locked, compiles and builds the wheel; stage 2 holds the result: no compiler, no pip and no root.
# Both bases have the same Python under the same path, called `python`; that of stage 1 has a C compiler and the headers of Python as well.
# Both are named by digest: a tag can be moved to something else. Newer ones come in with a change of these lines, or by --build-arg.
ARG BUILD_BASE=python:3.11.16-bookworm@sha256:b99029c95d3d37fb1e4e76d287f7984373dca77c665885986e31b2c95260c13c
ARG BASE=python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY deploy/requirements/runtime.txt deploy/requirements/build.txt deploy/requirements/
# The build tools are locked as well, in a place of their own: only the wheel leaves it. Locks are installed without a resolver, and
# nothing of them is built from source, which would fetch tools that no lock names.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: --requirement deploy/requirements/build.txt
RUN python -m venv --without-pip /opt/authproxy \
    && /opt/build/bin/pip --python /opt/authproxy/bin/python install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
        --requirement deploy/requirements/runtime.txt \
    && /opt/build/bin/pip --python /opt/authproxy/bin/python check
COPY pyproject.toml README.md LICENSE ./
COPY deploy/compiled.py deploy/
COPY authproxy authproxy
# The compiler reads the types of the libraries, which are installed in the other environment.
RUN HATCH_BUILD_HOOKS_ENABLE=true AUTHPROXY_RUNTIME_PYTHON=/opt/authproxy/bin/python /opt/build/bin/hatchling build --target wheel --directory /wheel \
    && /opt/build/bin/pip --python /opt/authproxy/bin/python install --no-cache-dir --no-deps --no-index --find-links /wheel authproxy

FROM ${BASE}
COPY --from=build /opt/authproxy /opt/authproxy
# The edge reaches the pages over a private socket under TMPDIR: engines give each container a /dev/shm of its own, also a read-only one.
ENV PATH=/opt/authproxy/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TMPDIR=/dev/shm \
    AUTHPROXY_CONFIG=/etc/authproxy/authproxy.yaml
# A number, so that Kubernetes can see that it is not root. Nothing is written to the image's file system.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["authproxy", "healthcheck"]
ENTRYPOINT ["authproxy"]
CMD ["serve"]
