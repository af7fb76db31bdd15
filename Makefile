# `make demo` and `make test` need Python 3.11 or later and make; they do all their own set-up in .venv.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.venv/.done: requirements.lock pyproject.toml
	@echo 'Installing what stands in requirements.lock into .venv, a minute or two ...'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m pipelines.warming
	@touch $@

setup: .venv/.done ## Install everything into .venv
	@echo 'Ready. Next: export PATH="$$PWD/.venv/bin:$$PATH", then `lazi init --sandbox` in a new folder; README.md goes on from there.'

demo: .venv/.done ## Sandbox, sync, models and a look at the result; no credentials
	$(BIN)/lazi demo

test: .venv/.done ## Tests on DuckDB, SQLite and a real PostgreSQL
	$(BIN)/python -m pytest -m "not slow" -n 2

.venv/.spark: .venv/.done requirements-spark.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock
	@touch $@

test-all: .venv/.spark ## Also the slow suites; Spark, which is installed for them, needs Java 17
	$(BIN)/python -m pytest -n 2

check: .venv/.done ## Style, types, import contracts, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/lazi discover models
	$(BIN)/lazi discover docs
	git diff --exit-code -- models external_models.yaml sources/servicetitan/registry docs/reference .env.example

bench: .venv/.done ## Side-by-side measurements, as ratios within one run
	$(BIN)/python -m bench

docs: .venv/.done ## The documentation as a site in build/site; a dead link fails it
	NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet

sbom: .venv/.done ## What an installation consists of, as CycloneDX: build/sbom.json
	$(BIN)/uv venv --quiet --clear build/sbom
	$(BIN)/uv pip install --quiet --python build/sbom/bin/python --require-hashes -c requirements.lock -r pyproject.toml
	$(BIN)/uv tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py environment --output-reproducible \
	  --pyproject pyproject.toml --mc-type application -o build/sbom.json build/sbom/bin/python

audit: .venv/.done ## Known holes in what an installation consists of; asks the internet
	mkdir -p build
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	  -c requirements.lock pyproject.toml -o build/runtime.txt
	$(BIN)/uv tool run --quiet --from pip-audit==2.10.1 pip-audit --strict --progress-spinner off --require-hashes --disable-pip \
	  -r build/runtime.txt || { echo "Not passed. Either the holes are listed above, or pypi.org could not be asked, and then nothing is known." >&2; exit 1; }

pictures: .venv/.done ## The README's pictures of the operations page, anew
	$(BIN)/python -m tests.pages.pictures

lock: .venv/.done ## Renew requirements.lock and requirements-spark.lock from the pins in pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --extra dev --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	  pyproject.toml -o requirements.lock
	sed -n 's/^ *"\(pyspark==.*\)",/\1/p' pyproject.toml | $(BIN)/uv pip compile - --quiet --universal --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header -c requirements.lock -o requirements-spark.lock

.PHONY: help setup demo test test-all check bench docs sbom audit pictures lock
