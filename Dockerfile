# Stage 1 installs exactly what is locked, compiles and builds the wheel; stage 2 holds the result, no compiler, no pip cache and no root.
FROM python:3.11-bookworm AS build
WORKDIR /src
COPY deploy/requirements/runtime.txt deploy/requirements/build.txt deploy/requirements/
RUN python -m venv /opt/authproxy \
    && /opt/authproxy/bin/pip install --no-cache-dir --require-hashes --requirement deploy/requirements/runtime.txt
# The build tool is locked as well, in a place of its own: only the wheel leaves it.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement deploy/requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY deploy/compiled.py deploy/
COPY authproxy authproxy
RUN HATCH_BUILD_HOOKS_ENABLE=true PATH=/opt/build/bin:$PATH hatchling build --target wheel --directory /wheel \
    && /opt/authproxy/bin/pip install --no-cache-dir --no-deps --no-index --find-links /wheel authproxy

FROM python:3.11-slim-bookworm
COPY --from=build /opt/authproxy /opt/authproxy
ENV PATH=/opt/authproxy/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    AUTHPROXY_CONFIG=/etc/authproxy/authproxy.yaml
# A number, so that Kubernetes can see that it is not root. Nothing is written to the image's file system.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["authproxy", "healthcheck"]
ENTRYPOINT ["authproxy"]
CMD ["serve"]
