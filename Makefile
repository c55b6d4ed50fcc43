# Every target makes its own virtual environment and installs what it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Processes that run tests: many tests wait for real calls. 0: one test after the other.
WORKERS ?= 2

.PHONY: demo run test soak fuzz-api check bench bench-full format clean

demo: $(READY)          ## place a real call to a server on loopback and watch it being recorded
	@$(BIN)/mediaserver demo

run: $(READY)           ## serve on loopback with config/development.yaml
	@$(BIN)/mediaserver serve --config config/development.yaml

test: $(READY)          ## the whole test suite
	@$(BIN)/python scripts/interop_tools.py --report
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

soak: $(READY)          ## kills by the dozen and calls by the thousand, half an hour
	@$(BIN)/python -m pytest -m soak -s tests/soak tests/calls

fuzz-api: $(READY)      ## schemathesis asks a server whatever its OpenAPI document allows, and more
	@$(PYTHON) -m venv build/schemathesis
	@build/schemathesis/bin/pip install --quiet --disable-pip-version-check 'schemathesis>=4.32,<5'
	@SCHEMATHESIS=build/schemathesis/bin/st $(BIN)/python -m pytest -m soak -s tests/soak/test_api_fuzz.py

check: $(READY)         ## ruff, strict mypy and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY)         ## what a call costs, recorded, played to, relayed and connected on; in brief
	@$(BIN)/python -m scripts.bench

bench-full: $(READY)    ## every part of the bench at every load, about an hour
	@$(BIN)/python -m scripts.bench --full --json build/bench.json --markdown build/bench.md

format: $(READY)        ## rewrite the sources as `make check` wants them
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

$(READY): setup.cfg pyproject.toml
	@echo "Installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,fast]'
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps signalwire-sdk==3.7.5
	@touch $@

clean:                  ## forget the virtual environment and what tools cached
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
