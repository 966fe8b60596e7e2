# A machine with Python 3.11 or newer is all that these need; each target sets up what is missing.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3 python,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(p))))
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check
SERVE_ARGS ?=
# Two workers, each test file in one of them: some files start a server that all their tests share.
PYTEST_ARGS ?= -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help serve test lint format bench models browser clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

serve: $(VENV)/.local ## Serve on 127.0.0.1:8080; sets up everything first, models included
	$(BIN)/antiphon serve $(SERVE_ARGS)

test: models browser ## Run every test; sets up everything first, models included
	$(BIN)/pytest $(PYTEST_ARGS)

lint: $(VENV)/.dev ## Check style, types and the architecture's arrows
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev ## Put the code into its normal form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.dev ## Measure the time to answer of a server that it starts
	$(BIN)/antiphon bench latency

models: $(VENV)/.dev ## Pull the models of the embedded engines
	$(BIN)/antiphon models pull

browser: ## Install Chromium for the playground's tests, where apt-get can; without it they are skipped
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium"; \
		{ apt-get install -y -q chromium || { apt-get update -q && apt-get install -y -q chromium; }; } \
			</dev/null >/dev/null || echo "Chromium could not be installed: the playground is NOT tested" >&2; \
	else echo "Chromium is not installed: the playground is NOT tested in a browser" >&2; fi

clean: ## Remove the virtual environment and caches; models stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Antiphon needs Python 3.11 or newer, and none was found on the PATH." >&2; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { \
		rm -rf $(VENV); \
		echo "Python's venv module does not work here. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
		exit 1; }

# Stamps: installed again only when the dependencies change.
$(VENV)/.local: pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) -e '.[local]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) -e '.[local,dev]'
	@touch $@ $(VENV)/.local
