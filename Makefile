# Tallygate: `make help` lists what there is. Everything is installed into .venv and .runtime, nothing elsewhere.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

MIN_PYTHON := 3.11
# The first of these that is new enough and can make virtual environments; `make PYTHON=/path/to/python3 …`
# names another. A newer release than we have tried comes last.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		&& { command -v "$$name"; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
MUTMUT_VERSION := 3.8.1
MUTMUT := .runtime/mutmut-$(MUTMUT_VERSION)
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=

# Stamps: a file stands for what was installed from the lock file that it depends on.
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  ARGS=… is handed on, as in: make demo ARGS='--once', make test ARGS='-k outbox'"

.PHONY: demo
demo: $(RUN_STAMP) ## Run the whole way on this machine: database, broker, virtual warehouse, live page
	@$(BIN)/tallygate demo $(ARGS)

.PHONY: test
test: $(DEV_STAMP) ## Run the tests
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: check
check: $(DEV_STAMP) ## Check style, types and arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: bench
bench: $(DEV_STAMP) ## Measure; writes bench.json
	@$(BIN)/python -m tests.benchmarks $(ARGS)

.PHONY: mutants
mutants: $(DEV_STAMP) $(MUTMUT) ## Change the costing kernels in every small way and see that the tests notice
	@PYTHONPATH=$(CURDIR)/$(MUTMUT) $(BIN)/python -m tests.mutation $(ARGS)

.PHONY: chaos
chaos: $(DEV_STAMP) ## Kill, pause, cut off and restore everything in 200 seeded runs: the books stay the same (an hour)
	@$(BIN)/python -m tests.chaos $(ARGS)

.PHONY: soak
soak: $(DEV_STAMP) ## Workers, callers, jobs and a close on the same few pools: no deadlock (ten minutes; ARGS='--minutes 60')
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

.PHONY: gate-report
gate-report: $(DEV_STAMP) ## Judge gate recognition anew: docs/gate-accuracy.md and the guide's pictures (ten minutes)
	@$(BIN)/python -m tests.gate_report $(ARGS)

.PHONY: timescaledb
timescaledb: $(RUN_STAMP) ## Unpack TimescaleDB and mosquitto into .runtime (Debian-like hosts, no root)
	@$(BIN)/python -m standalone.timescaledb $(ARGS)

.PHONY: migrate
migrate: $(RUN_STAMP) ## Bring a database to the newest schema: TALLYGATE_DSN's, else the demo's
	@$(BIN)/tallygate migrate $(ARGS)

.PHONY: psql
psql: $(RUN_STAMP) ## Open psql on a database: TALLYGATE_DSN's, else the demo's
	@$(BIN)/python -m standalone.psql $(ARGS)

.PHONY: clean
clean: ## Delete what make made; the demo's books in .tallygate stay
	rm -rf $(VENV) .runtime build dist *.egg-info bench.json
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: forget
forget: $(RUN_STAMP) ## Delete the demo's books
	@$(BIN)/python -m standalone.forget $(ARGS)

# -- installing --------------------------------------------------------------------------------

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
		echo "make: found no Python $(MIN_PYTHON) or newer that can make virtual environments." >&2; \
		echo "  python3 here is: $$(command -v python3 >/dev/null && python3 --version 2>&1 || echo none)" >&2; \
		echo "  On Debian and Ubuntu: apt-get install python3 python3-venv. Another one: make PYTHON=/path/to/python3 …" >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: expected Python $(MIN_PYTHON) or newer, got $$("$(PYTHON)" --version 2>&1) from $(PYTHON)" >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "make: $(PYTHON) cannot make virtual environments: on Debian and Ubuntu install python3-venv" >&2; \
		exit 1; }
	@echo "Installing into $(VENV), once:"
	@"$(PYTHON)" -m venv $(VENV)

$(RUN_STAMP): requirements.lock pyproject.toml | $(BIN)/python
	@$(PIP) install --quiet --require-hashes --requirement requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# The second lock holds the first: tests need no more than this.
$(DEV_STAMP): requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	@$(PIP) install --quiet --require-hashes --requirement requirements-dev.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $(RUN_STAMP) $@

# Beside the lock files: nothing but `make mutants` needs it.
$(MUTMUT): | $(DEV_STAMP)
	@rm -rf $@ $@.part
	@$(PIP) install --quiet --target $@.part 'mutmut==$(MUTMUT_VERSION)'
	@mv $@.part $@

# -- for whoever changes dependencies ------------------------------------------------------------

LOCK := .runtime/lock/bin/uv pip compile --quiet --universal --python-version $(MIN_PYTHON) --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --extra install

.PHONY: lock
lock: .runtime/lock/bin/uv ## Write the lock files anew from pyproject.toml; ARGS=--upgrade takes newer versions
	$(LOCK) $(ARGS) --output-file requirements.lock pyproject.toml
	$(LOCK) $(ARGS) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

.runtime/lock/bin/uv:
	@"$(PYTHON)" -m venv .runtime/lock
	@.runtime/lock/bin/python -m pip --disable-pip-version-check install --quiet 'uv==$(UV_VERSION)'
