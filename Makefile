# Every task of this repository. Needs make and Python 3.11 or newer with venv; the rest it brings itself.
#   make demo     tell the story on real data            make test   every test
#   make check    lint, format, types, architecture      make bench  measure speed and size
#   make docs     build the documentation into site/     make clean  remove what was built
# PYTHON=python3.12 picks an interpreter, VENV=folder another environment, WORKERS=8 more test processes.

SHELL   := /bin/bash
VENV    ?= .venv
WORKERS ?= 2
ARGS    ?=
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check install --quiet --quiet --no-input

USABLE  := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON  ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	if "$$p" -c '$(USABLE)' >/dev/null 2>&1; then echo "$$p"; break; fi; done)

.PHONY: help demo test check arch format bench docs reference lock torch clean
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

help:
	@sed -n '2,5s/^# \{0,1\}//p' Makefile

# --- environments: one folder, one stamp per set of packages ------------------------------------------

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with the venv module was found; set PYTHON=..."; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv "$(VENV)"

# The package itself is installed editable and without an isolated build, so that only pinned packages come.
define install
	@echo "Installing what $(1) needs"
	@$(PIP) -r requirements/build.txt $(foreach lock,$(2),-r requirements/$(lock).txt)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch "$@"
endef

$(VENV)/.stamp-demo: requirements/build.txt requirements/demo.txt pyproject.toml | $(BIN)/python
	$(call install,the demo,demo)

$(VENV)/.stamp-dev: requirements/build.txt requirements/dev.txt pyproject.toml | $(BIN)/python
	$(call install,development,dev)

$(VENV)/.stamp-docs: requirements/docs.txt $(VENV)/.stamp-dev
	$(call install,the documentation,docs)

$(VENV)/.stamp-torch: requirements/torch.txt $(VENV)/.stamp-dev
	@$(BIN)/python scripts/install_torch.py
	@touch "$@"

# --- tasks ---------------------------------------------------------------------------------------------

demo: $(VENV)/.stamp-demo
	@$(BIN)/weighbridge demo $(ARGS)

test: $(VENV)/.stamp-dev $(VENV)/.stamp-torch
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: $(VENV)/.stamp-dev
	@echo "Lint";         $(BIN)/ruff check --quiet .
	@echo "Format";       $(BIN)/ruff format --check --quiet . || { echo "Run make format"; exit 1; }
	@echo "Types";        $(BIN)/mypy --no-error-summary
	@echo "Architecture"; $(BIN)/python -m pytest -q tests/arch

arch: $(VENV)/.stamp-dev
	@$(BIN)/python -m pytest -q tests/arch $(ARGS)

format: $(VENV)/.stamp-dev
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

bench: $(VENV)/.stamp-dev
	@$(BIN)/python -m benchmarks $(ARGS)

reference: $(VENV)/.stamp-dev
	@$(BIN)/python scripts/gen_reference.py

docs: $(VENV)/.stamp-docs reference
	@$(BIN)/python -m mkdocs --quiet build --strict
	@echo "Built site/index.html"

lock: $(BIN)/python
	@$(BIN)/python scripts/lock.py $(ARGS)

torch: $(VENV)/.stamp-dev
	@$(BIN)/python scripts/install_torch.py --any

clean:
	@rm -rf "$(VENV)" site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
