# `make demo` and `make test` need Python 3.11 or later and make; they do all their own set-up in .venv.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.venv/.done: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m pipelines.warming
	@touch $@

setup: .venv/.done ## Install everything into .venv

demo: .venv/.done ## Sandbox, sync, models and a look at the result; no credentials
	$(BIN)/lazi demo

test: .venv/.done ## Tests on DuckDB, SQLite and a real PostgreSQL
	$(BIN)/python -m pytest -m "not slow" -n 2

test-all: .venv/.done ## Also the slow suites
	$(BIN)/python -m pytest -n 2

check: .venv/.done ## Style, types, import contracts, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/lazi discover models
	git diff --exit-code -- models external_models.yaml sources/servicetitan/registry

bench: .venv/.done ## Side-by-side measurements, as ratios within one run
	$(BIN)/python -m bench

pictures: .venv/.done ## The README's pictures of the operations page, anew
	$(BIN)/python -m tests.pages.pictures

lock: .venv/.done ## Renew requirements.lock from the pins in pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --extra dev --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	  pyproject.toml -o requirements.lock

.PHONY: help setup demo test test-all check bench pictures lock
