# Every target makes its own virtual environment and installs what it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo run test soak check bench bench-full format clean

demo: $(READY)          ## place a real call to a server on loopback and watch it being recorded
	@$(BIN)/mediaserver demo

run: $(READY)           ## serve on loopback with config/development.yaml
	@$(BIN)/mediaserver serve --config config/development.yaml

test: $(READY)          ## the whole test suite
	@$(BIN)/python scripts/interop_tools.py --report
	@$(BIN)/python -m pytest

soak: $(READY)          ## kills by the dozen and calls by the thousand, half an hour
	@$(BIN)/python -m pytest -m soak -s tests/soak

check: $(READY)         ## ruff, strict mypy and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY)         ## what a call costs, recorded, played to and relayed; in brief
	@$(BIN)/python -m scripts.bench

bench-full: $(READY)    ## every part of the bench at every load, some half an hour
	@$(BIN)/python -m scripts.bench --full --json build/bench.json --markdown build/bench.md

format: $(READY)        ## rewrite the sources as `make check` wants them
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

$(READY): setup.cfg pyproject.toml
	@echo "Installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,fast]'
	@touch $@

clean:                  ## forget the virtual environment and what tools cached
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
