# The two commands:  make run   make test
# Both do all the set-up (scripts/setup says how); nothing here needs root.
VENV := $(or $(LINCE_VENV),.venv)
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# The tests start hundreds of processes, each of which would compile Lince anew.
unexport PYTHONDONTWRITEBYTECODE
IN_PARALLEL := --numprocesses 2 --dist loadfile

.PHONY: help run test test-all conformance bench bench-quick verify-deploy check lint format setup dev clean

help:
	@echo "make run       train a first model if there is none, serve it, classify test pictures"
	@echo "make test      all tests but those that take minutes"
	@echo "make test-all  those too"
	@echo "make conformance  hold the model server, or another, against TensorFlow Serving"
	@echo "make bench     what training, serving, overload and scoring cost, as ratios"
	@echo "make bench-quick  the served system beside what the machine allows, in minutes"
	@echo "make verify-deploy  all that deploys Lince, without a cluster and an engine"
	@echo "make lint      format, lint, types, import rules"
	@echo "make check     the quick gate: format, lint, types, import rules, quick unit tests"
	@echo "make format    put the code into shape"
	@echo "make clean     remove environments and caches; models/ and runs/ stay"

setup:
	@scripts/setup run

dev:
	@scripts/setup dev

run: setup
	@exec $(BIN)/lince run

test: dev
	$(PYTEST) -q $(IN_PARALLEL) -m "not slow and not integration"
	$(PYTEST) -q $(IN_PARALLEL) -m "integration and not slow"

test-all: dev
	$(PYTEST)

# Another server than ours: PROGRAM=/path/to/tensorflow_model_server to start one, or
# TARGET=host:port REST=host:port for one that runs and serves what tests.conformance.models writes.
conformance: dev
	CONFORMANCE_TARGET=$(TARGET) CONFORMANCE_REST=$(REST) CONFORMANCE_PROGRAM=$(PROGRAM) \
		$(PYTEST) tests/conformance

# BENCH="--peers --growth" has others served beside, and shows how the cost grows.
bench: dev
	$(BIN)/python -m tests.bench.whole $(BENCH)
	$(BIN)/python -m tests.bench.input_pipeline
	$(BIN)/python -m tests.bench.feature_cache
	$(BIN)/python -m tests.bench.serving
	$(BIN)/python -m tests.bench.overload
	$(BIN)/python -m tests.bench.scoring
	$(BIN)/python -m tests.bench.optimized
	$(BIN)/python -m tests.bench.pixels
	$(BIN)/python -m tests.bench.epoch

bench-quick: dev
	$(BIN)/python -m tests.bench.whole --quick

verify-deploy: dev
	$(BIN)/python scripts/verify-deploy

check: lint
	$(PYTEST) -q $(IN_PARALLEL) -m "not slow and not integration and not heavy"

lint: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry .
	scripts/protos --check

format: dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(VENV)-peers build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
