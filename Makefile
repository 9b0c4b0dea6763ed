# `make demo` and `make test` are all that a new clone needs: Python 3.11 for the first, a JDK and Maven too for the
# second, which runs a real Apache Kafka, with Go for Toxiproxy, and a real Prometheus from the PATH or Debian's package.

PYTHON ?= python3
VENV := .venv
VENV_TFLITE := .venv-tflite-runtime
PIP_VERSION := 25.3
# Processes that run tests, each with a broker of its own: they wait more than they work.
JOBS ?= 3
PIP_FLAGS := --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-tflite-runtime chaos chaos-short soak lint types fresh check generate broker bench bench-limit instructions clean

help:  ## Tell what there is to make
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "%-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime  ## See it work: a real worker on an embedded broker, in 15 seconds
	@$(VENV)/bin/onelane demo

test: $(VENV)/.dev jars toxiproxy prometheus registry test-tflite-runtime  ## The whole suite, on a real Apache Kafka
	@$(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile --cov --cov-report=term $(PYTEST_ARGS)

test-tflite-runtime: $(VENV_TFLITE)/.dev  ## The engine tests on tflite-runtime, in an environment of its own
	@ENGINES="tflite-runtime litert" $(VENV_TFLITE)/bin/python -m pytest -q tests/engine

chaos: $(VENV)/.dev jars toxiproxy  ## Faults, each ROUNDS times (100): hours; `make test` has the short version
	@ROUNDS=$${ROUNDS:-100} $(VENV)/bin/python -m pytest tests/chaos $(PYTEST_ARGS)

chaos-short: $(VENV)/.dev jars toxiproxy  ## The same faults a few times each, as in `make test`: some six minutes
	@$(VENV)/bin/python -m pytest tests/chaos -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

SECONDS ?= 1800

soak: $(VENV)/.dev jars  ## A worker under a steady load for SECONDS (1800): memory, files and threads stay
	@SECONDS=$(SECONDS) $(VENV)/bin/python -m pytest tests/chaos/test_a_worker_at_a_steady_load_stays_as_it_is.py \
		$(PYTEST_ARGS)

.PHONY: jars
jars: $(VENV)/.dev
	@$(VENV)/bin/python -m tests.support.jars

.PHONY: toxiproxy
toxiproxy: $(VENV)/.dev
	@$(VENV)/bin/python -m tests.support.toxiproxy

.PHONY: registry
registry: $(VENV)/.dev
	@$(VENV)/bin/python -m tests.support.apicurio

.PHONY: prometheus
prometheus: $(VENV)/.dev
	@$(VENV)/bin/python -m tests.support.prometheus

lint: $(VENV)/.dev  ## ruff, all rules
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: $(VENV)/.dev  ## mypy, strict, tests too
	@$(VENV)/bin/mypy

generate: $(VENV)/.dev  ## Make the generated files anew
	@$(VENV)/bin/python scripts/generate.py
	@$(VENV)/bin/python deploy/kubernetes/render.py

fresh: $(VENV)/.dev  ## Are the generated files fresh?
	@$(VENV)/bin/python scripts/generate.py --check

check: lint types fresh  ## All that is checked without running

# The pipeline's input topic; beside it, the two that `onelane init` names after it.
TOPIC ?= flights

broker: $(VENV)/.dev jars  ## A real broker in the foreground, on localhost:9092, with the topics of TOPIC (flights)
	@$(VENV)/bin/python -m tests.support.kafka --port 9092 \
		--topic $(TOPIC) --topic $(TOPIC)-enriched --topic $(TOPIC)-dead

bench-limit: $(VENV)/.dev jars  ## The worker against a hand-written bare loop, on one real broker in one run
	@$(VENV)/bin/python -m bench.limit

instructions: $(VENV)/.dev  ## Instructions an event takes, by the bare loop's: within 5 % of what is committed
	@$(VENV)/bin/python -m bench.instructions

bench: $(VENV)/.dev jars  ## onelane and nine others, four models, one broker: docs/performance.md and its plots anew
	@$(VENV)/bin/python -m bench.environments
	@$(VENV)/bin/python -m bench.compare
	@$(VENV)/bin/python -m bench.page

clean:  ## Remove what make made
	rm -rf $(VENV) $(VENV_TFLITE) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "onelane needs Python 3.11 or newer: make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@$@ -m pip install $(PIP_FLAGS) pip==$(PIP_VERSION)

$(VENV)/.runtime: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing onelane into $(VENV)"
	@$(VENV)/bin/python -m pip install $(PIP_FLAGS) -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "installing the tools that tests and checks need into $(VENV)"
	@$(VENV)/bin/python -m pip install $(PIP_FLAGS) -c constraints.txt --group test --group lint
	@touch $@

$(VENV_TFLITE)/.dev: pyproject.toml constraints-tflite-runtime.txt
	@echo "installing onelane with tflite-runtime into $(VENV_TFLITE)"
	@$(PYTHON) -m venv $(VENV_TFLITE)
	@$(VENV_TFLITE)/bin/python -m pip install $(PIP_FLAGS) pip==$(PIP_VERSION)
	@$(VENV_TFLITE)/bin/python -m pip install $(PIP_FLAGS) -c constraints-tflite-runtime.txt -e '.[tflite-runtime]' --group test
	@touch $@
